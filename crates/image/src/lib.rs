//! Picture and manga generation, editing and watermarking.

use engine::card::Card;

/// The systems of this crate.
pub const CARDS: &[Card] = &[
    Card::planned(
        "acdit",
        "ACDiT",
        "arXiv 2412.07720",
        "image",
        "Diffusion block by block, each block conditioned on those before",
    ),
    Card::planned(
        "lora-rar",
        "LoRA.rar",
        "arXiv 2412.05148",
        "image",
        "A hypernetwork that merges a subject LoRA and a style LoRA",
    ),
    Card::planned(
        "fiva",
        "FiVA",
        "arXiv 2412.07674",
        "image",
        "Control by single visual attributes of reference pictures",
    ),
    Card::planned(
        "unireal",
        "UniReal",
        "arXiv 2412.07774",
        "image",
        "Generation and editing as one task on discontinuous frames",
    ),
    Card::planned(
        "diffsensei",
        "DiffSensei",
        "arXiv 2412.07589",
        "image",
        "Manga pages with chosen characters, boxes and dialogue",
    ),
    Card::planned(
        "grape",
        "GraPE",
        "arXiv 2412.06089",
        "image",
        "Generate, plan, edit: composition corrected after the fact",
    ),
    Card::planned(
        "wind",
        "WIND",
        "arXiv 2412.04653",
        "image",
        "A two-stage watermark hidden in the initial noise",
    ),
];
