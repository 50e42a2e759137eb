//! Files that cannot be written.

#[path = "../../../crates/engine/src/files/error.rs"]
mod error;

pub use error::FileError;
