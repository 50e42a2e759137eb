//! CodeArena and SynCode-Instruct (arXiv 2412.05210): code models aligned with human preference.
//!
//! **CodeArena**: a model answers 397 questions from real use ([`generate`]); a language model compares each answer with a
//! fixed baseline's in two games, the second with the places swapped ([`games`], [`judging`]); signs of the points give win,
//! tie or loss ([`scores`]), several models a Bradley–Terry rating ([`rating`]). Protocol, quirks and file formats are those
//! of the official code, checked by `tests/codearena.rs`; the judge's wording is ours unless `--judge-config` names the
//! official file.
//!
//! **SynCode-Instruct** ([`syncode`]): the recipe from web pages to verified instruction data as steps from file to file.
//! Answers are run in a [`sandbox`].
//!
//! `docs/codearena.md` is the guide.

use base::card::Card;
use base::hash::{FNV_START, fnv1a};
use base::system::System;

pub mod backend;
pub mod bias;
pub mod classify;
pub mod command;
pub mod config;
pub mod games;
pub mod generate;
pub mod item;
pub mod judging;
pub mod literal;
pub mod parts;
pub mod passk;
pub mod proof;
pub mod rating;
pub mod report;
pub mod rubric;
pub mod sandbox;
pub mod scores;
pub mod syncode;
pub mod tables;
pub mod tally;
pub mod taxonomy;
pub mod template;
pub mod verdict;

/// What `orrery list` and the docs say of it.
const CARD: Card = Card {
    slug: "codearena",
    title: "CodeArena and SynCode-Instruct: code models aligned with human preference",
    paper: "arXiv 2412.05210",
    domain: "judge",
    purpose: "Evaluation of code models on human preference, and synthesis of instructions",
    claims: &[
        "397 questions; o1-mini wins 89.3 %, Qwen2.5-SynCoder 49.2 % against GPT-4-Turbo",
        "SynCoder: HumanEval 92.7, MBPP 86.2",
    ],
    weights: "none needed; the questions come from hub data set CSJianYang/CodeArena",
    licence: "official code and taxonomy Apache-2.0; the questions are not bundled, the judge's wording is ours",
};

/// A fingerprint of texts that is the same everywhere: FNV-1a with each text's length between them, mixed once.
pub(crate) fn fingerprint(parts: &[&str]) -> u64 {
    let mut hash = FNV_START;
    for part in parts {
        let length = (part.len() as u64).to_le_bytes();
        hash = fnv1a(hash, part.bytes().chain(length));
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}

/// For the registry.
pub const SYSTEM: System = System::new::<command::Command>(CARD, proof::PROOF).after_help(
    "A comparison takes three steps: `generate` lets a model answer, `judge` compares its answers with a baseline's, `score` counts.",
);
