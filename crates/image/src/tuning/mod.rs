//! Training on top of a Stable Diffusion model that stays as it is: pictures and prompts as it sees them, and low-rank adapters.

mod base;
mod instances;
mod lora;
mod pictures;

pub use base::{FrozenBase, Noise, Noisy};
pub use instances::Instances;
pub use lora::{LoraTask, config, lora_file};
pub use pictures::{Captioned, pictures};
