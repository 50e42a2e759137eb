//! Layers built on [`crate::ops`]: a config with its defaults, an `init`, a `forward` with shapes.

mod attention;
mod condition;
mod linear;
mod norm;
mod patch;

pub use attention::{Attention, AttentionConfig};
pub use condition::{AdaLayerNorm, EmbeddingMlp, sinusoid};
pub use linear::{Init, Linear, LinearConfig};
pub use norm::RmsNorm;
pub use patch::Cubify;
