//! The small-scale proof of LoRA.rar:
//!
//! 1. **world**: sprites, a denoiser, 15 subject and 9 style adapters trained on the spot; a hypernetwork trained on 12 × 7 pairs
//!    merges 3 × 2 pairs that it never saw, beside ZipLoRA, the plain sum, the best constant weights and the classical rules;
//! 2. **embedded**: the same arms on the Stable-Diffusion-shaped model inside the program;
//! 3. **cost**: SDXL's 280 layers at rank 64, from the factors and from dense updates.
//!
//! What needs SDXL is listed as not run.

mod arms;
mod cost;
mod denoiser;
mod embedded;
mod emoji_world;
mod pair_test;
mod renderings;
mod sprites;
mod tables;
mod world;
mod worlds;

use base::proof::Proof;

use super::CARD;

/// For the registry.
pub const PROOF: Proof = Proof::new(
    CARD.title,
    [3, 5],
    &[
        ("world", tables::prove),
        ("embedded", embedded::prove),
        ("cost", cost::prove),
    ],
)
.open_claims(&[(
    [
        "On SDXL more pictures show both subject and style than with ZipLoRA (about 0.71 and 0.58)",
        "joint accuracy above ZipLoRA's, by a judge that sees",
    ],
    PAPER,
    "needs SDXL, adapters and a judge of billions of parameters: `orrery lora-rar merge` and `judge` are the steps",
)]);

const PAPER: &str = "paper, abstract";
