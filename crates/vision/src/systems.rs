//! The systems of this crate, in the order of the README's table.

use base::card::Card;
use base::system::System;

/// See [`System`].
pub const SYSTEMS: &[System] = &[
    #[cfg(feature = "emov2")]
    crate::emov2::SYSTEM,
    System::planned(Card {
        slug: "perception-tokens",
        title: "AURORA: perception tokens as visual chain of thought",
        paper: "arXiv 2412.03548",
        domain: "vision",
        purpose: "Depth and boxes as tokens to reason with",
        claims: &[
            "relative depth, mean of BLINK and HardBLINK: LLaVA-1.5-13B 39.1, direct fine-tuning 55.2, Aurora 61.6",
            "counting on CV-Bench: 40.9, 44.7, 56.0",
        ],
        weights: "a file-sharing link in github mahtabbigverdi/Aurora-perception",
        licence: "see mahtabbigverdi/Aurora-perception",
    }),
    System::planned(Card {
        slug: "maya",
        title: "Maya: an instruction-tuned multilingual multimodal model",
        paper: "arXiv 2412.07112",
        domain: "vision",
        purpose: "A multimodal model for eight languages, and the pipeline that made its data",
        claims: &[
            "multilingual LLaVA-Bench, mean of eight languages: 62.2",
            "7,531 unique toxic images removed from the training data",
        ],
        weights: "as named in github nahidalam/maya",
        licence: "see nahidalam/maya",
    }),
    System::planned(Card {
        slug: "chimera",
        title: "Chimera: a generalist with domain experts",
        paper: "arXiv 2412.05983",
        domain: "vision",
        purpose: "A generalist with domain experts for tables, charts, geometry and documents",
        claims: &[
            "MathVista testmini at 2B/4B/8B: 53.1/61.3/64.9, InternVL2 48.3/57.0/61.6",
            "the router is right for 95.4 % of MathVista",
        ],
        weights: "as named in github UniModal4Reasoning/Chimera",
        licence: "see UniModal4Reasoning/Chimera",
    }),
    System::planned(Card {
        slug: "illume",
        title: "ILLUME: one model that sees, draws and checks itself",
        paper: "arXiv 2412.06673",
        domain: "vision",
        purpose: "One model that sees and draws",
        claims: &[
            "pre-training with 15M image-text pairs, Chameleon 1.4B",
            "GenEval 0.61; MJHQ-30K FID 7.76, Janus 10.10",
        ],
        weights: "none released",
        licence: "no code and no weights released",
    }),
];
