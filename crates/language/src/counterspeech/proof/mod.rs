//! The small-scale proof of contextual counterspeech:
//!
//! 1. **context**: what community examples, an adapter of the communities, the conversation and the user's history do to the
//!    replies of a real small model to the invented records;
//! 2. **instrument**: studies simulated with known effects, analysed as studies of people are.
//!
//! What people think of replies cannot be tested without people; the proof says so.

mod adapter;
mod context;
mod instrument;

use base::proof::Proof;

use super::CARD;

/// For the registry. An absent model leaves claims not run.
pub const PROOF: Proof = Proof::new(
    CARD.title,
    [2, 5],
    &[
        ("context", context::prove),
        ("instrument", instrument::prove),
    ],
)
.open_claims(&[
    (
        [
            "Contextualized replies beat the generic baseline in adequacy and persuasiveness",
            "mixed model, Holm-corrected p below .05 in both aspects",
        ],
        "paper, abstract",
        PEOPLE,
    ),
    (
        [
            "Algorithmic indicators correlate poorly with human ratings",
            "Spearman's ρ over configurations below 0.5 for most indicators",
        ],
        "paper, abstract",
        PEOPLE,
    ),
]);

const PEOPLE: &str = "needs people who rate replies: `orrery counterspeech study` plans, serves and analyses such a study";
