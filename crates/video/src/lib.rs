//! Video generation and control.

pub mod stiv;
