//! Video generation and control.

use engine::card::Card;

pub mod stiv;

/// The systems of this crate.
pub const CARDS: &[Card] = &[
    stiv::CARD,
    Card::planned(
        "mobilevd",
        "Mobile Video Diffusion",
        "arXiv 2412.07583",
        "video",
        "Video diffusion small enough for a phone",
    ),
    Card::planned(
        "movie",
        "MoViE",
        "arXiv 2412.06578",
        "video",
        "Video editing fast enough for a phone",
    ),
    Card::planned(
        "ditflow",
        "DiTFlow",
        "arXiv 2412.07776",
        "video",
        "Motion transfer for video diffusion transformers",
    ),
    Card::planned(
        "objctrl",
        "ObjCtrl-2.5D",
        "arXiv 2412.07721",
        "video",
        "Objects moved by camera poses, without training",
    ),
    Card::planned(
        "trajmaster",
        "3DTrajMaster",
        "arXiv 2412.07759",
        "video",
        "Several objects on their own 3D trajectories",
    ),
];
