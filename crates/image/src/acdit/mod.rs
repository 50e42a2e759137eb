//! ACDiT (arXiv 2412.07720): diffusion block by block.
//!
//! A sample is cut into blocks. Each block is denoised by diffusion, all its tokens at once, beside the *clean* blocks before
//! it, whose keys and values sit in a cache. Block size goes from token by token to the whole sequence at once.
//!
//! Training sees clean and noisy blocks in one pass under a skip-causal mask ([`model::scam`]); sampling runs
//! [`BlockSampler`].

use base::card::Card;
use base::system::System;

pub mod bench;
pub mod checkpoint;
pub mod classify;
pub mod command;
mod config;
pub mod data;
pub mod embedded;
pub mod flops;
pub mod generate;
pub mod idx;
pub mod layout;
pub mod model;
pub mod official;
pub mod pipeline;
pub mod proof;
pub mod recipe;
pub mod rope;
mod sample;
pub mod space;
pub mod train;
pub mod vae;

pub use config::{AcditConfig, RopeMode, Size};
pub use model::{Acdit, Cache};
pub use sample::{BlockSampler, SampleConfig};

/// What `orrery list` and the docs say of it.
const CARD: Card = Card {
    slug: "acdit",
    title: "ACDiT: autoregressive conditional diffusion transformer",
    paper: "arXiv 2412.07720",
    domain: "image",
    purpose: "Diffusion block by block, for pictures and clips",
    claims: &[
        "ImageNet-256 FID 2.45 (677M) and 2.37 (954M)",
        "UCF-101 FVD 104 (954M)",
    ],
    weights: "hub: JamesHujy/ACDiT; small ones are trained by `orrery acdit train`",
    licence: "code MIT (thunlp/ACDiT)",
};

/// For the registry.
pub const SYSTEM: System = System::new::<command::Command>(CARD, proof::PROOF);
