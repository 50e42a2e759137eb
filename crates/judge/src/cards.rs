//! The cards of this crate's planned systems.

use engine::card::{Card, Status};

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
    Card {
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
        licence: "see the Qwen2.5-Coder repository",
        status: Status::Planned,
    },
];
