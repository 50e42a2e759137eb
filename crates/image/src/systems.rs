//! The systems of this crate, in the order of the README's table.

use base::card::Card;
use base::system::System;

/// See [`System`].
pub const SYSTEMS: &[System] = &[
    #[cfg(feature = "acdit")]
    crate::acdit::SYSTEM,
    #[cfg(feature = "lora-rar")]
    crate::lora_rar::SYSTEM,
    #[cfg(feature = "fiva")]
    crate::fiva::SYSTEM,
    System::planned(Card {
        slug: "unireal",
        title: "UniReal: generation and editing as discontinuous frames",
        paper: "arXiv 2412.07774",
        domain: "image",
        purpose: "Generation and editing of pictures as one task",
        claims: &[
            "EMU-Edit test: CLIP direction 0.127, EMU Edit 0.109",
            "DreamBench CLIP-T 0.326",
        ],
        weights: "none released",
        licence: "no code and no weights released",
    }),
    System::planned(Card {
        slug: "diffsensei",
        title: "DiffSensei: customised manga generation",
        paper: "arXiv 2412.07589",
        domain: "image",
        purpose: "Manga with consistent characters and dialog boxes",
        claims: &["MangaZero: DINO-C 0.651 (MS-Diffusion 0.641), dialog F1 0.727 (0.720)"],
        weights: "hub: jianzongwu/DiffSensei",
        licence: "see jianzongwu/DiffSensei; data annotations MIT",
    }),
    #[cfg(feature = "grape")]
    crate::grape::SYSTEM,
    #[cfg(feature = "wind")]
    crate::wind::SYSTEM,
];
