//! The small-scale proof of HARP:
//!
//! 1. **smollm2**: a real small model on example sentences of WordNet, every position scored with the true prefix;
//! 2. **bytes**: byte models trained on the spot, one of them with dropout on its embeddings, so that it tolerates reframing;
//! 3. **cost**: second looks on a cached model beside the official form without a cache, and beside beam search.
//!
//! The headline, better answers of an off-the-shelf model, does not show at this size; the proof says so.

mod arms;
mod byte_model;
mod bytes;
mod cost;
mod smollm2;
mod wordnet;

use base::proof::Proof;

use super::{CARD, HarpPipeline};

/// For the registry. An absent model or WordNet leaves claims not run.
pub const PROOF: Proof = Proof::new(
    CARD.title,
    [2, 5],
    &[
        ("smollm2", smollm2::prove),
        ("bytes", bytes::prove),
        ("cost", cost::prove),
    ],
)
.open_claims(&[(
    [
        "An off-the-shelf model answers better at the defaults (LAMBADA 30.86 → 36.02)",
        "accuracy above greedy decoding",
    ],
    PAPER,
    "needs an instruct model of 7 or 8 billion parameters: `orrery harp eval --model …` is the comparison; a model of 135 million does not gain, see its table",
)]);

const PAPER: &str = "paper, tables 1 and 2";

/// SmolLM2; why not, where it is absent.
fn model() -> Result<HarpPipeline, String> {
    HarpPipeline::open("smollm2").map_err(|error| error.to_string())
}
