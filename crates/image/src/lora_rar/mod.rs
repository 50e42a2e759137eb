//! LoRA.rar: merging of a subject and a style LoRA by a hypernetwork (Shenaj et al., arXiv 2412.05148, ICCV 2025).
//!
//! A small network, trained once on many pairs, reads the columns of two low-rank updates and gives two coefficients a column; the
//! merged update is `D_c diag(m_c) + D_s diag(m_s)`. A new pair costs one forward pass, where ZipLoRA optimises the coefficients anew.
//!
//! [`pipeline::Job`] merges two files, [`merge_layer`] one layer by any method, [`Hypernet`] is the network with its official
//! names, [`distill`] the objective that it shares with [`ziplora`]; [`unet`] brings both to a U-Net, and [`recipe`] trains a network. `docs/lora-rar.md` is the guide. The network is evaluated on the factors;
//! the dense updates, which the official code makes, are never needed.

use base::card::Card;
use base::system::System;

mod adapter;
mod baselines;
pub mod bench;
pub mod captions;
mod command;
pub mod distill;
mod hypernet;
pub mod judge;
mod matrix;
mod merge;
mod names;
pub mod pipeline;
pub mod proof;
pub mod recipe;
mod svd;
pub mod train;
pub mod unet;
pub mod ziplora;

pub use adapter::{DENSE_RANK, Factors, LoraFile, base_name, put};
pub use baselines::{Keep, Rule, Weighted};
pub use engine::SystemError;
pub use hypernet::{Coefficients, FactorTensors, HIDDEN, Hypernet, SDXL_WIDTHS};
pub use matrix::Matrix;
pub use merge::{Columns, Merged, Merger, Method, Settings, Summary, merge_columns, merge_layer};
pub use names::{Format, Layer, Network, Slot, parse};

/// What `orrery list` and the docs say of it.
const CARD: Card = Card {
    slug: "lora-rar",
    title: "LoRA.rar: merging of LoRAs by a hypernetwork",
    paper: "arXiv 2412.05148",
    domain: "image",
    purpose: "Merging of a subject and a style LoRA by a hypernetwork",
    claims: &[
        "merges more than 4000 times faster than ZipLoRA",
        "about 0.5M parameters",
    ],
    weights: "two checkpoints in github donaldssh/LoRA.rar",
    licence: "code CC BY-NC-SA 4.0 (donaldssh/LoRA.rar)",
};

/// For the registry.
pub const SYSTEM: System = System::new::<command::Command>(CARD, proof::PROOF);
