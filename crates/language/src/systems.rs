//! The systems of this crate, in the order of the README's table.

use base::card::Card;
use base::system::System;

#[cfg(feature = "guardian")]
use crate::guardian;
#[cfg(feature = "harp")]
use crate::harp;

/// See [`System`].
pub const SYSTEMS: &[System] = &[
    System::planned(Card {
        slug: "harp",
        title: "HARP: hesitation-aware reframed forward pass",
        paper: "arXiv 2412.07282",
        domain: "language",
        purpose: "Decoding that looks twice where the model is unsure",
        claims: &[
            "LLaMA-3.1 8B, LAMBADA: 30.86 greedy, 36.02 with HARP, at 1.16 times the cost",
            "CommonsenseQA: 78.79 greedy, 79.29 beam search, 80.30 HARP",
        ],
        weights: "none needed: any decoder-only language model",
        licence: "code Apache-2.0 (romsto/HARP)",
    }),
    #[cfg(feature = "frames")]
    crate::frames::SYSTEM,
    #[cfg(feature = "harp")]
    harp::SYSTEM,
    System::planned(Card {
        slug: "frames",
        title: "Frame representation hypothesis: concept-guided decoding",
        paper: "arXiv 2412.07334",
        domain: "language",
        purpose: "Concepts as frames of words, and decoding that leans towards them",
        claims: &[
            "over 99 % of Open Multilingual WordNet words are full-rank token matrices",
            "words project positively on their own concept, random frames around zero",
        ],
        weights: "none needed: any language model and WordNet",
        licence: "code MIT (phvv-me/frame-representation-hypothesis)",
    }),
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
    System::planned(Card {
        slug: "counterspeech",
        title: "Contextualized counterspeech",
        paper: "arXiv 2412.07338",
        domain: "language",
        purpose: "Replies to toxic text that fit the conversation",
        claims: &[
            "contextualized replies beat the generic baseline in adequacy and persuasiveness",
            "automatic indicators correlate poorly with human ratings",
        ],
        weights: "five published LoRA adapters on Llama-2-13B-chat",
        licence: "no public code; base model under the Llama 2 licence",
    }),
];
