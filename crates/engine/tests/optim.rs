//! Facts about optimisation steps.

use std::time::Instant;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use engine::burn;
use engine::rng::Rng;
use engine::train::optim::{AdafactorConfig, AdamWConfig, OptimizerConfig, Slot, step};

#[derive(Module, Debug)]
struct Line {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

fn line(device: &Device) -> Line {
    Line {
        weight: Param::from_tensor(Tensor::zeros([3, 2], device)),
        bias: Param::from_tensor(Tensor::zeros([2], device)),
    }
}

fn normal<const D: usize>(rng: &mut Rng, shape: [usize; D], device: &Device) -> Tensor<D> {
    let n = shape.iter().product();
    Tensor::<1>::from_floats(rng.normals(n).as_slice(), device).reshape(shape)
}

#[test]
fn both_optimisers_find_the_line() {
    let device = Device::default().autodiff();
    let truth = Tensor::<2>::from_floats([[1.0, -2.0], [0.5, 0.0], [3.0, 1.0]], &device);
    for config in [
        OptimizerConfig::AdamW(AdamWConfig {
            weight_decay: 0.0,
            ..AdamWConfig::default()
        }),
        OptimizerConfig::Adafactor(AdafactorConfig {
            beta1: Some(0.9),
            ..AdafactorConfig::default()
        }),
    ] {
        let mut optimizer = config.init();
        let mut model = line(&device);
        let mut rng = Rng::new(5);
        let mut last = f32::INFINITY;
        for i in 0..600 {
            let x = normal(&mut rng, [32, 3], &device);
            let y = x.clone().matmul(truth.clone()).add_scalar(0.25);
            let found = x.matmul(model.weight.val()) + model.bias.val().unsqueeze();
            let loss = (found - y).powi_scalar(2).mean();
            last = loss.clone().into_scalar::<f32>();
            let rate = 0.05 * (1.0 - i as f64 / 600.0);
            (model, _) = step(model, loss.backward(), optimizer.as_mut(), rate, None);
        }
        assert!(last < 1e-5, "{config:?} ends at {last}");
        assert!(model.weight.is_require_grad());
    }
}

/// Time of a step over a transformer's worth of tensors; printed, not judged.
#[test]
fn a_step_is_timed() {
    let device = Device::default();
    let shapes: Vec<[usize; 2]> = (0..12)
        .flat_map(|_| {
            [
                [384, 384],
                [384, 384],
                [384, 384],
                [384, 384],
                [1536, 384],
                [384, 1536],
            ]
        })
        .collect();
    let count: usize = shapes.iter().map(|[a, b]| a * b).sum();
    for (name, config) in [
        ("adamw", OptimizerConfig::default()),
        (
            "adafactor",
            OptimizerConfig::Adafactor(AdafactorConfig::default()),
        ),
        (
            "adafactor+momentum",
            OptimizerConfig::Adafactor(AdafactorConfig {
                beta1: Some(0.9),
                ..Default::default()
            }),
        ),
    ] {
        let mut optimizer = config.init();
        let mut rng = Rng::new(1);
        let noise: Vec<Tensor<1>> = shapes
            .iter()
            .map(|[a, b]| normal(&mut rng, [a * b], &device))
            .collect();
        let mut values: Vec<Tensor<1>> = noise.iter().map(|t| t.clone().mul_scalar(1.0)).collect();
        let mut best = f64::INFINITY;
        for _ in 0..6 {
            let grads: Vec<Tensor<1>> = noise.iter().map(|t| t.clone().mul_scalar(0.1)).collect();
            let start = Instant::now();
            values = values
                .into_iter()
                .zip(grads)
                .zip(&shapes)
                .enumerate()
                .map(|(i, ((v, g), shape))| {
                    let slot = Slot {
                        path: &i.to_string(),
                        shape,
                    };
                    optimizer.update(slot, v, g, 1e-3)
                })
                .collect();
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!(
            "{name}: {:.1} ms for {:.1} M parameters",
            best * 1e3,
            count as f64 / 1e6
        );
    }
}
