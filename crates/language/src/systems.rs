//! The systems of this crate, in the order of the README's table.

use base::card::Card;
use base::system::System;

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
    System::planned(Card {
        slug: "guardian",
        title: "Granite Guardian: risk detection",
        paper: "arXiv 2412.07724",
        domain: "language",
        purpose: "Risk detection in prompts, answers, retrieved context and tool calls",
        claims: &[
            "harm benchmarks, 8B: AUC 0.871, F1 0.758; Llama-Guard-3-8B 0.826 and 0.710",
            "groundedness on TRUE: AUC 0.854",
        ],
        weights: "hub: ibm-granite",
        licence: "Apache-2.0 (ibm-granite/granite-guardian)",
    }),
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
