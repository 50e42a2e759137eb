//! The training loop, optimisers, schedules, averages and resumable checkpoints.
//!
//! A [`Task`] says what a batch and a loss are; [`train`] does the rest. The draws of step `i` come from
//! `Rng::new(seed).child("step").item(i)` and from nothing else, so a resumed run is, bit for bit, the run
//! that was not interrupted.

mod checkpoint;
mod config;
mod ema;
mod error;
mod group;
mod handshake;
mod lock;
mod log;
mod meeting;
pub mod optim;
mod progress;
mod run;
mod schedule;
mod trainer;
mod workers;

pub use checkpoint::{CHECKPOINT, is_begun, load_trained, steps_done};
pub use config::TrainConfig;
pub use ema::Ema;
pub use error::{TaskError, TrainError};
pub use lock::RunLock;
pub use log::LOG;
pub use progress::Progress;
pub use run::{Run, Task, Trained, train, train_among};
pub use schedule::Schedule;
pub use workers::{Workers, WorkersError};
