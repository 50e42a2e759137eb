//! Development only.
#![allow(clippy::unwrap_used, missing_docs)]
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use burn::tensor::Device;
use engine::data::shapes::Scene;
use engine::train::Progress;

use super::{sheets, toy, toy_draw};
use crate::stiv::{Guidance, SampleConfig};

pub fn toy(runs: &Path, steps: u64, seed: u64, arms: &str, scales: &[f32]) {
    let var = |name: &str, default: f64| std::env::var(name).map_or(default, |v| v.parse().unwrap());
    let (batch, rate) = (var("BATCH", 16.0) as usize, var("RATE", 2e-3));
    let stop = AtomicBool::new(false);
    let device = Device::flex();
    for arm in toy::ToyArm::ALL {
        if !arms.contains(arm.name()) { continue }
        let start = Instant::now();
        let mut progress = Progress::new(arm.name());
        let model = toy::train_arm(arm, toy::Budget { steps, batch, rate }, seed, runs, &device, &stop, &mut progress).unwrap().unwrap();
        println!("{}: trained in {:.1} s", arm.name(), start.elapsed().as_secs_f32());
        for &scale in scales {
            for given in [false, true] {
                let start = Instant::now();
                let config = SampleConfig { steps: 25, guidance: Guidance::Joint { scale }, ..SampleConfig::default() };
                let drawn = toy_draw::draw(&model, 2, given, &config, 7, &device, &stop).unwrap();
                let count = |f: &dyn Fn(&Scene, &Scene) -> bool| drawn.clips.iter().zip(&drawn.asked).filter(|(c, a)| f(&Scene::read(c), a)).count();
                println!("  s={scale} given={given}: right {}/{} kind {} colour {} direction {} psnr1 {:.1} out {:.3} in {:.1} s", drawn.right(), drawn.asked.len(),
                    count(&|a, b| a.kind == b.kind), count(&|a, b| a.colour == b.colour), count(&|a, b| a.direction == b.direction), drawn.psnr(1), drawn.out_of_range(), start.elapsed().as_secs_f32());
                let sheet = sheets::strips(&drawn.clips[..12].iter().chain(&drawn.real[..4]).cloned().collect::<Vec<_>>(), toy_draw::SHAPE).unwrap();
                engine::media::write_picture(runs.join(format!("{}-{steps}-s{scale}-{given}.png", arm.name())), &sheet, &[]).unwrap();
            }
        }
    }
}
