//! The systems of this crate, in the order of the README's table.

use base::card::Card;
use base::system::System;

#[cfg(feature = "stiv")]
use crate::stiv;

/// See [`System`].
pub const SYSTEMS: &[System] = &[
    #[cfg(feature = "stiv")]
    stiv::SYSTEM,
    System::planned(Card {
        slug: "mobilevd",
        title: "MobileVD: mobile video diffusion",
        paper: "arXiv 2412.07583",
        domain: "video",
        purpose: "Image-to-video diffusion small enough for phones",
        claims: &[
            "UCF-101 FVD 149 with 4.34 TFLOPs in one step, SVD 512x256 366 with 50 steps",
            "1.7 s for 14 frames on a Snapdragon 8 Gen 3",
        ],
        weights: "none released",
        licence: "no code and no weights released",
    }),
    System::planned(Card {
        slug: "movie",
        title: "MoViE: mobile diffusion for video editing",
        paper: "arXiv 2412.06578",
        domain: "video",
        purpose: "Editing of video by instruction on phones",
        claims: &[
            "0.08 s a frame on a phone, 12.5 frames a second at 512x384",
            "21.31 to 0.76 TFLOPs a frame",
        ],
        weights: "none released; base models are public",
        licence: "no code and no weights released",
    }),
    System::planned(Card {
        slug: "ditflow",
        title: "DiTFlow: motion transfer for video diffusion transformers",
        paper: "arXiv 2412.07776",
        domain: "video",
        purpose: "Motion transfer from a clip, without training",
        claims: &["motion fidelity on CogVideoX-5B: DiTFlow 0.785, SMM 0.766, MOFT 0.726"],
        weights: "none needed: CogVideoX",
        licence: "see ditflow/ditflow",
    }),
    System::planned(Card {
        slug: "objctrl",
        title: "ObjCtrl-2.5D: object control by camera poses",
        paper: "arXiv 2412.07721",
        domain: "video",
        purpose: "Objects moved by camera poses, without training",
        claims: &["DAVIS, object motion error: 91.42, FreeTraj 125.30, PEEKABOO 128.05"],
        weights: "none needed: CameraCtrl on Stable Video Diffusion",
        licence: "see wzhouxiff/ObjCtrl-2.5D",
    }),
    System::planned(Card {
        slug: "trajmaster",
        title: "3DTrajMaster: 3D trajectories for several entities",
        paper: "arXiv 2412.07759",
        domain: "video",
        purpose: "Entities on 6-DoF trajectories in text-to-video",
        claims: &["translation error 0.398 m, Direct-a-Video 1.420 m"],
        weights: "a public model on CogVideoX-5B, see github KwaiVGI/3DTrajMaster",
        licence: "see KwaiVGI/3DTrajMaster",
    }),
];
