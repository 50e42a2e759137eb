//! RAPL: visual rewards from little feedback (Tian et al., arXiv 2412.04835; first version ICLR 2024, arXiv 2310.07932).
//!
//! A user ranks triplets of videos. An encoder is aligned with the rankings: videos are similar when optimal transport matches
//! their embedded frames cheaply. One preferred video then gives a dense reward to every frame of any other, which trains
//! policies or builds preference sets without further humans.
//!
//! [`triplet_loss`] is the alignment, [`Transport`] the reward, [`world`] X-MAGICAL in Rust, [`sac`] the policy; `docs/rapl.md` is
//! the guide. No official code is public: the method is rebuilt from the paper.

use base::card::Card;
use base::system::System;

pub mod agent;
mod command;
mod cycle;
pub mod diffusion;
mod embeddings;
pub mod encoder;
mod ground;
pub mod learn;
mod losses;
pub mod metrics;
mod page;
pub mod physics;
pub mod proof;
pub mod rankings;
pub mod reward;
pub mod sac;
pub mod toy;
mod transport;
pub mod video;
pub mod world;

pub use crate::error::{LearningError, Result};
pub use cycle::{Cycle, CycleLoss, Similarity, TimeContrast, Timed};
pub use embeddings::Embeddings;
pub use ground::{Ground, Table};
pub use losses::{Alignment, NoiseErrors, TripletLoss, bradley_terry, diffusion_dpo, triplet_loss};
pub use transport::{Epsilon, Match, Transport, exact_cost};

/// What `orrery list` and the docs say of it.
const CARD: Card = Card {
    slug: "rapl",
    title: "RAPL: representation-aligned preference-based learning",
    paper: "arXiv 2412.04835",
    domain: "learning",
    purpose: "Visual rewards from little feedback",
    claims: &[
        "a fifth of the human preference data of RLHF",
        "Spearman correlation with the true reward (Franka group): RAPL 0.59, RLHF 0.38",
    ],
    weights: "none released: trained from scratch",
    licence: "no code released; X-MAGICAL and XIRL are public",
};

/// For the registry.
pub const SYSTEM: System = System::new::<command::Command>(CARD, proof::PROOF);
