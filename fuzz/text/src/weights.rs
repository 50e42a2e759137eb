//! GGUF files, and what their tensors are.

pub use base::tensor_file::{Weights, WeightsError};
pub use gguf::Gguf;
pub use gguf_types::GgufValue;
pub use source::{TensorKind, TensorSource};

#[path = "../../../crates/engine/src/weights/gguf.rs"]
mod gguf;
#[path = "../../../crates/engine/src/weights/gguf_types.rs"]
mod gguf_types;
#[path = "../../../crates/engine/src/weights/source.rs"]
mod source;
