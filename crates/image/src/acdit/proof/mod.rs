//! The small-scale proof of ACDiT:
//!
//! 1. **cost**: cached blocks beside all tokens at once, in operations, seconds and memory; first, as the memory of other parts
//!    would hide its own;
//! 2. **exactness**: the cached sampler beside one pass under the skip-causal mask;
//! 3. **context**: clean context beside the noisy one of the paper's ablation, on clips of a moving dot whose physics is known;
//! 4. **blocks**: pictures in 1, 4 and 16 blocks, by their Fréchet distance.

mod blocks;
mod context;
mod cost;
mod dot;
mod exact;
mod judge;

use std::path::Path;

use base::command::{Context, Failure};
use base::proof::Proof;
use burn::tensor::Device;
use engine::train::optim::{AdamWConfig, OptimizerConfig};
use engine::train::{Progress, Run, Schedule, Task, TrainConfig, Trained, train};

use super::CARD;

/// For the registry. Absent data leave claims not run.
pub const PROOF: Proof = Proof::new(
    CARD.title,
    [3, 3],
    &[
        ("cost", cost::prove),
        ("exactness", exact::prove),
        ("context", context::prove),
        ("blocks", blocks::prove),
    ],
)
.open_claims(&[
    (
        [
            "ImageNet-256 FID 2.45 (677M), 2.37 (954M)",
            "the published FID within 0.1",
        ],
        TABLES,
        "needs the authors' weights, 50,000 samples and the statistics of the ADM suite",
    ),
    (
        [
            "UCF-101 FVD 111 (677M), 104 (954M)",
            "the published FVD within 5",
        ],
        TABLES,
        "needs the authors' weights, UCF-101 and I3D",
    ),
    (
        [
            "ImageNet top-1 84.0 after fine-tuning (677M)",
            "the published accuracy within 0.3 points",
        ],
        TABLES,
        "needs ImageNet and 100 epochs",
    ),
]);

const TABLES: &str = "paper, tables 2 to 4";

/// How the small models are trained.
fn rates(steps: u64, seed: u64) -> TrainConfig {
    TrainConfig {
        steps,
        learning_rate: 2e-3,
        warmup: steps / 20,
        schedule: Schedule::Wsd { decay_start: 0.7 },
        optimizer: OptimizerConfig::AdamW(AdamWConfig {
            beta2: 0.95,
            weight_decay: 0.0,
            ..AdamWConfig::default()
        }),
        ema: Some(0.99),
        seed,
        log_every: 50,
        checkpoint_every: 0,
        ..TrainConfig::default()
    }
}

/// Trains in `folder`, afresh; a run that is stopped is an error.
fn trained<T: Task>(
    task: &T,
    model: T::Model,
    config: &TrainConfig,
    folder: &Path,
    context: Context,
) -> Result<Trained<T::Model>, Failure> {
    // What a stopped run left is not gone on with: the model's size may be another.
    let _ = std::fs::remove_dir_all(folder);
    let run = Run {
        folder,
        resume: false,
        stop: context.stop,
        progress: &mut Progress::silent(),
    };
    let trained = train(task, model, config, run)?;
    // Only the numbers are kept.
    let _ = std::fs::remove_dir_all(folder);
    match trained.interrupted {
        true => Err(Failure::interrupted(
            "stopped; the same command goes on from here",
        )),
        false => Ok(trained),
    }
}

/// Where the proof computes.
fn devices() -> [Device; 2] {
    let plain = Device::flex();
    [plain.clone().autodiff(), plain]
}
