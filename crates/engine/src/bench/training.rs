//! A training step of a language model of 30 million parameters timed beside PyTorch: `orrery bench --suite training`.

use burn::tensor::Device;

use super::{Benchmark, Run};
use crate::models::causal_lm::{CausalLmConfig, LossOptions, Sequences};
use crate::ops::{self, Precision};
use crate::train::optim::{OptimizerConfig, step};
use base::rng::Rng;

/// What PyTorch runs for the same benchmarks.
pub const SCRIPT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../benches/training_peer.py"
));

/// Tokens of a sequence.
const CONTEXT: usize = 512;
/// Sequences of a step.
const BATCH: usize = 4;
const RATE: f64 = 1e-4;

/// All benchmarks of the suite, with the ratios that they must not exceed.
pub fn benchmarks() -> Vec<Benchmark> {
    let benchmark = |name, about, make| Benchmark::with_peer(name, about, make).at_most(1.1);
    vec![
        benchmark(
            "llama-30m-step-f32",
            "a Llama of 30 M parameters, 4 × 512 tokens: forward, backward, AdamW, f32",
            || training(Precision::F32),
        ),
        benchmark(
            "llama-30m-step-bf16",
            "the same in mixed precision: bf16 products, f32 weights",
            || training(Precision::Bf16),
        ),
    ]
}

/// 30 417 408 parameters: eight blocks, grouped heads, an untied head.
fn config() -> CausalLmConfig {
    CausalLmConfig {
        vocab_size: 8192,
        hidden_size: 512,
        intermediate_size: 1280,
        num_hidden_layers: 8,
        num_attention_heads: 8,
        num_key_value_heads: 4,
        head_dim: 64,
        sliding_window: None,
        ..CausalLmConfig::toy()
    }
}

fn training(precision: Precision) -> Run {
    let (device, config) = (Device::flex().autodiff(), config());
    let mut model = config.init(&mut Rng::new(1), &device).ok();
    let mut rng = Rng::new(2);
    let mut row = || -> Vec<u32> {
        let ids = (0..CONTEXT).map(|_| rng.below(config.vocab_size) as u32);
        ids.collect()
    };
    let rows: Vec<Vec<u32>> = (0..BATCH).map(|_| row()).collect();
    let batch = Sequences::whole(&rows);
    let mut optimizer = OptimizerConfig::default().init();
    Box::new(move || {
        let before = ops::set_precision(precision);
        if let Some(current) = model.take() {
            let loss = current.loss(&batch, &LossOptions::default(), None);
            let (stepped, _) = step(current, loss.backward(), optimizer.as_mut(), RATE, None);
            model = Some(stepped);
        }
        ops::set_precision(before);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_has_as_many_parameters_as_the_peers() {
        assert_eq!(config().parameters(), 30_417_408);
        assert!(SCRIPT.contains("30_417_408"));
    }
}
