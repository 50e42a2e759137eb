//! The frame representation hypothesis and concept-guided decoding (arXiv 2412.07334, TACL 2025).
//!
//! A word of several tokens is a *frame*, an ordered list of vectors in the whitened space of the unembedding. A *concept
//! frame* is the mean of the frames of a synset's words, and the difference of two concepts is a direction. Hidden states are
//! projected on them: to read how much a text expresses a concept ([`probe()`]), and to choose among the likeliest next tokens
//! the one that expresses it most ([`guided_decode`]). Nothing is trained.
//!
//! [`FramesModel`] → [`Concepts`] → [`Frame`] → [`probe()`], [`guided_decode`]; `docs/frames.md` is the guide.

use base::card::Card;
use base::system::System;

pub mod command;
pub mod concept_file;
pub mod concepts;
pub mod frame;
pub mod guide;
pub mod html;
pub mod linalg;
pub mod making;
pub mod model;
pub mod pipeline;
pub mod probe;
pub mod proof;
pub mod rank;
pub mod unembedding;
pub mod whitening;
pub mod wordnet;
pub mod words;

pub use concept_file::ConceptDb;
pub use concepts::{combine, concept_frame, word_frame};
pub use engine::SystemError;
pub use frame::Frame;
pub use guide::{GuideOptions, Guided, guided_decode};
pub use making::ConceptOptions;
pub use model::FramesModel;
pub use pipeline::Concepts;
pub use probe::{ProbeKind, probe};
pub use whitening::{Whitening, WhiteningOptions};

const CARD: Card = Card {
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
};

/// For the registry.
pub const SYSTEM: System = System::new::<command::Command>(CARD, proof::PROOF);
