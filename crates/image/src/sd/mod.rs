//! `orrery sd`: Stable Diffusion 1.x, 2.x and XL with weights of the user's own. The networks and the pipeline are in
//! [`engine::models::stable_diffusion`]; here are its verbs, what is written into a picture so that it can be made again, the training of
//! LoRAs, and the training of a small model of the same shape with what it is measured by.

mod command;
pub mod eval;
mod generation_params;
pub mod lora;
mod options;
pub mod train;

pub use command::Command;
pub use generation_params::{GenerationParams, KEY};
