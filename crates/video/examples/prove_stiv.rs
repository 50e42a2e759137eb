//! Drives the proof until the command does: `prove_stiv OUT RUNS PICTURES|- CLIPS|- [--full]`
#![allow(clippy::unwrap_used, missing_docs)]
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use engine::train::Progress;
use video::stiv::proof::{ProofOptions, run};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let model = |text: &String| (text != "-").then(|| PathBuf::from(text));
    let options = ProofOptions {
        full: args.iter().any(|arg| arg == "--full"),
        seeds: vec![0, 1, 2],
        out: PathBuf::from(&args[1]),
        runs: PathBuf::from(&args[2]),
        pictures_model: model(&args[3]),
        clips_model: model(&args[4]),
        device: Device::flex(),
    };
    let report = run(&options, &AtomicBool::new(false), &mut Progress::new("proof")).unwrap();
    println!("{}", report.markdown());
}
