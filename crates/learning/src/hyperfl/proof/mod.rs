//! The small-scale proof: accuracy beside the baselines, what aggregation costs, and what a server reconstructs.

use base::proof::Proof;

use super::CARD;

mod accuracy;
mod privacy;

/// For the registry.
pub const PROOF: Proof = Proof::new(
    CARD.title,
    [3, 5],
    &[
        ("digits", accuracy::digits),
        ("few", accuracy::few),
        ("fashion", accuracy::fashion),
        ("privacy", privacy::prove),
    ],
);
