//! The base networks that systems ride on, under their official names.

pub mod autoencoder_kl;
pub mod autoencoder_tiny;
pub mod causal_lm;
mod clip_layer;
pub mod clip_text;
pub mod clip_vision;
pub mod decoder;
pub mod emoji_judge;
pub mod pixart;
pub mod qformer;
pub mod stable_diffusion;
pub mod t5_encoder;
pub mod unet2d;
