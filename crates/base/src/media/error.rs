//! Everything that can be wrong with a picture, each as one line with cause and fix.

use std::io;
use std::path::PathBuf;

use crate::files::FileError;

/// Why a picture or clip could not be read, made or written.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// Nothing is there.
    #[error("`{}` is not there: check the path", path.display())]
    NotFound {
        /// The path as given.
        path: PathBuf,
    },
    /// A folder where a picture was wanted.
    #[error("`{}` is a folder, not a picture: name a file inside it", path.display())]
    IsFolder {
        /// The path as given.
        path: PathBuf,
    },
    /// The system refused to read.
    #[error("cannot read `{}`: {source}: check that the file can be opened", path.display())]
    Unreadable {
        /// The path as given.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// No bytes.
    #[error("`{}` is empty: make or download it again", path.display())]
    Empty {
        /// The path as given.
        path: PathBuf,
    },
    /// Not one of the formats, by content.
    #[error("`{}` is not a picture that can be read here: convert it to PNG, JPEG, GIF or WebP", path.display())]
    NotAnImage {
        /// The path as given.
        path: PathBuf,
    },
    /// A picture in a dialect of its format that is not read here.
    #[error("`{}` cannot be read here ({cause}): convert it to an ordinary PNG", path.display())]
    Unsupported {
        /// The path as given.
        path: PathBuf,
        /// What the decoder said.
        cause: String,
    },
    /// The right format with wrong or missing bytes.
    #[error("`{}` is damaged or cut short ({cause}): make or download it again", path.display())]
    Damaged {
        /// The path as given.
        path: PathBuf,
        /// What the decoder said.
        cause: String,
    },
    /// More bytes, pixels or frames than are read.
    #[error("`{}` is too large ({cause}): make it smaller or shorter first", path.display())]
    TooLarge {
        /// The path as given.
        path: PathBuf,
        /// Which bound was passed, and by how much where known.
        cause: String,
    },
    /// A folder of frames without any.
    #[error("`{}` holds no frames: put PNG, JPEG or WebP pictures into it", path.display())]
    NoFrames {
        /// The folder as given.
        path: PathBuf,
    },
    /// Frames of different sizes in one clip.
    #[error(
        "frame {index} is {width}x{height} but the first is {first_width}x{first_height}: make all frames the same size"
    )]
    MixedSizes {
        /// Which frame, counted from 0.
        index: usize,
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
        /// Width of the first frame.
        first_width: u32,
        /// Height of the first frame.
        first_height: u32,
    },
    /// A strip that does not divide into that many frames.
    #[error(
        "a strip {width} pixels wide does not divide into {frames} frames: give a count that divides the width"
    )]
    Strip {
        /// Width of the strip in pixels.
        width: u32,
        /// The count asked for.
        frames: usize,
    },
    /// A size that does not fit the data, or is out of bounds.
    #[error("{0}")]
    Size(String),
    /// A file name ending that no format here has.
    #[error("`{}` has no ending that is known here: use one of {known}", path.display())]
    UnknownExtension {
        /// The path as given.
        path: PathBuf,
        /// The known ones.
        known: String,
    },
    /// A key or text that the format cannot hold.
    #[error("the text `{key}` cannot be put into the picture: {cause}")]
    Text {
        /// The key as given.
        key: String,
        /// What is wrong with it, and what is right.
        cause: String,
    },
    /// Nothing of how it was made.
    #[error("`{}` does not say how it was made: give a file as {by} wrote it", path.display())]
    NoProvenance {
        /// The path as given.
        path: PathBuf,
        /// The command that writes such files.
        by: String,
    },
    /// How it was made, but not as it is written here.
    #[error("`{}` says how it was made, but not so that it can be read ({cause}): give a file as {by} wrote it", path.display())]
    BadProvenance {
        /// The path as given.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
        /// The command that writes such files.
        by: String,
    },
    /// The encoder refused.
    #[error("cannot encode the picture: {0}")]
    Encode(String),
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] FileError),
}
