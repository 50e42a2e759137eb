//! The base networks that systems ride on, under their official names.

pub mod autoencoder_kl;
pub mod decoder;
pub mod pixart;
