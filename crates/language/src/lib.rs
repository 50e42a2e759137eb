//! Decoding, steering, guarding and speaking: systems around language models.

use engine::card::Card;

/// The systems of this crate.
pub const CARDS: &[Card] = &[
    Card::planned(
        "harp",
        "HARP: hesitation-aware reframed forward pass",
        "arXiv 2412.07282",
        "language",
        "Decoding that takes a second, reframed look where the model is unsure",
    ),
    Card::planned(
        "frames",
        "Frame Representation Hypothesis",
        "arXiv 2412.07334",
        "language",
        "Concepts as frames of word vectors, and generation guided by them",
    ),
    Card::planned(
        "moxin",
        "Moxin-7B: a fully open language model",
        "arXiv 2412.06845",
        "language",
        "An open 7B recipe, from pretraining to chat",
    ),
    Card::planned(
        "guardian",
        "Granite Guardian",
        "arXiv 2412.07724",
        "language",
        "Risk detection for prompts, answers, retrieval and tool calls",
    ),
    Card::planned(
        "counterspeech",
        "Contextualized counterspeech",
        "arXiv 2412.07338",
        "language",
        "Replies to toxic text that fit the conversation and its author",
    ),
];
