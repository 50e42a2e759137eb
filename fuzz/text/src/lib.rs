//! Tokenizers and chat templates, from the engine's own files: without the tensor library a fuzzer is built in minutes.

#[path = "../../../crates/engine/src/text/mod.rs"]
pub mod text;

/// GGUF files, of which there are none here: their reader has a fuzzer of its own.
pub mod weights {
    pub use base::tensor_file::WeightsError;

    pub struct Gguf;

    /// A value that no file has.
    pub struct GgufValue;

    impl Gguf {
        pub fn open(path: &std::path::Path) -> Result<Self, WeightsError> {
            Err(WeightsError::Read {
                path: path.into(),
                source: std::io::ErrorKind::NotFound.into(),
            })
        }

        pub fn value(&self, _: &str) -> Option<&GgufValue> {
            None
        }
    }

    impl GgufValue {
        pub fn int(&self) -> Option<i64> {
            None
        }
        pub fn bool(&self) -> Option<bool> {
            None
        }
        pub fn text(&self) -> Option<&str> {
            None
        }
        pub fn texts(&self) -> Option<&[Vec<u8>]> {
            None
        }
        pub fn ints(&self) -> Option<&[i64]> {
            None
        }
        pub fn floats(&self) -> Option<&[f64]> {
            None
        }
    }
}
