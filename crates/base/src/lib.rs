//! What every system needs and no tensor library: the registry of systems and its command line, long jobs, files, images
//! and clips, language models behind endpoints, statistics and distances, proofs, randomness, safetensors as plain values.

pub mod card;
pub mod command;
#[cfg(feature = "endpoint")]
pub mod endpoint;
pub mod files;
pub mod fixtures;
pub mod hash;
pub mod job;
#[cfg(feature = "media")]
pub mod media;
pub mod memory;
pub mod numerics;
pub mod proof;
pub mod rng;
pub mod system;
pub mod table;
#[cfg(feature = "checkpoints")]
pub mod tensor_file;
