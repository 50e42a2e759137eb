//! Training of the judge of the embedded models' pictures; it is in [`engine::models::emoji_judge`].

mod augment;
mod train;

pub use engine::models::emoji_judge::{Judge, JudgeNet, Verdict};
pub use train::{judge_config, train_judge};
