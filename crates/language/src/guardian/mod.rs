//! Granite Guardian (arXiv 2412.07724): risks of prompts, answers, retrieved context and tool calls.
//!
//! A language model reads messages and the definition of a risk ([`prompt`]) and answers yes or no; the probability of yes
//! is the score ([`probability`]). Any decoder can be asked ([`language`]); Granite Guardian checkpoints are asked with
//! their own template. For other models there is a small guard of ours, a classifier on what the model makes of the prompt
//! ([`features`], [`head`]), trained by [`train`] and shipped for SmolLM2-135M-Instruct. Rules check tool calls exactly
//! ([`tools`]).
//!
//! **Yes means risk**: for groundedness, that the answer is *not* grounded.
//!
//! `docs/guardian.md` is the guide.

use base::card::Card;
use base::system::System;

pub mod baseline;
pub mod command;
pub mod features;
pub mod head;
pub mod language;
pub mod metrics;
pub mod pipeline;
pub mod probability;
pub mod prompt;
pub mod proof;
pub mod record;
pub mod risk;
pub mod sets;
pub mod store;
pub mod synth;
pub mod tools;
pub mod train;
pub mod wording;

pub use engine::SystemError;
pub use pipeline::{Assessment, Classifier, Guardian, GuardianOptions};
pub use prompt::{Message, Prompt, Version};
pub use risk::{RISKS, RiskConfig};
pub use wording::Wording;

/// What `orrery list` and the docs say of it.
const CARD: Card = Card {
    slug: "guardian",
    title: "Granite Guardian: risk detection",
    paper: "arXiv 2412.07724",
    domain: "language",
    purpose: "Risk detection in prompts, answers, retrieved context and tool calls",
    claims: &[
        "harm benchmarks, 8B: AUC 0.871, F1 0.758; Llama-Guard-3-8B 0.826 and 0.710",
        "groundedness on TRUE: AUC 0.854",
    ],
    weights: "hub: ibm-granite; a small guard of ours on SmolLM2-135M-Instruct ships",
    licence: "Apache-2.0 (ibm-granite/granite-guardian); the wording of prompts and definitions here is ours",
};

/// For the registry.
pub const SYSTEM: System = System::new::<command::Command>(CARD, proof::PROOF).after_help(
    "Yes means that the risk is there: for groundedness, that the answer is not grounded.",
);
