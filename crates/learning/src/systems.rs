//! The systems of this crate, in the order of the README's table.

use base::card::Card;
use base::system::System;

/// See [`System`].
pub const SYSTEMS: &[System] = &[
    #[cfg(feature = "hyperfl")]
    crate::hyperfl::SYSTEM,
    System::planned(Card {
        slug: "rapl",
        title: "RAPL: representation-aligned preference-based learning",
        paper: "arXiv 2412.04835",
        domain: "learning",
        purpose: "Visual rewards from little feedback",
        claims: &[
            "a fifth of the human preference data of RLHF",
            "Spearman correlation with the true reward (Franka group): RAPL 0.59, RLHF 0.38",
        ],
        weights: "none released",
        licence: "no code released; X-MAGICAL and XIRL are public",
    }),
];
