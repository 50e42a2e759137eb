//! The diffusion transformer of the foundation's table (256 tokens, width 384, 6 blocks, 6 heads, batch 8), timed through
//! `engine::ops`. Prints one JSON line; `benches/dit.py` runs it beside PyTorch.
//!
//! `cargo run --release -p orrery-engine --example dit_bench -- [rounds]`

use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use engine::nn::{AdaLayerNorm, Attention, AttentionConfig, Linear, LinearConfig};
use engine::ops;
use engine::rng::Rng;
use engine::train::optim::{OptimizerConfig, step};

const WIDTH: usize = 384;
const HEADS: usize = 6;
const BLOCKS: usize = 6;
const TOKENS: usize = 256;
const BATCH: usize = 8;
const EPS: f32 = 1e-6;

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

impl Dit {
    fn new(rng: &mut Rng, device: &Device) -> Self {
        let attention = AttentionConfig {
            width: WIDTH,
            context: WIDTH,
            heads: HEADS,
            qk_norm: false,
        };
        Self {
            blocks: (0..BLOCKS)
                .map(|_| Block {
                    attention: attention.init(rng, device),
                    fc1: LinearConfig::new(WIDTH, 4 * WIDTH).init(rng, device),
                    fc2: LinearConfig::new(4 * WIDTH, WIDTH).init(rng, device),
                    modulation: AdaLayerNorm::new(WIDTH, 6, rng, device),
                })
                .collect(),
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    engine::memory::keep_large_buffers();
    if std::env::args().nth(2).as_deref() == Some("bf16") {
        ops::set_precision(ops::Precision::Bf16);
    }
    let rounds = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(10);
    let device = Device::flex();
    let mut rng = Rng::new(0);
    let mut put = |shape: Vec<usize>| {
        let count = shape.iter().product();
        TensorData::new(rng.normals(count), shape)
    };
    let (x, c) = (put(vec![BATCH, TOKENS, WIDTH]), put(vec![BATCH, WIDTH]));

    let model = Dit::new(&mut Rng::new(1), &device);
    let run = |device: &Device| {
        (
            Tensor::<3>::from_data(x.clone(), device),
            Tensor::<2>::from_data(c.clone(), device),
        )
    };
    let (plain_x, plain_c) = run(&device);
    let mut forward = Vec::new();
    for round in 0..rounds + 2 {
        let start = Instant::now();
        let out = model.forward(plain_x.clone(), plain_c.clone());
        std::hint::black_box(out.into_data());
        if round >= 2 {
            forward.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }

    let tracked = device.autodiff();
    let mut model = Dit::new(&mut Rng::new(1), &tracked);
    let (x, c) = run(&tracked);
    let mut optimizer = OptimizerConfig::default().init();
    let mut training = Vec::new();
    for round in 0..rounds + 2 {
        let start = Instant::now();
        let loss = model.forward(x.clone(), c.clone()).square().mean();
        let (stepped, _) = step(model, loss.backward(), optimizer.as_mut(), 1e-4, None);
        model = stepped;
        if round >= 2 {
            training.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    println!(
        "{{\"forward_ms\": {:.1}, \"training_ms\": {:.1}}}",
        median(forward),
        median(training)
    );
}
