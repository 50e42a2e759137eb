//! Federated learning and reward learning.

use engine::card::Card;

/// The systems of this crate.
pub const CARDS: &[Card] = &[
    Card::planned(
        "hyperfl",
        "HyperFL",
        "arXiv 2412.07187",
        "learning",
        "Federated learning that gradient inversion cannot read",
    ),
    Card::planned(
        "rapl",
        "RAPL",
        "arXiv 2412.04835",
        "learning",
        "Visual rewards from little human feedback",
    ),
];
