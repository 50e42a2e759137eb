//! Training of a small model of Stable Diffusion's shape on emoji at 64×64: an autoencoder of pictures with transparency, a text
//! encoder with a vocabulary of its own, a U-Net. What comes out is a folder that `orrery sd` reads like any other.

pub mod data;
mod folder;
pub(super) mod prompts;
mod recipe;
mod run;
mod text;
mod unet;
mod vae;
mod vocabulary;

pub use folder::Folder;
pub use recipe::{Optimizer, Part, Recipe, Stage};
pub use run::{Done, new_text, new_unet, new_vae, run};
pub use unet::TimeDraw;
pub use vocabulary::Vocabulary;
