//! Packs of real pictures that ship inside the program: the same emoji drawn by three vendors, and emoji that move.
//!
//! The files stand in `assets/` with their origin and licences; a folder of the same layout can be opened instead.

mod clips;
mod emoji;
mod source;
mod strips;
mod table;

pub use clips::{ClipEntry, ClipPack, FRAMES, STRIP_SIDE};
pub use emoji::{CELL_SIDE, EmojiPack, LANGUAGES, SHEET_COLUMNS, Style, Subject, UnknownStyle};

/// Why a pack, or something in it, cannot be had. Names the file, and the line where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// A file of the pack is missing or cannot be opened.
    #[error("cannot read `{file}` of the pack: {cause}: check the folder")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system answered.
        cause: String,
    },
    /// A line of an index that does not follow the layout.
    #[error("`{file}` line {line}: {cause}: restore the file from where the pack came")]
    Index {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        cause: String,
    },
    /// A sheet or strip of the wrong size, or damaged.
    #[error("`{file}`: {cause}: restore the file from where the pack came")]
    Sheet {
        /// The file.
        file: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A number beyond the end of the pack, or a size that cannot be made.
    #[error("{what} {number} is not there: use 0 to {last}")]
    OutOfRange {
        /// What was asked for.
        what: &'static str,
        /// The number asked for.
        number: usize,
        /// The last one there is.
        last: usize,
    },
    /// A subject that the pack does not have.
    #[error("the pack has no subject with the code `{code}`: use the whole pack")]
    Absent {
        /// The code asked for.
        code: String,
    },
    /// A side that a clip cannot be resized to.
    #[error("clips cannot be made {size} pixels wide: use 1 to {most}")]
    Size {
        /// The side asked for.
        size: u32,
        /// The largest side.
        most: u32,
    },
}

impl From<PackError> for base::command::Failure {
    fn from(error: PackError) -> Self {
        Self::failed(error)
    }
}
