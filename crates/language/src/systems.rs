//! The systems of this crate, in the order of the README's table.

use base::card::Card;
use base::system::System;

#[cfg(feature = "counterspeech")]
use crate::counterspeech;
#[cfg(feature = "frames")]
use crate::frames;
#[cfg(feature = "guardian")]
use crate::guardian;
#[cfg(feature = "harp")]
use crate::harp;

/// See [`System`].
pub const SYSTEMS: &[System] = &[
    #[cfg(feature = "harp")]
    harp::SYSTEM,
    #[cfg(feature = "frames")]
    frames::SYSTEM,
    System::planned(Card {
        slug: "moxin",
        title: "Moxin-7B: a fully open language model",
        paper: "arXiv 2412.06845",
        domain: "language",
        purpose: "An open 7B recipe, from pretraining to chat",
        claims: &[
            "zero-shot average 75.44 for the enhanced base, Mistral-7B 73.29",
            "few-shot average 70.55, Mistral-7B 70.51",
        ],
        weights: "hub: moxin-org",
        licence: "code Apache-2.0 (moxin-org/Moxin-LLM)",
    }),
    #[cfg(feature = "guardian")]
    guardian::SYSTEM,
    #[cfg(feature = "counterspeech")]
    counterspeech::SYSTEM,
];
