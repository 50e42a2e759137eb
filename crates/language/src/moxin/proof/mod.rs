//! The small-scale proof: depth, the capability phase, near-duplicates, the sliding window, and a preference.

use base::proof::Proof;

use super::CARD;

mod corpus;
mod duplicates;
mod models;
mod parts;
mod style;

/// For the registry.
pub const PROOF: Proof = Proof::new(
    CARD.title,
    [3, 5],
    &[
        ("depth", parts::depth),
        ("capability", parts::capability),
        ("dedup", duplicates::prove),
        ("window", parts::window),
        ("style", style::prove),
    ],
);
