//! Times a training step of a small diffusion transformer, operation by operation and whole, with Burn's own
//! operations and with the kernels.
//!
//! `cargo run --release -p orrery-engine --example step_bench`; `STEP_BENCH=step` times the whole step alone,
//! `STEP_BENCH=kernels` and `STEP_BENCH=bf16` one way alone, for a profiler.

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use engine::burn;
use engine::ops::{self, AttentionMask, Precision, Rope};

const BATCH: usize = 64;
const TOKENS: usize = 64;
const WIDTH: usize = 192;
const HEADS: usize = 6;
const HEAD: usize = WIDTH / HEADS;
const HIDDEN: usize = 4 * WIDTH;
const BLOCKS: usize = 6;
const EPS: f32 = 1e-6;
const RUNS: usize = 7;

fn main() {
    base::memory::keep_large_buffers();
    let device = Device::default().autodiff();
    match std::env::var("STEP_BENCH").as_deref() {
        Ok("kernels") => step(&device, &[Arm::Kernels]),
        Ok("bf16") => step(&device, &[Arm::Bf16]),
        Ok("step") => step(&device, &Arm::ALL),
        _ => {
            operations(&device);
            step(&device, &Arm::ALL);
        }
    }
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// Median of a few runs, in milliseconds, after one to warm up.
fn median(mut run: impl FnMut() -> f64) -> f64 {
    run();
    let mut times: Vec<f64> = (0..RUNS).map(|_| run()).collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2] * 1e3
}

/// Forward and backward times of `op` on inputs that all want gradients.
fn time<const D: usize>(op: &dyn Fn() -> Tensor<D>) -> [f64; 2] {
    let forward = median(|| {
        let start = Instant::now();
        let y = op();
        let time = start.elapsed().as_secs_f64();
        drop(y);
        time
    });
    let backward = median(|| {
        let y = op();
        let grad = y.clone().detach();
        // The gradient of Σ y · c is c: one more product and sum than the operation itself.
        let loss = (y * grad).sum();
        let start = Instant::now();
        let grads = loss.backward();
        let time = start.elapsed().as_secs_f64();
        drop(grads);
        time
    });
    [forward, backward]
}

fn compare<const D: usize>(name: &str, calls: usize, op: impl Fn() -> Tensor<D>) {
    let [kernels, fallback] = [false, true].map(|fallback| {
        ops::set_fallback(fallback);
        let times = time(&op);
        ops::set_fallback(false);
        times
    });
    println!(
        "{name:<28} {calls:>3} × | forward {:8.2} → {:7.2} ms | backward {:8.2} → {:7.2} ms | in a step {:8.1} → {:7.1} ms",
        fallback[0],
        kernels[0],
        fallback[1],
        kernels[1],
        calls as f64 * (fallback[0] + fallback[1]),
        calls as f64 * (kernels[0] + kernels[1]),
    );
}

/// Each operation at the shapes of the step. Backward times include the product and sum that start it.
fn operations(device: &Device) {
    println!("fallback → kernels, medians of {RUNS}");
    let input = random([BATCH, TOKENS, WIDTH], device).require_grad();
    let hidden = random([BATCH, TOKENS, HIDDEN], device).require_grad();
    let [a, b] = [0, 1].map(|_| random([BATCH, WIDTH], device).require_grad());
    compare("(product and sum alone) wide", 0, || hidden.clone());
    compare("(product and sum alone)", 0, || input.clone());
    compare("gelu", BLOCKS, || ops::gelu(hidden.clone()));
    compare("silu", 0, || ops::silu(hidden.clone()));
    compare("softmax", 0, || ops::softmax(hidden.clone()));
    compare("layer_norm", 0, || ops::layer_norm(input.clone(), EPS));
    compare("modulated_layer_norm", 2 * BLOCKS, || {
        ops::modulated_layer_norm(input.clone(), a.clone(), b.clone(), EPS)
    });
    compare("add_gated_layer_norm", 2 * BLOCKS, || {
        ops::add_gated_layer_norm(input.clone(), input.clone(), Some(a.clone()), EPS)
    });
    let rope = rope(device);
    let weight = random([HEAD], device).require_grad();
    let heads = random([BATCH, TOKENS, HEADS, HEAD], device).require_grad();
    compare("rms_norm_rope", 2 * BLOCKS, || {
        ops::rms_norm_rope(heads.clone(), weight.clone(), Some(&rope), EPS)
    });
    let [q, k, v] = [0, 1, 2].map(|_| random(heads.dims(), device).require_grad());
    compare("attention", BLOCKS, || {
        ops::attention(q.clone(), k.clone(), v.clone(), &AttentionMask::default())
    });
    for (input, output, calls) in [
        (WIDTH, WIDTH, 4 * BLOCKS),
        (WIDTH, HIDDEN, BLOCKS),
        (HIDDEN, WIDTH, BLOCKS),
    ] {
        let x = random([BATCH, TOKENS, input], device).require_grad();
        let weight = random([output, input], device).require_grad();
        let bias = random([output], device).require_grad();
        compare(&format!("linear {input} → {output}"), calls, || {
            ops::linear(x.clone(), weight.clone(), Some(bias.clone()))
        });
    }
    for (tokens, batch) in [(8, 512), (64, 64), (512, 8)] {
        let [q, k, v] = [0, 1, 2].map(|_| random([batch, tokens, 3, 64], device).require_grad());
        compare(&format!("attention {batch}×{tokens}, 3×64"), 0, || {
            ops::attention(q.clone(), k.clone(), v.clone(), &AttentionMask::default())
        });
    }
}

/// Two-dimensional positions of an 8 × 8 grid.
fn rope(device: &Device) -> Rope {
    let positions: Vec<f32> = (0..TOKENS)
        .flat_map(|i| [(i / 8) as f32, (i % 8) as f32])
        .collect();
    Rope::new(&positions, 2, HEAD, 100.0, device)
}

/// Weights of one linear layer.
struct Linear {
    weight: Tensor<2>,
    bias: Tensor<1>,
}

impl Linear {
    fn new(input: usize, output: usize, device: &Device) -> Self {
        let weight = random([output, input], device) * (input as f32).powf(-0.5);
        Self {
            weight: weight.detach().require_grad(),
            bias: Tensor::zeros([output], device).require_grad(),
        }
    }

    fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::linear(x, self.weight.clone(), Some(self.bias.clone()))
    }
}

struct Block {
    modulation: Linear,
    qkv: [Linear; 3],
    out: Linear,
    norms: [Tensor<1>; 2],
    up: Linear,
    down: Linear,
}

impl Block {
    fn new(device: &Device) -> Self {
        let square = || Linear::new(WIDTH, WIDTH, device);
        Self {
            modulation: Linear::new(WIDTH, 6 * WIDTH, device),
            qkv: [square(), square(), square()],
            out: square(),
            norms: [0, 1].map(|_| Tensor::ones([HEAD], device).require_grad()),
            up: Linear::new(WIDTH, HIDDEN, device),
            down: Linear::new(HIDDEN, WIDTH, device),
        }
    }

    /// `x` is `[batch, tokens, width]`, `condition` `[batch, width]`.
    fn forward(&self, x: Tensor<3>, condition: Tensor<2>, rope: &Rope) -> Tensor<3> {
        let modulation = self.modulation.forward(ops::silu(condition));
        let part = |i: usize| modulation.clone().narrow(1, i * WIDTH, WIDTH);
        let h = ops::modulated_layer_norm(x.clone(), part(0), part(1), EPS);
        let heads = |i: usize| {
            let y = self.qkv[i].forward(h.clone());
            y.reshape([BATCH, TOKENS, HEADS, HEAD])
        };
        let norm = |x, i: usize| ops::rms_norm_rope(x, self.norms[i].clone(), Some(rope), EPS);
        let h = ops::attention(
            norm(heads(0), 0),
            norm(heads(1), 1),
            heads(2),
            &AttentionMask::default(),
        );
        let h = self.out.forward(h.reshape([BATCH, TOKENS, WIDTH]));
        let x = ops::add_gated_layer_norm(x, h, Some(part(2)), EPS);
        let h = ops::modulated_layer_norm(x.clone(), part(3), part(4), EPS);
        let h = self.down.forward(ops::gelu(self.up.forward(h)));
        ops::add_gated_layer_norm(x, h, Some(part(5)), EPS)
    }
}

/// A way to run the step.
#[derive(Clone, Copy, Debug)]
enum Arm {
    /// Burn's own operations.
    Fallback,
    /// The kernels.
    Kernels,
    /// The kernels, with linear layers that multiply bf16 values.
    Bf16,
}

impl Arm {
    const ALL: [Arm; 3] = [Arm::Fallback, Arm::Kernels, Arm::Bf16];

    fn choose(self) {
        ops::set_fallback(matches!(self, Arm::Fallback));
        ops::set_precision(match self {
            Arm::Bf16 => Precision::Bf16,
            _ => Precision::F32,
        });
    }
}

/// The whole step without the optimiser: forward, mean squared error, backward.
fn step(device: &Device, arms: &[Arm]) {
    let blocks: Vec<Block> = (0..BLOCKS).map(|_| Block::new(device)).collect();
    let rope = rope(device);
    let [x, noise] = [0, 1].map(|_| random([BATCH, TOKENS, WIDTH], device));
    let condition = random([BATCH, WIDTH], device);
    for &arm in arms {
        arm.choose();
        let mut forward = Vec::new();
        let whole = median(|| {
            let start = Instant::now();
            let mut y = x.clone();
            for block in &blocks {
                y = block.forward(y, condition.clone(), &rope);
            }
            let loss = (y - noise.clone()).square().mean();
            forward.push(start.elapsed().as_secs_f64());
            let grads = loss.backward();
            let time = start.elapsed().as_secs_f64();
            drop(grads);
            time
        });
        forward.sort_by(f64::total_cmp);
        let forward = forward[forward.len() / 2] * 1e3;
        println!("step, {arm:?}: forward {forward:.0} ms, all {whole:.0} ms");
    }
}
