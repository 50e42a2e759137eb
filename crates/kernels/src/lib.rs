//! CPU kernels: plain slices in, fresh vectors out. No tensor library inside.
//!
//! Every kernel takes the [`Level`] of instructions that it may use and gives the same bits whatever the number of
//! threads: work is split at places that depend on the shape alone, and partial sums are added in a fixed order.
//! Matrices are dense and row-major unless a function says otherwise. A NaN in the input reaches the output.

mod activation;
mod error;
mod level;
mod math;
mod norm;
mod parallel;
mod rope;
mod softmax;

pub use activation::{gelu, gelu_backward, silu, silu_backward};
pub use error::ShapeError;
pub use level::Level;
pub use norm::{LayerNorm, LayerNormGrads, layer_norm, layer_norm_backward};
pub use rope::{RmsNorm, Rotation, rms_norm, rms_norm_backward};
pub use softmax::{softmax, softmax_backward};
