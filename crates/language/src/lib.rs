//! Decoding, steering, guarding and speaking: systems around language models.

#[cfg(feature = "counterspeech")]
pub mod counterspeech;
#[cfg(feature = "frames")]
pub mod frames;
#[cfg(feature = "guardian")]
pub mod guardian;
#[cfg(feature = "harp")]
pub mod harp;
#[cfg(feature = "moxin")]
pub mod moxin;
mod systems;
#[cfg(any(feature = "harp", feature = "moxin"))]
mod wordnet;

pub use systems::SYSTEMS;
