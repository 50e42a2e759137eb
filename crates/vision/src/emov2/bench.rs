//! EMOv2-5M timed beside PyTorch, and beside MobileNetV2 in ONNX Runtime: `orrery bench --suite vision`.

use std::hint::black_box;

use base::rng::Rng;
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::bench::{Benchmark, Run};
use engine::ops::{self, Precision};
use engine::train::optim::{OptimizerConfig, step};

use super::config::EmoConfig;
use super::losses;
use super::model::Emo;

/// Side of the pictures.
const SIDE: usize = 224;
/// Pictures of a training step, and of a large batch.
const BATCH: usize = 32;

/// All benchmarks of EMOv2, with the ratios that they must not exceed.
pub fn benchmarks() -> Vec<Benchmark> {
    let benchmark = |name, about, make| Benchmark::with_peer(name, about, make).at_most(1.1);
    vec![
        benchmark(
            "emov2-5m-f32-1",
            "EMOv2-5M, one picture of 224², f32",
            || forward(1, Precision::F32),
        ),
        benchmark(
            "emov2-5m-bf16-1",
            "the same, bf16 products; PyTorch: bf16",
            || forward(1, Precision::Bf16),
        ),
        benchmark("emov2-5m-f32-32", "32 pictures, f32", || {
            forward(BATCH, Precision::F32)
        }),
        benchmark("emov2-5m-bf16-32", "32 pictures, bf16", || {
            forward(BATCH, Precision::Bf16)
        }),
        benchmark(
            "emov2-5m-step-f32",
            "training step of 32 pictures, AdamW, f32",
            || training(Precision::F32),
        ),
        benchmark("emov2-5m-step-bf16", "the same in mixed precision", || {
            training(Precision::Bf16)
        }),
        Benchmark::with_peer(
            "emov2-5m-and-onnx",
            "EMOv2-5M (1.03 GMAC) here, MobileNetV2 (0.30 GMAC) in ONNX Runtime, one picture",
            || forward(1, Precision::F32),
        ),
    ]
}

fn network(device: &Device) -> Option<Emo> {
    // With the published start, 1e-6, all values of an untrained network are nearly nothing.
    let config = EmoConfig {
        ls_value: 1.0,
        ..EmoConfig::preset("emo2-5m")?
    };
    Some(config.init(&mut Rng::new(1), device))
}

fn pictures(count: usize, device: &Device) -> Tensor<4> {
    let values = Rng::new(2).normals(count * 3 * SIDE * SIDE);
    Tensor::from_data(TensorData::new(values, [count, 3, SIDE, SIDE]), device)
}

fn forward(count: usize, precision: Precision) -> Run {
    let device = Device::flex();
    let (model, x) = (network(&device), pictures(count, &device));
    Box::new(move || {
        let before = ops::set_precision(precision);
        let logits = model.as_ref().map(|model| model.forward(x.clone(), None));
        black_box(logits.map(Tensor::into_data));
        ops::set_precision(before);
    })
}

fn training(precision: Precision) -> Run {
    let device = Device::flex().autodiff();
    let mut model = network(&device);
    let x = pictures(BATCH, &device);
    let labels: Vec<i64> = (0..BATCH as i64).map(|at| at * 31).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [BATCH]), &device);
    let targets: Tensor<2> = labels.one_hot::<2>(1000).float();
    let mut optimizer = OptimizerConfig::default().init();
    Box::new(move || {
        let before = ops::set_precision(precision);
        if let Some(current) = model.take() {
            let loss = losses::soft_target(current.forward(x.clone(), None), targets.clone());
            let (stepped, _) = step(current, loss.backward(), optimizer.as_mut(), 1e-4, None);
            model = Some(stepped);
        }
        ops::set_precision(before);
    })
}
