//! Trains the judge: `judge_dev FOLDER STEPS SEED OUT`
#![allow(clippy::unwrap_used, missing_docs)]
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use engine::train::Progress;
use video::stiv::judge::{JudgeRun, train_judge};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (steps, seed): (u64, u64) = (args[2].parse().unwrap(), args[3].parse().unwrap());
    let run = JudgeRun {
        steps,
        seed,
        folder: &PathBuf::from(&args[1]),
        stop: &AtomicBool::new(false),
        progress: &mut Progress::new("judge"),
    };
    let judge = train_judge(run, &Device::flex()).unwrap().unwrap();
    let command = format!("orrery stiv judge --steps {steps} --seed {seed}");
    judge
        .save(
            &[("orrery.command", command.as_str())],
            seed,
            &PathBuf::from(&args[4]),
        )
        .unwrap();
    println!("{:?}", judge.score(8, seed + 1000).unwrap());
}
