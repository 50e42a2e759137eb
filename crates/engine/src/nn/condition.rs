use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use super::{Init, Linear, LinearConfig};
use crate::ops;
use base::rng::Rng;

/// Sinusoidal embedding of scalars: cosines, then sines, of `value · 10000^(−2i/width)`.
///
/// `values` is any list of scalars; the result is `[values, width]`, `width` even.
pub fn sinusoid(values: &[f32], width: usize, device: &Device) -> Tensor<2> {
    let half = width / 2;
    let mut out = vec![0.0; values.len() * width];
    for (row, &value) in out.chunks_exact_mut(width).zip(values) {
        for i in 0..half {
            let frequency = libm::exp(-libm::log(10_000.0) * i as f64 / half as f64);
            let (sin, cos) = libm::sincos(f64::from(value) * frequency);
            row[i] = cos as f32;
            row[half + i] = sin as f32;
        }
    }
    Tensor::from_data(TensorData::new(out, [values.len(), width]), device)
}

/// Two linear layers with a SiLU between, as timesteps and sizes are embedded.
#[derive(Module, Debug)]
pub struct EmbeddingMlp {
    /// First layer.
    pub linear_1: Linear,
    /// Second layer.
    pub linear_2: Linear,
}

impl EmbeddingMlp {
    /// `input → width → width`.
    pub fn new(input: usize, width: usize, rng: &mut Rng, device: &Device) -> Self {
        let init = Init::Normal(0.02);
        Self {
            linear_1: LinearConfig::new(input, width)
                .with_init(init)
                .init(rng, device),
            linear_2: LinearConfig::new(width, width)
                .with_init(init)
                .init(rng, device),
        }
    }

    /// `[batch, input]` → `[batch, width]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.linear_2.forward(ops::silu(self.linear_1.forward(x)))
    }
}

/// Makes `parts` modulation vectors out of a condition: `Linear(SiLU(c))`, silent at the start.
#[derive(Module, Debug)]
pub struct AdaLayerNorm {
    /// `[parts · width, width]`.
    pub linear: Linear,
}

impl AdaLayerNorm {
    /// A map from `width` to `parts · width`.
    pub fn new(width: usize, parts: usize, rng: &mut Rng, device: &Device) -> Self {
        Self {
            linear: LinearConfig::new(width, parts * width)
                .with_init(Init::Zeros)
                .init(rng, device),
        }
    }

    /// `[batch, width]` → `[batch, parts · width]`.
    pub fn forward(&self, condition: Tensor<2>) -> Tensor<2> {
        self.linear.forward(ops::silu(condition))
    }
}
