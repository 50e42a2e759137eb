//! Development of the toy world: trains and reads arms. `toy_dev RUNS STEPS SEED [train|read] SCALES..`
#![allow(clippy::unwrap_used, missing_docs)]
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use burn::tensor::Device;
use engine::train::Progress;
use video::stiv::proof::{toy, toy_draw};
use video::stiv::{Guidance, SampleConfig};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let runs = PathBuf::from(&args[1]);
    let (steps, seed): (u64, u64) = (args[2].parse().unwrap(), args[3].parse().unwrap());
    let stop = AtomicBool::new(false);
    let device = Device::flex();
    for arm in [
        toy::ToyArm::Stiv,
        toy::ToyArm::TextOnly,
        toy::ToyArm::ImageAlways,
    ] {
        let start = Instant::now();
        let mut progress = Progress::new(arm.name());
        let model = toy::train_arm(arm, steps, seed, &runs, &device, &stop, &mut progress)
            .unwrap()
            .unwrap();
        println!(
            "{}: trained in {:.1} s",
            arm.name(),
            start.elapsed().as_secs_f32()
        );
        for scale in args[4..].iter().map(|s| s.parse::<f32>().unwrap()) {
            for given in [false, true] {
                let start = Instant::now();
                let config = SampleConfig {
                    steps: 25,
                    guidance: Guidance::Joint { scale },
                    ..SampleConfig::default()
                };
                let drawn = toy_draw::draw(&model, 2, given, &config, 7, &device);
                println!(
                    "  s={scale} given={given}: right {}/{} in {:.1} s",
                    drawn.right(),
                    drawn.asked.len(),
                    start.elapsed().as_secs_f32()
                );
            }
        }
    }
}
