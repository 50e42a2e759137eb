//! Vision backbones and multimodal models.

use engine::card::Card;

/// The systems of this crate.
pub const CARDS: &[Card] = &[
    Card::planned(
        "emov2",
        "EMOv2",
        "arXiv 2412.06674",
        "vision",
        "Vision backbones of 5 million parameters",
    ),
    Card::planned(
        "perception-tokens",
        "Perception Tokens (AURORA)",
        "arXiv 2412.03548",
        "vision",
        "Depth and box tokens as steps of visual reasoning",
    ),
    Card::planned(
        "maya",
        "Maya",
        "arXiv 2412.07112",
        "vision",
        "A multimodal model for eight languages",
    ),
    Card::planned(
        "chimera",
        "Chimera",
        "arXiv 2412.05983",
        "vision",
        "A generalist vision-language model with routed domain experts",
    ),
    Card::planned(
        "illume",
        "ILLUME",
        "arXiv 2412.06673",
        "vision",
        "One language model that sees, draws and checks itself",
    ),
];
