//! Decoder-only language models of the Llama and Mistral form that are trained: Burn modules whose field paths are the
//! official names.
//!
//! Pre-norm blocks of RMS norm, rotary attention with grouped heads and an optional sliding window, and SwiGLU, without biases.
//! A trained model is saved as a folder that [`models::decoder`](super::decoder) generates from, and reads such folders.
//!
//! ```no_run
//! use base::rng::Rng;
//! use engine::burn::tensor::Device;
//! use engine::models::causal_lm::{CausalLmConfig, LossOptions, Sequences};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = CausalLmConfig { vocab_size: 300, hidden_size: 64, num_hidden_layers: 2, ..CausalLmConfig::toy() };
//! let device = Device::flex().autodiff();
//! let model = config.init(&mut Rng::new(0), &device)?;
//! let batch = Sequences::padded(&[(vec![1, 5, 9], vec![-100, 5, 9])], 0);
//! let loss = model.loss(&batch, &LossOptions::default(), None);
//! # Ok(())
//! # }
//! ```

mod adapter;
mod attention;
mod batch;
mod config;
mod decoded;
mod folder;
mod lora;
mod model;
mod vocabulary;

pub use batch::{IGNORED, Sequences};
pub use config::CausalLmConfig;
pub use folder::CausalLmError;
pub use lora::{LoraConfig, LowRank, Projection};
pub use model::{Block, CausalLm, Dropout, LossOptions};
pub use vocabulary::train_bpe;
