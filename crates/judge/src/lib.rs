//! Evaluation systems: document parsing, code models.

use engine::card::Card;

/// The systems of this crate.
pub const CARDS: &[Card] = &[
    Card::planned(
        "omnidocbench",
        "OmniDocBench",
        "arXiv 2412.07626",
        "judge",
        "Evaluation of document parsers",
    ),
    Card::planned(
        "codearena",
        "CodeArena and SynCode-Instruct",
        "arXiv 2412.05210",
        "judge",
        "Evaluation of code models on human preference, and instruction synthesis",
    ),
];
