//! Moxin-7B: a fully open language model recipe (Zhao, Shen, Kong et al., arXiv 2412.06845).
//!
//! Every stage of the recipe at any scale: cleaning and mixing of data, a vocabulary, pre-training in phases, growing a model
//! in depth, supervised fine-tuning, DPO, GRPO, evaluation by log-likelihood, and the check list of the Model Openness
//! Framework. Weights of the published models run through [`engine::models::decoder`]. `docs/moxin.md` is the guide.

use base::card::Card;
use base::system::System;

mod chat;
mod command;
pub mod data;
mod dpo;
mod eval;
mod expand;
mod grpo;
mod openness;
mod preference;
mod pretrain;
pub mod proof;
mod question;
mod reward;
mod rollout;
mod student;
mod tokens;
mod training;
mod tuning;
mod wordnet;

pub use chat::{Encoded, Message, Role, TULU, encode_completion, encode_messages, encode_question};
pub use dpo::{Pair, PairsTask, Preference, dpo, read_pairs, reference_scores};
pub use engine::SystemError;
pub use eval::{Score, draw_shots, score as score_question, text_loss};
pub use expand::{expand, places as expand_places};
pub use grpo::{Grpo, Problem, ProblemsTask, grpo, read_problems};
pub use openness::{Component, Openness, openness};
pub use preference::{
    DpoLoss, GrpoLimits, GrpoLoss, answer_log_probabilities, answer_scores, dpo_loss,
    group_advantages, grpo_loss,
};
pub use pretrain::{Phase, Pretrain, Start, Thrift};
pub use question::{Question, read_questions};
pub use reward::reward;
pub use rollout::answers;
pub use student::{Student, copy_tokenizer};
pub use tokens::TokensTask;
pub use training::{Place, Recipe};
#[cfg(feature = "counterspeech")]
pub(crate) use tuning::text_at;
pub use tuning::{Examples, ExamplesTask, read_examples, sft, steps_of};
pub use wordnet::{Noun, NounTask};

/// What `orrery list` and the docs say of it.
const CARD: Card = Card {
    slug: "moxin",
    title: "Moxin-7B: a fully open language model",
    paper: "arXiv 2412.06845",
    domain: "language",
    purpose: "An open 7B recipe, from pretraining to chat",
    claims: &[
        "zero-shot average 75.44 for the enhanced base, Mistral-7B 73.29",
        "few-shot average 70.55, Mistral-7B 70.51",
    ],
    weights: "hub: moxin-org",
    licence: "code Apache-2.0 (moxin-org/Moxin-LLM)",
};

/// For the registry.
pub const SYSTEM: System = System::new::<command::Command>(CARD, proof::PROOF);
