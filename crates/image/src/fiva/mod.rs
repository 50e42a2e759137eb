//! FiVA: fine-grained visual attributes (Wu et al., arXiv 2412.07674, NeurIPS 2024): up to three reference pictures, each with a word
//! for what is wanted of it, and a text with the subject; the adapter takes over exactly these attributes.
//!
//! [`pipeline::Extractor`] reads references (BLIP-Diffusion's Q-Former), [`pipeline::Guide`] holds their tokens,
//! [`pipeline::generate`] draws with Stable Diffusion XL and an [`Adapter`], a second pair of keys and values in every
//! cross-attention. [`range`], [`taxonomy`] and [`data`] make training data, [`train`] trains, [`judge`] is the paper's study.
//! `docs/fiva.md` is the guide.

use base::card::Card;
use base::system::System;

mod adapter;
pub mod checkpoint;
mod command;
pub mod data;
pub mod filter;
pub mod judge;
pub mod latents;
pub mod pairs;
pub mod pipeline;
pub mod preprocess;
mod projector;
pub mod proof;
pub mod range;
mod recipe;
pub mod render;
pub mod render_set;
pub mod tags;
pub mod taxonomy;
pub mod tower;
pub mod train;

pub use adapter::{Adapter, Branch, Decoupled, Place, places};
pub use engine::SystemError;
pub use pipeline::{Extractor, Guide, Reference, Uncond, generate};
pub use projector::{Padding, Projector, SLOTS};
pub use tags::TagTokenizer;
pub use taxonomy::Taxonomy;

/// What `orrery list` and the docs say of it.
const CARD: Card = Card {
    slug: "fiva",
    title: "FiVA: fine-grained visual attributes",
    paper: "arXiv 2412.07674",
    domain: "image",
    purpose: "Control by visual attributes of reference pictures",
    claims: &[
        "user study, subject right: FiVA 0.817, DEADiff 0.605",
        "attribute and subject right: 0.348, StyleAligned 0.298",
    ],
    weights: "no adapter checkpoint released; base: SDXL, BLIP-Diffusion's Q-Former",
    licence: "see wutong16/FiVA; data under the Playground v2.5 licence",
};

/// For the registry.
pub const SYSTEM: System = System::new::<command::Command>(CARD, proof::PROOF);
