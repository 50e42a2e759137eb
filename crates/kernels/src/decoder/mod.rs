//! What a language model's decoder is made of, for a [`Team`](crate::Team) of threads.
//!
//! A row of a result depends on its own inputs alone, to the last bit: not on how many rows are computed together,
//! nor on the number of threads. Products sum along a row of the weight in the same order whatever the shape of the
//! tile, and attention sums over keys in spans that begin at fixed positions of the sequence.

mod attention;
mod cache;
mod dense;
mod page;
mod products;
mod rows;
mod simd;

pub use attention::{CachedAttention, PartialSums, Queries, attention_weights, cached_attention};
pub use cache::{CacheDims, PAGE};
pub use dense::{DenseKind, DenseRows};
pub use products::{RowInput, RowProduct, WeightRows, row_products};
pub use rows::{add_row, gate_row, layer_norm_row, rms_norm_row, rotate_row};
