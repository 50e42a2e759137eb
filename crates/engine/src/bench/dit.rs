//! A diffusion transformer of 256 tokens, width 384, 6 blocks, 6 heads, batch 8, through [`crate::ops`].

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use super::{Benchmark, Run};
use crate::nn::{AdaLayerNorm, Attention, AttentionConfig, Linear, LinearConfig};
use crate::ops::{self, Precision};
use crate::train::optim::{OptimizerConfig, step};
use base::rng::Rng;

const WIDTH: usize = 384;
const HEADS: usize = 6;
const BLOCKS: usize = 6;
const TOKENS: usize = 256;
const BATCH: usize = 8;
const EPS: f32 = 1e-6;
const RATE: f64 = 1e-4;

#[derive(Module, Debug)]
struct Block {
    attention: Attention,
    fc1: Linear,
    fc2: Linear,
    modulation: AdaLayerNorm,
}

#[derive(Module, Debug)]
struct Dit {
    blocks: Vec<Block>,
    head: Linear,
}

pub(super) fn benchmarks() -> Vec<Benchmark> {
    let benchmark = Benchmark::with_peer;
    vec![
        benchmark(
            "dit-forward-f32",
            "diffusion transformer, forward, f32",
            || forward(Precision::F32),
        ),
        benchmark("dit-forward-bf16", "the same, bf16 products", || {
            forward(Precision::Bf16)
        }),
        benchmark(
            "dit-step-f32",
            "its training step: forward, backward, AdamW, f32",
            || training(Precision::F32),
        ),
        benchmark(
            "dit-step-bf16",
            "the same in mixed precision: bf16 products, f32 weights",
            || training(Precision::Bf16),
        ),
    ]
}

impl Dit {
    fn new(rng: &mut Rng, device: &Device) -> Self {
        let attention = AttentionConfig {
            width: WIDTH,
            context: WIDTH,
            heads: HEADS,
            qk_norm: false,
        };
        let block = |rng: &mut Rng| Block {
            attention: attention.init(rng, device),
            fc1: LinearConfig::new(WIDTH, 4 * WIDTH).init(rng, device),
            fc2: LinearConfig::new(4 * WIDTH, WIDTH).init(rng, device),
            modulation: AdaLayerNorm::new(WIDTH, 6, rng, device),
        };
        Self {
            blocks: (0..BLOCKS).map(|_| block(rng)).collect(),
            head: LinearConfig::new(WIDTH, 48).init(rng, device),
        }
    }

    /// `[batch, tokens, width]` and `[batch, width]` → `[batch, tokens, 48]`.
    fn forward(&self, x: Tensor<3>, c: Tensor<2>) -> Tensor<3> {
        let x = self.blocks.iter().fold(x, |x, block| {
            let all = block.modulation.forward(c.clone());
            let part = |i: usize| all.clone().narrow(1, i * WIDTH, WIDTH);
            let y = ops::modulated_layer_norm(x.clone(), part(0), part(1), EPS);
            let y = block
                .attention
                .forward_grouped(y, [BATCH, TOKENS, HEADS], None);
            let x = x + y * part(2).unsqueeze_dim(1);
            let y = ops::modulated_layer_norm(x.clone(), part(3), part(4), EPS);
            let y = block.fc2.forward(ops::gelu(block.fc1.forward(y)));
            x + y * part(5).unsqueeze_dim(1)
        });
        self.head.forward(ops::layer_norm(x, EPS))
    }
}

/// Tokens and conditions.
fn input(device: &Device) -> (Tensor<3>, Tensor<2>) {
    let mut rng = Rng::new(0);
    let mut put = |shape: Vec<usize>| TensorData::new(rng.normals(shape.iter().product()), shape);
    let (x, c) = (put(vec![BATCH, TOKENS, WIDTH]), put(vec![BATCH, WIDTH]));
    (Tensor::from_data(x, device), Tensor::from_data(c, device))
}

fn forward(precision: Precision) -> Run {
    let device = Device::flex();
    let model = Dit::new(&mut Rng::new(1), &device);
    let (x, c) = input(&device);
    Box::new(move || {
        let before = ops::set_precision(precision);
        std::hint::black_box(model.forward(x.clone(), c.clone()).into_data());
        ops::set_precision(before);
    })
}

fn training(precision: Precision) -> Run {
    let device = Device::flex().autodiff();
    let mut model = Some(Dit::new(&mut Rng::new(1), &device));
    let (x, c) = input(&device);
    let mut optimizer = OptimizerConfig::default().init();
    Box::new(move || {
        let before = ops::set_precision(precision);
        if let Some(current) = model.take() {
            let loss = current.forward(x.clone(), c.clone()).square().mean();
            let (stepped, _) = step(current, loss.backward(), optimizer.as_mut(), RATE, None);
            model = Some(stepped);
        }
        ops::set_precision(before);
    })
}
