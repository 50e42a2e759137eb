//! Contextualized counterspeech (Cima et al., arXiv 2412.07338, The Web Conference 2025): civil replies to toxic text that
//! know the community, the conversation and the person they answer; indicators of how good they are; and a study in which
//! people say so.
//!
//! The paper published five LoRA adapters and no code, prompts or metrics. What could not be read is **reconstructed**: the
//! factorisation of its 36 configurations, all prompts, all indicators, and the protocol of the study.
//!
//! [`Replier`] joins a chat model with adapters by name, which [`Training`] trains; [`Run`] answers records by the cells of a [`Grid`]; [`indicators`]
//! measures, [`rank()`] orders; [`study`] plans, serves and analyses. Nothing here posts anything. `docs/counterspeech.md` is
//! the guide.

use base::card::Card;
use base::system::System;

mod chat;
mod command;
mod diversity;
mod generate;
mod grid;
pub mod indicators;
mod ngram;
mod pipeline;
mod plot;
mod prompt;
pub mod proof;
mod rank;
mod readability;
mod record;
mod refusal;
mod rouge;
mod store;
pub mod study;
mod style;
mod summary;
mod synthetic;
mod table;
mod train;

pub use chat::{encode_reply, llama2_chat};
pub use diversity::{Diversity, repetition_rate};
pub use engine::SystemError;
pub use generate::{PROFILING, Row, Run, Tally};
pub use grid::{BASELINE, Configuration, Factor, Grid};
pub use ngram::CharacterModel;
pub use pipeline::{Drawing, Replier, Reply};
pub use plot::factor_plot;
pub use prompt::{Block, Place, Prompt, Prompts};
pub use rank::{Aggregate, Ranked, Scale, rank};
pub use readability::Readability;
pub use record::{AuthorKey, Community, Record, SYNTHETIC, Turn, User, read_records};
pub use refusal::{clean, is_refusal};
pub use rouge::{Overlap, rouge_l, rouge_n, tokens};
pub use store::sha256;
pub use style::{StyleScale, StyleVector, cosine, profile_similarity, style_vector};
pub use summary::{ConfigurationSummary, DRAWS, FactorEffect, Mean, effects, summarise};
pub use synthetic::{synthetic, synthetic_comments};
pub use table::{read_summary, read_table, write_summary, write_table};
pub use train::{Stage, Training, default_recipe, open_base, read_pairs};

/// What `orrery list` and the docs say of it.
const CARD: Card = Card {
    slug: "counterspeech",
    title: "Contextualized counterspeech",
    paper: "arXiv 2412.07338",
    domain: "language",
    purpose: "Replies to toxic text that fit the conversation",
    claims: &[
        "contextualized replies beat the generic baseline in adequacy and persuasiveness",
        "automatic indicators correlate poorly with human ratings",
    ],
    weights: "five published LoRA adapters on Llama-2-13B-chat; any chat model",
    licence: "no public code; base model under the Llama 2 licence",
};

/// For the registry.
pub const SYSTEM: System = System::new::<command::Command>(CARD, proof::PROOF).after_help(
    "Replies are machine text for a person to read and approve. No verb posts anything.",
);
