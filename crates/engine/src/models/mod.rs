//! The base networks that systems ride on, under their official names.

pub mod autoencoder_kl;
pub mod autoencoder_tiny;
#[cfg(feature = "language")]
pub mod causal_lm;
#[cfg(feature = "stable-diffusion")]
mod clip_layer;
#[cfg(feature = "stable-diffusion")]
pub mod clip_text;
#[cfg(feature = "stable-diffusion")]
pub mod clip_vision;
#[cfg(feature = "language")]
pub mod decoder;
pub mod emoji_judge;
pub mod pixart;
#[cfg(feature = "stable-diffusion")]
pub mod qformer;
#[cfg(feature = "stable-diffusion")]
pub mod stable_diffusion;
pub mod t5_encoder;
#[cfg(feature = "stable-diffusion")]
pub mod unet2d;
