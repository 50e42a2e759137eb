//! The cards of this crate's systems; a built one keeps its card in its own room.

use engine::card::{Card, Status};

use crate::codearena;

/// Cards in the order of the map.
pub const CARDS: &[Card] = &[
    Card {
        slug: "omnidocbench",
        title: "OmniDocBench: evaluation of document parsing",
        paper: "arXiv 2412.07626",
        domain: "judge",
        purpose: "Evaluation of document parsers: text, formulas, tables, reading order",
        claims: &[
            "981 pages of 9 kinds (v1.0); MinerU: overall edit distance 0.15 English, 0.357 Chinese",
        ],
        weights: "none needed; the pages come from hub data set opendatalab/OmniDocBench",
        licence: "data for research use only, never bundled",
        status: Status::Planned,
    },
    codearena::CARD,
];
