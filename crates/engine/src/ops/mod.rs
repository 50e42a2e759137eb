//! The only door to the kernels: every operation a model may use, each with its gradient.
//!
//! Activations are token-major: heads live in `[batch, tokens, heads, head]`, so no operation here needs a
//! transposed copy. Linear weights are `[out, in]`, as checkpoints store them. Each function has a fallback
//! made of Burn's own operations, which every back-end runs.

mod activation;
mod adamw;
mod attention;
mod bf16_linear;
mod conv;
mod cross_entropy;
mod custom_op;
mod embedding;
mod group_norm;
mod layer_norm;
mod linear;
mod linear_cross_entropy;
mod muon;
mod norm;
mod packed;
mod quant;
mod recompute;
mod rms_rope;
mod rope;
mod swiglu;

pub use activation::{activate, gelu, gelu_erf, silu, softmax};
pub(crate) use adamw::adamw;
pub use attention::{AttentionMask, BlockMask, MapWindows, attention, window_attention};
pub use bf16_linear::{Bf16Matrix, bf16_conv2d, bf16_linear};
pub use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
pub use conv::{
    conv_transpose1d, conv_transpose2d, conv_transpose3d, conv1d, conv2d, conv2d_then, conv3d,
};
pub use cross_entropy::{CrossEntropyOptions, cross_entropy};
#[doc(hidden)]
pub use custom_op::set_fallback;
pub use embedding::embedding;
pub use group_norm::group_norm;
pub use kernels::{Activation, Precision, QuantError, QuantKind, QuantMatrix, Window};
pub use linear::{linear, set_precision};
pub use linear_cross_entropy::linear_cross_entropy;
pub(crate) use muon::muon;
pub use norm::{add_gated_layer_norm, layer_norm, modulated_layer_norm, rms_norm};
pub use packed::{PackedOnce, linear_packed};
pub use quant::quant_linear;
pub use recompute::recompute;
pub use rope::{Rope, rms_norm_rope, rotate};
pub use swiglu::swiglu;
