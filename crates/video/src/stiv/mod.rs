//! STIV: scalable text- and image-conditioned video generation (arXiv 2412.07730).
//!
//! One diffusion transformer turns text into pictures, text into clips, and text with given frames into clips. Given
//! frames replace noise in the input and are dropped at random in training, so that one model serves them all; guidance
//! drops text and frames together. [`studio::Studio`] draws with trained weights, [`embedded`] has some.

mod block;
pub mod checkpoint;
pub mod command;
pub mod config;
pub mod data;
pub mod embedded;
pub mod inflate;
pub mod judge;
pub mod model;
pub mod proof;
pub mod sample;
pub mod stages;
pub mod studio;
pub mod subjects;
pub mod text;
pub mod tower;
pub mod train;

pub use block::Block;
pub use config::StivConfig;
pub use model::{Condition, Reading, Stiv};
pub use sample::{Given, Guidance, NullImage, SampleConfig, Sampled, sample};

use engine::card::{Card, Status};

/// What `orrery list` says of it.
pub const CARD: Card = Card {
    slug: "stiv",
    title: "STIV: scalable text and image conditioned video generation",
    paper: "arXiv 2412.07730",
    domain: "video",
    purpose: "text and first frame to video, in one transformer",
    claims: &[
        "image dropout with joint guidance keeps text-to-video alive: VBench T2V total 80.7, 66.1 without",
        "and cures staleness: dynamic degree 10.2 to 24.0",
        "CFG-renorm: COCO FID 24.96 to 21.16",
        "joint guidance: FVD 94.1 on MSR-VTT in 2 passes a step, separate guidance 95.2 in 3",
    ],
    weights: "inside the program: emoji pictures and clips at 32x32; none released by the authors",
    licence: "no code and no weights released; the embedded weights' data are listed in assets/",
    status: Status::Works,
};
