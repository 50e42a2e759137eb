//! Layers built on [`crate::ops`]: a config with its defaults, an `init`, a `forward` with shapes.

mod attention;
mod condition;
mod conv;
mod cross_attention;
mod linear;
mod lora;
mod norm;
mod patch;
mod weight_storage;

pub use attention::{Attention, AttentionConfig};
pub use condition::{AdaLayerNorm, EmbeddingMlp, sinusoid};
pub use conv::{Conv2d, Conv2dConfig};
pub use cross_attention::{AttentionCall, AttentionHooks, CrossAttention};
pub use linear::{Init, Linear, LinearConfig};
pub use lora::LoraFactors;
pub use norm::{BatchNorm, GroupNorm, LayerNorm, RmsNorm};
pub use patch::Cubify;
pub(crate) use weight_storage::store;
pub use weight_storage::{LowRank, StoredWeight, WeightKind, WeightStorage};
