//! The small-scale proof of WIND, in a world whose denoiser has a closed form:
//!
//! 1. **attacks**: 10,000 noises in 32 groups; who names the noise after which damage, beside Tree-Ring and RingID;
//! 2. **unrelated**: how often a picture without a mark is taken for one with;
//! 3. **models**: pictures that go through a model again, one's own or a forger's, and inpainted photographs;
//! 4. **files**: pictures saved, scaled and turned by other programs;
//! 5. **retrieval**: 100,000 noises of 4 x 64 x 64, derived from the key during the search;
//! 6. **embedded**: the same attacks on pictures of the embedded Stable Diffusion model.

mod attacks;
mod embedded;
mod files;
mod models;
mod retrieval;
mod unrelated;

use base::command::Failure;
use base::proof::Proof;

use super::{CARD, Detector, Generator, IdealWorld, Key, LatentModel, Search};

/// For the registry.
pub const PROOF: Proof = Proof::new(
    CARD.title,
    [3, 5],
    &[
        ("attacks", attacks::prove),
        ("unrelated", unrelated::prove),
        ("models", models::prove),
        ("files", files::prove),
        ("embedded", embedded::prove),
        ("retrieval", retrieval::prove),
    ],
)
.open_claims(&[(
    [
        "Mean accuracy under seven attacks with Stable Diffusion 2.1: WIND 0.969, RingID 0.819, Tree-Ring 0.066",
        "WIND above RingID by 0.1",
    ],
    "paper, table 1",
    "needs Stable Diffusion's weights",
)]);

const PAPER: &str = "paper, table 1, in miniature";
const SPEC: &str = "our bound, set before the run";
/// Noises and groups in the ideal world.
const NOISES: u64 = 10_000;
const GROUPS: usize = 32;

/// The world, and a detector with a key that follows from the seed.
fn world(seed: u64) -> Result<(IdealWorld, Detector), Failure> {
    let world = IdealWorld::usual();
    let detector = Detector::new(key(seed, NOISES, GROUPS)?, world.shape())?;
    Ok((world, detector))
}

fn key(seed: u64, noises: u64, groups: usize) -> Result<Key, Failure> {
    let salt = format!("the proof's salt {seed}").into_bytes();
    Ok(Key::from_salt(salt, noises, groups, Generator::Chacha20)?)
}

fn search(alpha: f64) -> Search {
    Search {
        alpha,
        ..Search::default()
    }
}
