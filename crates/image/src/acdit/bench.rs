//! ACDiT of 130 million parameters timed beside PyTorch: `orrery bench --suite vision`.

use std::hint::black_box;

use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};
use engine::bench::{Benchmark, Run};
use engine::ops::{self, Precision};
use engine::train::optim::{OptimizerConfig, step};

use super::config::{AcditConfig, Size};
use super::rope::Positions;
use super::{BlockSampler, SampleConfig};

/// Solver steps of a timed sample.
const STEPS: usize = 25;

/// All benchmarks of ACDiT, with the ratios that they must not exceed.
pub fn benchmarks() -> Vec<Benchmark> {
    let benchmark = |name, about, make| Benchmark::with_peer(name, about, make).at_most(1.1);
    vec![
        benchmark(
            "acdit-130m-f32",
            "ACDiT-B, 4 blocks of 64 tokens, clean and noisy in one pass, f32",
            || forward(Precision::F32),
        ),
        benchmark(
            "acdit-130m-bf16",
            "the same, bf16 products; PyTorch: bf16",
            || forward(Precision::Bf16),
        ),
        benchmark(
            "acdit-130m-step-f32",
            "its training step, AdamW, f32",
            || training(Precision::F32),
        ),
        benchmark(
            "acdit-130m-step-bf16",
            "the same in mixed precision",
            || training(Precision::Bf16),
        ),
        Benchmark::with_own(
            "acdit-130m-sample",
            "1,024 tokens, 25 solver steps, bf16: 4 cached blocks; beside it ours without blocks",
            || sample(4),
            || sample(1),
        )
        .at_most(1.1),
    ]
}

/// ACDiT-B over latents of `tokens` in `blocks` square blocks, or all at once.
fn config(tokens: usize, blocks: usize) -> AcditConfig {
    AcditConfig {
        block_size: tokens / blocks,
        ar_len: blocks,
        spatial_len: tokens,
        ..AcditConfig::image(Size::B)
    }
}

struct Inputs {
    clean: Tensor<4>,
    noisy: Tensor<4>,
    positions: Option<Positions>,
}

fn inputs(config: &AcditConfig, device: &Device) -> Inputs {
    let mut rng = Rng::new(2);
    let mut drawn = || {
        let shape = [1, config.ar_len, config.block_size, config.latent_size];
        let values = rng.normals(shape.iter().product());
        Tensor::<4>::from_data(TensorData::new(values, shape), device)
    };
    Inputs {
        clean: drawn(),
        noisy: drawn(),
        positions: Positions::new(config, config.ar_len, device).ok(),
    }
}

fn forward(precision: Precision) -> Run {
    let (device, config) = (Device::flex(), config(256, 4));
    let model = config.init(&mut Rng::new(1), &device);
    let Inputs {
        clean,
        noisy,
        positions,
    } = inputs(&config, &device);
    Box::new(move || {
        let before = ops::set_precision(precision);
        let out = positions.as_ref().map(|positions| {
            model.forward_train(clean.clone(), noisy.clone(), &[500.0; 4], &[7], positions)
        });
        black_box(out.map(Tensor::into_data));
        ops::set_precision(before);
    })
}

fn training(precision: Precision) -> Run {
    let (device, config) = (Device::flex().autodiff(), config(256, 4));
    let mut model = Some(config.init(&mut Rng::new(1), &device));
    let Inputs {
        clean,
        noisy,
        positions,
    } = inputs(&config, &device);
    let mut optimizer = OptimizerConfig::default().init();
    Box::new(move || {
        let before = ops::set_precision(precision);
        if let (Some(current), Some(positions)) = (model.take(), &positions) {
            let out =
                current.forward_train(clean.clone(), noisy.clone(), &[500.0; 4], &[7], positions);
            let loss = (out - noisy.clone()).square().mean();
            let (stepped, _) = step(current, loss.backward(), optimizer.as_mut(), 1e-4, None);
            model = Some(stepped);
        }
        ops::set_precision(before);
    })
}

fn sample(blocks: usize) -> Run {
    let (device, config) = (Device::flex(), config(1024, blocks));
    let model = config.init(&mut Rng::new(1), &device);
    let sampling = SampleConfig {
        steps: STEPS,
        guidance: 1.0,
        ..SampleConfig::default()
    };
    Box::new(move || {
        let before = ops::set_precision(Precision::Bf16);
        let mut rng = Rng::new(3);
        if let Ok(mut sampler) = BlockSampler::new(&model, &config, &[7], blocks, sampling, &device)
        {
            let shape = [1, config.block_size, config.latent_size];
            let mut noise = || {
                let values = rng.normals(shape.iter().product());
                Tensor::<3>::from_data(TensorData::new(values, shape), &device)
            };
            while let Some(block) = sampler.next_block(noise()) {
                black_box(block.into_data());
            }
        }
        ops::set_precision(before);
    })
}
