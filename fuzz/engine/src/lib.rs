//! The part of the engine that the readers need, from the same files: without the tensor library a fuzzer is built in a
//! minute instead of twenty.

extern crate self as kernels;

#[path = "../../../crates/kernels/src/edits.rs"]
mod edits;
#[path = "../../../crates/kernels/src/level.rs"]
mod level;
#[path = "../../../crates/engine/src/rng.rs"]
pub mod rng;

pub use edits::{EDIT_LANES, edit_columns};
pub use level::Level;

pub mod numerics;

/// Pictures: named by the readers, drawn by none of them.
pub mod media {
    /// Red, green and blue, row by row.
    pub struct Picture {
        pub width: u32,
        pub height: u32,
        pub pixels: Vec<u8>,
    }

    impl Picture {
        pub fn filled(width: u32, height: u32, _: [u8; 3]) -> Self {
            Self {
                width,
                height,
                pixels: Vec::new(),
            }
        }

        pub fn pixel(&self, _: u32, _: u32) -> [u8; 3] {
            [255; 3]
        }
    }

    /// There are no pictures here.
    pub fn read_picture(_: impl AsRef<std::path::Path>) -> Result<Picture, std::io::Error> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}
