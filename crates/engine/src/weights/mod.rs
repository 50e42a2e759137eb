//! Checkpoints: mapped safetensors in, atomic safetensors out, and the names in between.
//!
//! [`TensorSource`] is what all kinds of checkpoints have in common: safetensors, whole or in shards, and GGUF.
//! [`Weights`] reads a file without copying it into memory, [`KeyMap`] translates between the names in a
//! file and the field paths of a Burn module, [`load`] and [`save`] move a whole module. Nothing from a file
//! is executed, and a broken file is an error with its path, never a panic.

mod gguf;
mod gguf_types;
#[cfg(feature = "hub")]
pub mod hub;
mod keys;
pub mod lora;
mod module;
mod source;
mod storage;
mod tensor;
mod traverse;

pub use base::tensor_file::{Mismatch, Precision, TensorFile, View, Weights, WeightsError};
pub use gguf::Gguf;
pub use gguf_types::GgufValue;
pub use keys::KeyMap;
pub use module::{
    LoadReport, ParamInfo, collect, fits, gradient, load, load_partial, params, save,
};
pub use source::{Sharded, SharedBytes, StoredTensor, TensorKind, TensorSource, Within};
pub use storage::{Changes, Loading, load_with, loaded_bytes, store_as};
pub use tensor::{CaseTensor, ReadTensor};
pub(crate) use traverse::follow_path;
