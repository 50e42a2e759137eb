//! OmniDocBench (arXiv 2412.07626): how well a document parser turned pages into markdown.
//!
//! A page's predicted markdown is taken apart ([`extract`]), normalised ([`normalize`]), matched with the annotated blocks
//! ([`matching`]) and scored ([`metrics`], [`cdm`]). Everything numbers depend on follows the official evaluator, quirks
//! included, in both of its protocols ([`Protocol`]).

use base::card::Card;
use base::system::System;

pub mod cdm;
pub mod command;
pub mod config;
mod element;
mod error;
pub mod evaluate;
pub mod extract;
mod journal;
pub mod matching;
pub mod merge;
pub mod metrics;
pub mod module;
pub mod normalize;
pub mod page;
pub mod prediction;
pub mod proof;
mod protocol;
pub mod python;
pub mod report;
pub mod run;
pub mod score;
mod sink;
mod source;

pub use element::{Element, Fine, Kind};
pub use protocol::Protocol;

/// What `orrery list` and the docs say of it.
const CARD: Card = Card {
    slug: "omnidocbench",
    title: "OmniDocBench: evaluation of document parsing",
    paper: "arXiv 2412.07626",
    domain: "judge",
    purpose: "Evaluation of document parsers: text, formulas, tables, reading order",
    claims: &[
        "981 pages of 9 kinds (v1.0); MinerU: overall edit distance 0.15 English, 0.357 Chinese",
        "adjacency search match finds paragraphs that a parser split or joined",
    ],
    weights: "none needed; the pages come from hub data set opendatalab/OmniDocBench",
    licence: "data for research use only, never bundled; LaTeX macros from pylatexenc (MIT), synonyms from WordNet 3.0",
};

/// For the registry.
pub const SYSTEM: System = System::new::<command::Command>(CARD, proof::PROOF);
