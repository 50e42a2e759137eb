//! Safetensors and torch checkpoints without tensors: mapped files in, whole files out. Nothing from a file is executed,
//! and a broken file is an error with its path, never a panic.

mod blocks;
mod error;
mod file;
mod foreign;
mod torch;
mod view;
mod write;

pub use blocks::{Layout, OtherTensor};
pub use error::{Mismatch, WeightsError};
pub use file::{Weights, map_file};
pub use view::View;
pub use write::{Precision, TensorFile};
