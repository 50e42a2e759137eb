//! Tokenizers, chat templates and GGUF files, from the engine's own files: without the tensor library a fuzzer is built in minutes.

#[path = "../../../crates/engine/src/text/mod.rs"]
pub mod text;

/// GGUF files, and what their tensors are.
pub mod weights {
    pub use base::tensor_file::{Weights, WeightsError};
    pub use gguf::Gguf;
    pub use gguf_types::GgufValue;
    pub use source::{TensorKind, TensorSource};

    #[path = "../../../../crates/engine/src/weights/gguf.rs"]
    mod gguf;
    #[path = "../../../../crates/engine/src/weights/gguf_types.rs"]
    mod gguf_types;
    #[path = "../../../../crates/engine/src/weights/source.rs"]
    mod source;
}
