//! Deeper models from shallower ones: copies of blocks that change nothing at first.

use burn::module::Param;
use burn::tensor::Tensor;
use engine::models::causal_lm::{Block, CausalLm, CausalLmConfig, Projection};

use super::SystemError;

/// After which of `blocks` a copy comes, so that there are `wanted`: spread evenly, the last one at the end.
pub fn places(blocks: usize, wanted: usize) -> Vec<usize> {
    let new = wanted.saturating_sub(blocks);
    (1..=new)
        .map(|at| (at * blocks).div_ceil(new).max(1) - 1)
        .collect()
}

/// A model of `wanted` blocks that computes what `model` does: after some blocks comes a copy whose output projections are
/// zero. For 32 and 36 blocks these are every eighth.
///
/// # Errors
/// [`SystemError::Input`] where it has as many already.
pub fn expand(
    config: &CausalLmConfig,
    model: CausalLm,
    wanted: usize,
) -> Result<(CausalLmConfig, CausalLm), SystemError> {
    let blocks = model.model.layers.len();
    if wanted <= blocks || wanted > 10_000 {
        return Err(SystemError::Input(format!(
            "the model has {blocks} blocks: give a larger number with `--layers`, up to 10000"
        )));
    }
    let places = places(blocks, wanted);
    let mut model = model;
    let mut layers = Vec::with_capacity(wanted);
    for (at, block) in model.model.layers.into_iter().enumerate() {
        layers.push(block.clone());
        for _ in places.iter().filter(|place| **place == at) {
            layers.push(silent(block.clone()));
        }
    }
    model.model.layers = layers;
    let config = CausalLmConfig {
        num_hidden_layers: wanted,
        ..config.clone()
    };
    Ok((config, model))
}

/// The block with outputs of zero: the residual goes through it unchanged.
fn silent(mut block: Block) -> Block {
    for output in [&mut block.self_attn.o_proj, &mut block.mlp.down_proj] {
        zero(output);
    }
    block
}

fn zero(output: &mut Projection) {
    let weight = output.weight.val();
    output.weight = Param::from_tensor(Tensor::zeros(weight.dims(), &weight.device()));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::fixtures::furthest;
    use base::rng::Rng;
    use burn::tensor::{Device, Int, TensorData};

    #[test]
    fn copies_come_after_every_eighth_block() {
        assert_eq!(places(32, 36), [7, 15, 23, 31]);
        assert_eq!(places(4, 6), [1, 3]);
        assert_eq!(places(2, 6), [0, 0, 1, 1]);
    }

    #[test]
    fn a_deeper_model_computes_the_same_until_it_is_trained() {
        let config = CausalLmConfig {
            vocab_size: 40,
            hidden_size: 32,
            intermediate_size: 48,
            head_dim: 8,
            sliding_window: Some(5),
            ..CausalLmConfig::toy()
        };
        let device = Device::flex();
        let model = config.init(&mut Rng::new(4), &device).unwrap();
        let ids: Vec<i32> = (0..24).map(|at| (at * 7) % 40).collect();
        let ids: Tensor<2, Int> = Tensor::from_data(TensorData::new(ids, [2, 12]), &device);
        let logits = |model: &CausalLm| -> Vec<f32> {
            model
                .forward(ids.clone())
                .into_data()
                .iter::<f32>()
                .collect()
        };
        let (deeper, grown) = expand(&config, model.clone(), 7).unwrap();
        assert_eq!((deeper.num_hidden_layers, grown.model.layers.len()), (7, 7));
        assert!(furthest(&logits(&grown), &logits(&model)) < 1e-5);
        assert!(expand(&config, model, 4).is_err());
    }
}
