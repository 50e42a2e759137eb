//! Tokenizers, chat templates and safetensors, from the engine's own files: without the tensor library a fuzzer is built in
//! minutes.

extern crate self as burn;

#[path = "../../../crates/engine/src/text/mod.rs"]
pub mod text;

pub mod weights;

/// Tensors, which no fuzzer here asks for.
pub mod tensor {
    pub struct Device;
    pub struct Tensor<const D: usize>;
    pub struct TensorData;

    impl TensorData {
        pub fn new(_: Vec<f32>, _: Vec<usize>) -> Self {
            Self
        }
    }

    impl<const D: usize> Tensor<D> {
        pub fn from_data(_: TensorData, _: &Device) -> Self {
            Self
        }
    }
}

pub mod files;

/// One-line errors.
pub mod command {
    /// Bad input.
    pub struct Failure(pub String);

    impl Failure {
        pub fn input(line: impl std::fmt::Display) -> Self {
            Self(line.to_string())
        }
    }

    pub fn one_line(text: &str) -> String {
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        text.trim_end().chars().map(clean).collect()
    }
}

/// Messages.
pub mod endpoint {
    pub struct Message {
        pub role: String,
        pub content: String,
    }
}
