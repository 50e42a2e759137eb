//! GraPE: generate, plan, edit (Goswami et al., arXiv 2412.06089): a picture is drawn, a model that sees compares it with its prompt and
//! writes a plan of small edits, and an editor carries them out one after the other.
//!
//! [`pipeline::run`] is the method. [`Generator`], [`Planner`], [`Editor`] and [`Judge`] are who takes part: Stable Diffusion, any
//! OpenAI-compatible server, [`PixEdit`] (the authors' editor, made of PixArt-Σ), [`InstructPix2Pix`]. [`plan`] reads what planners write, [`dsg`] scores
//! answers, [`bench`] benchmarks. `docs/grape.md` is the guide.

use base::card::Card;
use base::system::System;

pub mod bench;
pub mod captions;
pub mod checkpoint;
mod command;
pub mod dsg;
pub mod editor;
pub mod judge;
pub mod pipeline;
pub mod pixedit;
pub mod plan;
pub mod planner;
pub mod prompts;
pub mod proof;
pub mod rule;
pub mod scene;

pub use editor::{Editor, InstructPix2Pix, PixEdit};
pub use engine::SystemError;
pub use judge::{Judge, ModelJudge};
pub use pipeline::{Generator, run};
pub use plan::{Kind, Parser, Plan, Step};
pub use planner::{ModelPlanner, Planner};

/// What `orrery list` and the docs say of it.
const CARD: Card = Card {
    slug: "grape",
    title: "GraPE: generate, plan, edit",
    paper: "arXiv 2412.06089",
    domain: "image",
    purpose: "Compositional pictures by planning edits after generation",
    claims: &[
        "ConceptMix score with 3 concepts: SD 1.5 0.606 to 0.752, SDXL 0.708 to 0.780",
        "gain larger for weaker generators",
    ],
    weights: "as named in github dair-iitd/PixEdit",
    licence: "see dair-iitd/GraPE and dair-iitd/PixEdit",
};

/// For the registry.
pub const SYSTEM: System = System::new::<command::Command>(CARD, proof::PROOF);
