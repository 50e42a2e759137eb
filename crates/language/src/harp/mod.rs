//! HARP: hesitation-aware reframed forward pass (Storaï and Hwang, arXiv 2412.07282, NAACL 2025).
//!
//! A change to the inference of any decoder-only language model that needs no training. Where the next-token distribution has
//! more than `theta` bits of entropy, the model hesitates: it then reads the whole input once more through embeddings of which
//! a share `delta` is set to zero, and goes on with the weighted mean of both sets of logits.
//!
//! [`harp_step`] is one step of any number of sequences; [`generate()`] the loop, with any sampler; [`HarpPipeline`] joins a
//! model with its tokenizer; `docs/harp.md` is the guide. The ordinary pass runs on a key/value cache, which the official
//! code does not have; results are the same.

use base::card::Card;
use base::system::System;

mod beam;
mod command;
mod config;
mod eval;
mod generate;
mod page;
mod pipeline;
pub mod proof;
mod reframe;
mod score;
mod step;
mod sweep;
mod task;
mod trace;
mod uniforms;

pub use beam::{BeamCompat, beam_config};
pub use config::{HarpConfig, MaskLife, Metric, Noise};
pub use engine::SystemError;
pub use eval::{Arm, ArmResult, Evaluation, evaluate};
pub use generate::{GenerateConfig, Generation, TokenStep, generate, generate_from};
pub use page::html_page;
pub use pipeline::HarpPipeline;
pub use reframe::reframe;
pub use score::{Guess, Position, score};
pub use step::{HarpSession, HarpStep, Sequence, entropy_of, harp_step, hesitates};
pub use sweep::{SweepRow, sweep};
pub use task::{Item, Scoring, read_items};
pub use trace::{Colors, json_lines, legend};
pub use uniforms::{Recorded, Uniforms};

/// What `orrery list` and the docs say of it.
const CARD: Card = Card {
    slug: "harp",
    title: "HARP: hesitation-aware reframed forward pass",
    paper: "arXiv 2412.07282",
    domain: "language",
    purpose: "Decoding that looks twice where the model is unsure",
    claims: &[
        "LLaMA-3.1 8B, LAMBADA: 30.86 greedy, 36.02 with HARP, at 1.16 times the cost",
        "CommonsenseQA: 78.79 greedy, 79.29 beam search, 80.30 HARP",
    ],
    weights: "none needed: any decoder-only language model",
    licence: "code Apache-2.0 (romsto/HARP)",
};

/// For the registry.
pub const SYSTEM: System = System::new::<command::Command>(CARD, proof::PROOF);
