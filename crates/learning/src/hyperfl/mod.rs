//! HyperFL: federated learning whose clients share only a hypernetwork (Guo et al., arXiv 2412.07187, AAAI 2025).
//!
//! A client's feature extractor is generated from its private embedding by a hypernetwork, the only part that leaves the client;
//! the classifier head stays private too. Shared gradients of single steps still leak, to a server that knows the method: the
//! attacks here show how much, for every threat level.
//!
//! [`hyperfl_update`] is a client's work in a round, [`weighted_mean`] the server's; [`simulate`] runs all clients in one
//! process; [`attack`] holds the attacks; `docs/hyperfl.md` is the guide.

use base::card::Card;
use base::system::System;

mod accountant;
pub mod attack;
mod baselines;
pub mod checks;
mod client;
mod command;
mod config;
mod data;
pub mod flower;
mod hypernetwork;
mod layer;
mod layout;
mod local;
mod loss;
pub mod lpm;
pub mod metrics;
mod model;
mod network;
pub mod partition;
mod privacy;
pub mod proof;
mod scene;
mod simulate;
mod vector;
mod work;

pub use crate::error::{LearningError, Result};
pub use accountant::{noise_multiplier, spent};
pub use baselines::{
    PfedHn, centaur_update, dp_fedavg_update, fedavg_update, pfedhn_update, ppsgd_update,
};
pub use client::{ClientState, read_shared, read_update, write_shared, write_update};
pub use config::{Config, Method};
pub use data::{Dataset, digits};
pub use hypernetwork::{HyperGradient, Hypernetwork, Init, Recovered, Step};
pub use layout::{Layout, Slot};
pub use local::{
    Batch, LocalConfig, Losses, Mean, Noise, SAMPLE_CLIP, Samples, evaluate, fit_client,
    hyperfl_update, private_gradient, sgd_epoch, weighted_mean,
};
pub use loss::{Targets, cross_entropy, log_softmax};
pub use model::HyperModel;
pub use network::{Gradient, Model, Network, Pass, Second};
pub use privacy::{Attack, Finding, Level, Target, Victim, attack as run_attack};
pub use scene::{Scene, pictures_sheet};
pub use simulate::{RoundLog, Simulation, Split, open_client, open_shared, split, write_secret};
pub use work::{Done, SETUP, Work};

/// What `orrery list` and the docs say of it.
const CARD: Card = Card {
    slug: "hyperfl",
    title: "HyperFL: federated learning against gradient inversion",
    paper: "arXiv 2412.07187",
    domain: "learning",
    purpose: "Federated learning that shares a hypernetwork, against gradient inversion",
    claims: &[
        "CIFAR-10, 20 clients: 73.03 %, FedAvg 70.02 %, DP-FedAvg 29.12 %",
        "attack on EMNIST: PSNR 7.85, FedAvg 32.64",
    ],
    weights: "none: trained from scratch",
    licence: "see the official repository",
};

/// For the registry.
pub const SYSTEM: System = System::new::<command::Command>(CARD, proof::PROOF);
