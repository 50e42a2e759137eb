//! STIV: scalable text- and image-conditioned video generation.

mod block;
pub mod checkpoint;
pub mod command;
pub mod config;
pub mod data;
pub mod embedded;
pub mod inflate;
pub mod judge;
pub mod model;
pub mod proof;
pub mod sample;
pub mod stages;
pub mod studio;
pub mod subjects;
pub mod text;
pub mod tower;
pub mod train;

pub use block::Block;
pub use config::StivConfig;
pub use model::{Condition, Reading, Stiv};
pub use sample::{Given, Guidance, NullImage, SampleConfig, Sampled, sample};
