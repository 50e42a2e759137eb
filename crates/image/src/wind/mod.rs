//! WIND: a two-stage watermark in the initial noise (Arabi et al., arXiv 2412.04653, ICLR 2025).
//!
//! The initial noise of every generation follows from a secret key and an index. Detection inverts the diffusion and looks for
//! the nearest noise; a mark in the noise's spectrum names its group, so that only a few noises have to be compared. The
//! picture itself is not altered.
//!
//! [`Key`] makes noises, [`Detector`] the initial latents of a generation and the way back; [`LatentModel`] is what both need of
//! a diffusion model: [`StableDiffusionModel`] is a real one, [`IdealWorld`] one with a closed form. [`TreeRing`] is the
//! baseline. `docs/wind.md` is the guide.

use base::card::Card;
use base::system::System;

pub mod attack;
pub mod bench;
mod codes;
mod command;
mod detect;
mod exhaustive;
mod key;
mod latent;
mod ledger;
mod mark;
mod model;
mod noise;
pub mod proof;
mod reading;
mod region;
mod search;
mod spectrum;
mod stable_diffusion;
pub mod statistics;
mod table;
pub mod torch;
mod tree_ring;
mod windows;
mod world;

pub use attack::Attack;
pub use detect::{Detector, Progress};
pub use engine::SystemError;
pub use key::{Generator, Key, MAX_NOISES};
pub use latent::{Shape, cosine, moved, rotated, scaled};
pub use ledger::{Entry, Ledger};
pub use mark::{Mark, MarkConfig, Marker, circle};
pub use model::LatentModel;
pub use reading::{Reading, TurnBack, readings};
pub use region::Region;
pub use search::{Detection, Mode, Search, Stage};
pub use spectrum::Fourier;
pub use stable_diffusion::StableDiffusionModel;
pub use tree_ring::{Pattern, TreeRing, TreeRingTest, disc};
pub use windows::Windows;
pub use world::IdealWorld;

/// What `orrery list` and the docs say of it.
const CARD: Card = Card {
    slug: "wind",
    title: "WIND: a watermark in the initial noise",
    paper: "arXiv 2412.04653",
    domain: "image",
    purpose: "A two-stage watermark in the initial noise",
    claims: &[
        "100,000 keys, mean accuracy under attacks: WIND 0.969, RingID with 2048 keys 0.819",
        "FID 24.33, Tree-Ring 25.93",
    ],
    weights: "none needed: any latent diffusion model",
    licence: "see the official repository",
};

/// For the registry.
pub const SYSTEM: System = System::new::<command::Command>(CARD, proof::PROOF);
