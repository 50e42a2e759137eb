//! Flow matching, schedulers, samplers and guidance.

pub mod flow;
mod guidance;
pub mod scheduler;
mod solver;

pub use guidance::{Renorm, combine_joint, combine_separate, renorm};
pub use solver::{Solver, score_from_velocity, sde_step};
