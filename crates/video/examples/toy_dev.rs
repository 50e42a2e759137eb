//! Development of the toy world: trains and reads arms. `toy_dev RUNS STEPS SEED ARMS SCALES..`
#![allow(clippy::unwrap_used, missing_docs)]
use std::path::PathBuf;
use video::stiv::proof::dev;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let scales: Vec<f32> = args[5..].iter().map(|s| s.parse().unwrap()).collect();
    dev::toy(&PathBuf::from(&args[1]), args[2].parse().unwrap(), args[3].parse().unwrap(), &args[4], &scales);
}
