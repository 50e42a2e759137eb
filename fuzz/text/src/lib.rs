//! Tokenizers, chat templates and GGUF files, from the engine's own files: without the tensor library a fuzzer is built in minutes.

#[path = "../../../crates/engine/src/text/mod.rs"]
pub mod text;

pub mod weights;
