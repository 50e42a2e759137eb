//! The training loop, optimisers, schedules, averages and resumable checkpoints.

pub mod optim;
