//! The small-scale proof: how many rankings an aligned reward needs, what it does for a diffusion policy, and for SAC.

use base::proof::Proof;

use super::CARD;

mod control;
mod modes;
mod rankings;

/// For the registry. The seeds below 5 were looked at while the proof was made.
pub const PROOF: Proof = Proof::new(
    CARD.title,
    [5, 5],
    &[
        ("rankings", rankings::prove),
        ("modes", modes::prove),
        ("control", control::prove),
    ],
)
.first_seed(5);
