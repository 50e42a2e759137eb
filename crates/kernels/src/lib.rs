//! CPU kernels: plain slices in, fresh vectors out. No tensor library inside.
//!
//! Every kernel takes the [`Level`] of instructions that it may use and gives the same bits whatever the number of
//! threads: work is split at places that depend on the shape alone, and partial sums are added in a fixed order.
//! Matrices are dense and row-major unless a function says otherwise. A NaN in the input reaches the output.

mod activation;
#[cfg(target_arch = "x86_64")]
mod amx;
mod attention;
#[cfg(target_arch = "x86_64")]
mod bf16;
#[cfg(target_arch = "x86_64")]
mod bf16_x86;
mod conv;
mod decoder;
mod embedding;
mod error;
mod gaussian;
mod group_norm;
mod input_error;
mod level;
mod linear;
mod loss;
mod math;
mod muon;
mod norm;
mod optimizer;
mod packed;
mod parallel;
mod per_batch;
mod product;
mod quant;
mod rope;
mod simd;
mod softmax;
mod swiglu;
mod team;
mod tile;
mod transpose;

pub use activation::{
    Activation, gelu, gelu_backward, gelu_erf, gelu_erf_backward, silu, silu_backward,
};
pub use attention::{
    Attention, AttentionDims, AttentionGrads, Blocks, Heads, Mask, Pairs, Window, Windows,
    attention, attention_backward,
};
pub use conv::{
    ConvAxis, ConvDims, ConvError, PackedConvWeight, channel_sums, conv, conv_backward_input,
    conv_backward_weight, conv_then, conv_transposed, conv_transposed_backward_input,
    conv_transposed_backward_weight,
};
pub use decoder::{
    CacheDims, CachedAttention, DenseKind, DenseRows, PAGE, PartialSums, Queries, RowInput,
    RowProduct, WeightRows, add_row, attention_weights, cached_attention, gate_row, layer_norm_row,
    rms_norm_row, rotate_row, row_products,
};
pub use embedding::{embedding, embedding_backward};
pub use error::ShapeError;
pub use gaussian::{GAUSSIAN_BLOCK, box_muller};
pub use group_norm::{GroupNorm, GroupNormGrads, group_norm, group_norm_backward};
pub use input_error::InputError;
pub use level::Level;
pub use linear::{
    LinearDims, add, column_sums, linear, linear_backward_input, linear_backward_weight,
};
pub use loss::{CrossEntropy, cross_entropy, cross_entropy_backward};
pub use muon::{Muon, muon};
pub use norm::{LayerNorm, LayerNormGrads, layer_norm, layer_norm_backward};
pub use optimizer::{AdamW, adamw};
pub use packed::PackedWeight;
pub use product::Precision;
pub use quant::{
    InputBits, QuantError, QuantInput, QuantKind, QuantMatrix, QuantRows, quant_linear,
    quant_linear_exact,
};
pub use rope::{RmsNorm, Rotation, rms_norm, rms_norm_backward};
pub use softmax::{softmax, softmax_backward};
pub use swiglu::{swiglu, swiglu_backward};
pub use team::Team;
pub use transpose::transpose;
