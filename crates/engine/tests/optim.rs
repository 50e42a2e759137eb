//! Facts about optimisation steps.

#![allow(clippy::unwrap_used)]

use std::time::Instant;

use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use engine::burn;
use engine::ops;
use engine::train::Ema;
use engine::train::optim::{
    AdafactorConfig, AdamWConfig, MuonConfig, OptimizerConfig, Slot, StepSize, step,
};

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
fn every_optimiser_finds_the_line() {
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
        OptimizerConfig::Muon(MuonConfig {
            weight_decay: 0.0,
            ..MuonConfig::default()
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

#[derive(Module, Debug)]
struct Stack {
    layers: Vec<Param<Tensor<2>>>,
}

/// Time of a step over a transformer's worth of parameters; printed, not judged.
#[test]
fn a_step_is_timed() {
    let device = Device::default().autodiff();
    let shapes = [
        [360, 360],
        [360, 360],
        [360, 360],
        [360, 360],
        [1440, 360],
        [360, 1440],
    ];
    for (name, plain, config) in [
        ("adamw", false, OptimizerConfig::default()),
        (
            "adamw in plain operations",
            true,
            OptimizerConfig::default(),
        ),
        (
            "adafactor",
            false,
            OptimizerConfig::Adafactor(AdafactorConfig {
                beta1: Some(0.9),
                ..AdafactorConfig::default()
            }),
        ),
        ("muon", false, OptimizerConfig::Muon(MuonConfig::default())),
    ] {
        ops::set_fallback(plain);
        let mut optimizer = config.init();
        let mut rng = Rng::new(1);
        let mut model = Stack {
            layers: (0..18)
                .map(|i| Param::from_tensor(normal(&mut rng, shapes[i % 6], &device)))
                .collect(),
        };
        let mut ema = Ema::new(&model, 0.9999);
        let mut best = [f64::INFINITY; 2];
        for i in 0..12 {
            let loss = model
                .layers
                .iter()
                .map(|layer| layer.val().powi_scalar(2).sum())
                .reduce(Tensor::add)
                .unwrap();
            let gradients = loss.backward();
            drop(loss);
            let start = Instant::now();
            let (after, _) = step(model, gradients, optimizer.as_mut(), 1e-3, Some(1.0));
            best[0] = best[0].min(start.elapsed().as_secs_f64());
            model = after;
            let start = Instant::now();
            ema.update(&model, i);
            best[1] = best[1].min(start.elapsed().as_secs_f64());
        }
        println!(
            "{name}: step {:.1} ms, average {:.1} ms, for {:.1} M parameters",
            best[0] * 1e3,
            best[1] * 1e3,
            model.num_params() as f64 / 1e6
        );
        ops::set_fallback(false);
    }
}

#[test]
fn adamw_takes_the_step_that_pytorch_takes() {
    // torch.optim.AdamW([[1., -2.]], lr=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01), two steps
    // along [[0.5, -1.]] and [[0.25, 2.]], by hand: the first moves by lr · sign(g).
    let device = Device::default();
    let mut optimizer = OptimizerConfig::default().init();
    let shape = [1, 2];
    let slot = Slot {
        path: "w",
        shape: &shape,
    };
    let gradients = [[0.5, -1.0], [0.25, 2.0]];
    let mut expected = [1.0_f64, -2.0];
    let (mut mean, mut square) = ([0.0_f64; 2], [0.0_f64; 2]);
    let mut values = Tensor::<1>::from_floats([1.0, -2.0], &device);
    for (t, gradient) in (1..).zip(gradients) {
        values = optimizer.update(
            slot,
            values,
            Tensor::from_floats(gradient, &device),
            StepSize::new(0.1),
        );
        for i in 0..2 {
            let g: f64 = gradient[i];
            mean[i] = 0.9 * mean[i] + 0.1 * g;
            square[i] = 0.999 * square[i] + 0.001 * g * g;
            let scale = (square[i] / (1.0 - 0.999_f64.powi(t))).sqrt() + 1e-8;
            expected[i] =
                expected[i] * (1.0 - 0.1 * 0.01) - 0.1 * mean[i] / (1.0 - 0.9_f64.powi(t)) / scale;
        }
        for (a, b) in values.to_data().iter::<f64>().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
    assert!(
        (expected[0] - 0.8016).abs() < 0.02 && expected[1] < -1.7,
        "{expected:?}"
    );
}

#[test]
fn the_kernel_steps_as_plain_operations_do_and_spares_copies() {
    let device = Device::default();
    let config = AdamWConfig {
        weight_decay: 0.1,
        ..AdamWConfig::default()
    };
    let shape = [7, 191];
    let slot = Slot {
        path: "w",
        shape: &shape,
    };
    let size = StepSize {
        learning_rate: 0.01,
        gradient_scale: 0.3,
    };
    let run = |plain: bool| {
        ops::set_fallback(plain);
        let mut rng = Rng::new(3);
        let mut optimizer = OptimizerConfig::AdamW(config.clone()).init();
        let mut values = normal(&mut rng, [7 * 191], &device);
        for _ in 0..5 {
            let gradient = normal(&mut rng, [7 * 191], &device);
            let (copy, before) = (values.clone(), values.to_data());
            let state = optimizer.state();
            let moments: Vec<_> = state
                .values()
                .flat_map(|part| part.tensors.values())
                .collect();
            let held: Vec<_> = moments.iter().map(|tensor| tensor.to_data()).collect();
            values = optimizer.update(slot, values, gradient, size);
            assert_eq!(copy.to_data(), before);
            assert!(moments.iter().map(|tensor| tensor.to_data()).eq(held));
            assert_ne!(values.to_data(), before);
        }
        ops::set_fallback(false);
        let state = optimizer.state();
        let tensors = [&values].into_iter().chain(state["w"].tensors.values());
        let vector = |tensor: &Tensor<1>| tensor.to_data().iter::<f64>().collect::<Vec<_>>();
        (
            state["w"].steps,
            tensors.map(vector).collect::<Vec<_>>().concat(),
        )
    };
    let ((steps, kernel), (_, plain)) = (run(false), run(true));
    assert_eq!((steps, kernel.len()), (5, 3 * 7 * 191));
    for (kernel, plain) in kernel.iter().zip(&plain) {
        assert!((kernel - plain).abs() < 1e-6, "{kernel} {plain}");
    }
}

/// The step along a gradient with singular vectors `u`, `v` and singular values `s` goes along `u·f(s)·vᵀ`, where `f` is
/// five rounds of the polynomial on `s / ‖s‖`, times the learning rate, a fifth and the root of the longer side.
#[test]
fn muon_levels_the_singular_values() {
    let device = Device::default();
    let singular = [4.0, 1.0, 0.25];
    let norm = singular.iter().map(|s: &f64| s * s).sum::<f64>().sqrt();
    let orthogonal = singular.map(|s| {
        (0..5).fold(s / norm, |x, _| {
            3.4445 * x - 4.775 * x.powi(3) + 2.0315 * x.powi(5)
        })
    });
    for s in orthogonal {
        assert!((0.6..1.3).contains(&s), "{orthogonal:?}");
    }
    // Columns and rows of Hadamard and cosine kind: orthonormal, and no axis.
    let u = |i: usize, k: usize| {
        0.5 * if (i & (k + 1)).count_ones().is_multiple_of(2) {
            1.0
        } else {
            -1.0
        }
    };
    let v = |j: usize, k: usize| {
        (2.0_f64 / 6.0).sqrt()
            * (std::f64::consts::PI * (j as f64 + 0.5) * (k + 1) as f64 / 6.0).cos()
    };
    let product = |s: [f64; 3], height: usize, width: usize| -> Vec<f64> {
        let entry = |i: usize, j: usize| (0..3).map(|k| u(i, k) * s[k] * v(j, k)).sum::<f64>();
        (0..height * width)
            .map(|at| match height < width {
                true => entry(at / width, at % width),
                false => entry(at % width, at / width),
            })
            .collect()
    };
    for shape in [[4, 6], [6, 4]] {
        let config = MuonConfig {
            weight_decay: 0.5,
            adamw_params: vec!["head".into()],
            ..MuonConfig::default()
        };
        let mut optimizer = OptimizerConfig::Muon(config).init();
        let gradient = product(singular, shape[0], shape[1]);
        let gradient = gradient.iter().map(|&x| x as f32).collect::<Vec<_>>();
        let step = |optimizer: &mut dyn engine::train::optim::Optimizer, path: &str| {
            optimizer.update(
                Slot {
                    path,
                    shape: &shape,
                },
                Tensor::ones([24], &device),
                Tensor::from_floats(gradient.as_slice(), &device),
                StepSize::new(0.1),
            )
        };
        let values = step(optimizer.as_mut(), "body.weight").to_data();
        let stride = 0.1 * 0.2 * 6.0_f64.sqrt();
        for (value, turned) in values
            .iter::<f64>()
            .zip(product(orthogonal, shape[0], shape[1]))
        {
            let expected = 1.0 - 0.1 * 0.5 - stride * turned;
            assert!((value - expected).abs() < 1e-5, "{value} {expected}");
        }
        // AdamW's first step is one learning rate long for every value.
        let apart = step(optimizer.as_mut(), "head.weight").to_data();
        for (value, gradient) in apart.iter::<f64>().zip(&gradient) {
            let expected = 1.0 - 0.1 * 0.01 - 0.1 * f64::from(gradient.signum());
            assert!((value - expected).abs() < 1e-4, "{value} {expected}");
        }
        let state = optimizer.state();
        let named = |path: &str| state[path].tensors.keys().cloned().collect::<Vec<_>>();
        assert_eq!(named("body.weight"), ["momentum"]);
        assert_eq!(named("head.weight"), ["mean", "square"]);
    }
    let mut optimizer = OptimizerConfig::Muon(MuonConfig::default()).init();
    let slot = Slot {
        path: "still",
        shape: &[2, 3],
    };
    let zeros = Tensor::<1>::zeros([6], &device);
    let values = optimizer.update(slot, zeros.clone(), zeros, StepSize::new(0.1));
    assert_eq!(values.abs().max().into_scalar::<f32>(), 0.0);
}

#[test]
fn muon_takes_a_convolution_for_a_matrix_where_it_is_told_to() {
    let device = Device::default();
    let mut rng = Rng::new(9);
    let gradient = rng.normals(4 * 2 * 9);
    let step = |shape: &[usize], convolutions: bool| {
        let config = MuonConfig {
            convolutions,
            ..MuonConfig::default()
        };
        let gradient = Tensor::<1>::from_floats(gradient.as_slice(), &device);
        let slot = Slot { path: "w", shape };
        let values = Tensor::ones([72], &device);
        let mut optimizer = OptimizerConfig::Muon(config).init();
        optimizer
            .update(slot, values, gradient, StepSize::new(0.1))
            .into_data()
    };
    assert_eq!(step(&[4, 2, 3, 3], true), step(&[4, 18], false));
    assert_ne!(step(&[4, 2, 3, 3], false), step(&[4, 18], false));
    // A vector stays one.
    assert_eq!(step(&[72], true), step(&[72], false));
}

#[test]
fn the_muon_kernel_steps_as_plain_operations_do() {
    let device = Device::default();
    let size = StepSize {
        learning_rate: 0.01,
        gradient_scale: 0.3,
    };
    for shape in [[1, 1], [24, 40], [150, 31], [96, 96]] {
        let slot = Slot {
            path: "w",
            shape: &shape,
        };
        let run = |plain: bool| -> Vec<f64> {
            ops::set_fallback(plain);
            let mut rng = Rng::new(4);
            let mut optimizer = OptimizerConfig::Muon(MuonConfig::default()).init();
            let mut values = normal(&mut rng, [shape[0] * shape[1]], &device);
            for _ in 0..3 {
                let gradient = normal(&mut rng, [shape[0] * shape[1]], &device);
                let (copy, before) = (values.clone(), values.to_data());
                values = optimizer.update(slot, values, gradient, size);
                assert_eq!(copy.to_data(), before);
            }
            ops::set_fallback(false);
            let momentum = optimizer.state()["w"].tensors["momentum"].clone();
            Tensor::cat(vec![values, momentum], 0)
                .to_data()
                .iter::<f64>()
                .collect()
        };
        for (kernel, plain) in run(false).into_iter().zip(run(true)) {
            assert!((kernel - plain).abs() < 1e-5, "{shape:?}: {kernel} {plain}");
        }
    }
}

#[test]
fn gradients_are_clipped_to_the_norm_and_vectors_do_not_decay() {
    let device = Device::default().autodiff();
    // Plain Adam moments after one step are (1 − β) g, so the state shows the clipped gradient.
    let mut optimizer = OptimizerConfig::default().init();
    let model = line(&device);
    let loss = model.weight.val().sum() * 3.0 + model.bias.val().sum() * 4.0;
    let (model, stepped) = step(model, loss.backward(), optimizer.as_mut(), 0.0, Some(1.0));
    let norm = (6.0 * 9.0 + 2.0 * 16.0_f64).sqrt();
    assert!((stepped.grad_norm - norm).abs() < 1e-5 && !stepped.skipped);
    let state = optimizer.state();
    let mean = |path: &str| {
        state[path].tensors["mean"]
            .to_data()
            .iter::<f64>()
            .next()
            .unwrap()
    };
    assert!((mean("weight") - 0.1 * 3.0 / norm).abs() < 1e-6);
    assert!((mean("bias") - 0.1 * 4.0 / norm).abs() < 1e-6);

    let ones = Line {
        weight: model
            .weight
            .map(|w| (w.inner() + 1.0).autodiff().require_grad()),
        bias: model
            .bias
            .map(|b| (b.inner() + 1.0).autodiff().require_grad()),
    };
    let still = OptimizerConfig::AdamW(AdamWConfig {
        weight_decay: 0.5,
        ..AdamWConfig::default()
    });
    let loss = (ones.weight.val().sum() + ones.bias.val().sum()) * 0.0;
    let (decayed, _) = step(ones, loss.backward(), still.init().as_mut(), 0.1, None);
    assert!((decayed.weight.val().mean().into_scalar::<f32>() - 0.95).abs() < 1e-6);
    assert_eq!(decayed.bias.val().mean().into_scalar::<f32>(), 1.0);
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let device = Device::default().autodiff();
    let mut optimizer = OptimizerConfig::default().init();
    let model = line(&device);
    let loss = (model.weight.val().sum() * f32::INFINITY) + model.bias.val().sum();
    let (model, stepped) = step(model, loss.backward(), optimizer.as_mut(), 0.1, Some(1.0));
    assert!(stepped.skipped && optimizer.state().is_empty());
    assert_eq!(model.bias.val().sum().into_scalar::<f32>(), 0.0);
}
