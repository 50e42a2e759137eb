//! STIV: scalable text- and image-conditioned video generation (arXiv 2412.07730, ICCV 2025).
//!
//! One diffusion transformer with factorised attention makes clips from text and, by *frame replacement*, from any
//! frames that are given: overwritten by their clean latents at every step of training and sampling. Dropping text and
//! frames in training allows joint image-text guidance; CFG-renorm keeps the guided velocity at the length of the
//! conditional one. The authors released neither code nor weights: the parity tests check an independent reference of
//! the paper's equations.
//!
//! [`StivConfig`] → [`Stiv`] → [`sample()`]; [`StivPipeline`] joins a model with its text tower and is the call to make:
//! [`GenerationParams`] in, images or clips and their provenance out; [`stages`] trains the embedded models;
//! `docs/stiv.md` is the guide.

use base::card::Card;
use base::system::System;

mod block;
pub mod checkpoint;
pub mod clips;
pub mod command;
mod condition;
pub mod config;
pub mod data;
pub mod embedded;
mod first_frame;
pub mod generation_params;
pub mod inflate;
pub mod judge;
pub mod metrics;
pub mod model;
pub mod pipeline;
pub mod prompt_analysis;
pub mod proof;
pub mod sample;
pub mod scenes;
pub mod stages;
pub mod subjects;
pub mod text;
pub mod tower;
pub mod train;
pub mod words;

pub use block::Block;
pub use condition::{Condition, Texts, replace_given};
pub use config::StivConfig;
pub use generation_params::{GenerationParams, GivenFrame};
pub use model::{ForwardOptions, Stiv};
pub use pipeline::{Generated, StivPipeline};
pub use prompt_analysis::PromptAnalysis;
pub use sample::{Given, Guidance, NullImage, SampleConfig, Sampled, sample};

/// What `orrery list` and the docs say of it.
const CARD: Card = Card {
    slug: "stiv",
    title: "STIV: scalable text- and image-conditioned video generation",
    paper: "arXiv 2412.07730",
    domain: "video",
    purpose: "Text, and text with given frames, to video in one transformer",
    claims: &[
        "one model serves T2V and TI2V: VBench total 81.2 at 8.7B and 512², VBench-I2V total 90.1",
        "image-condition dropout keeps T2V alive: VBench total 66.1 without, 80.7 with it",
        "CFG-renorm lowers COCO FID from 24.96 to 21.16",
    ],
    weights: "none released; the embedded models are trained by `orrery stiv train`",
    licence: "method re-implemented from the paper; embedded weights MIT OR Apache-2.0, data as in assets/",
};

/// For the registry.
pub const SYSTEM: System = System::new::<command::Command>(CARD, proof::PROOF);
