//! ACDiT (arXiv 2412.07720): diffusion block by block.
//!
//! A sample is cut into blocks. Each block is denoised by diffusion, all its tokens at once, beside the *clean* blocks before
//! it, whose keys and values sit in a cache. Block size goes from token by token to the whole sequence at once.
//!
//! Training sees clean and noisy blocks in one pass under a skip-causal mask ([`model::scam`]); sampling runs
//! [`BlockSampler`].

pub mod checkpoint;
mod config;
pub mod layout;
pub mod model;
pub mod rope;
mod sample;
pub mod train;

pub use config::{AcditConfig, RopeMode, Size};
pub use model::{Acdit, Cache};
pub use sample::{BlockSampler, SampleConfig};
