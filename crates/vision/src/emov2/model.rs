//! The backbone and classifier (paper section 3.4).

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use engine::nn::{Conv2dConfig, Init, Linear, LinearConfig};

use super::block::Block;
use super::config::EmoConfig;
use super::layers::{Activation, ConvUnit, Norm, NormKind, to_tokens};

/// EMOv1 or EMOv2; see [`EmoConfig`].
#[derive(Module, Debug)]
pub struct Emo {
    stage0: Vec<ConvUnit>,
    stage1: Vec<Block>,
    stage2: Vec<Block>,
    stage3: Vec<Block>,
    stage4: Vec<Block>,
    norm: Option<Norm>,
    head: Option<Linear>,
}

/// Which samples leave which blocks out, drawn for one training step.
#[derive(Clone, Debug)]
pub struct DropPath {
    /// A factor a sample for each block: 0, or 1 over the chance to stay.
    factors: Vec<Vec<f32>>,
}

impl DropPath {
    /// Draws for `batch` samples of a network with `blocks` blocks; the chance rises linearly from 0 to `last`.
    pub fn draw(last: f64, blocks: usize, batch: usize, rng: &mut Rng) -> Self {
        let factors = (0..blocks).map(|block| {
            let chance = last * block as f64 / blocks.saturating_sub(1).max(1) as f64;
            let stays = (1.0 / (1.0 - chance)) as f32;
            (0..batch)
                .map(|_| match rng.chance(chance as f32) {
                    true => 0.0,
                    false => stays,
                })
                .collect()
        });
        Self {
            factors: factors.collect(),
        }
    }

    fn of(&self, block: usize, device: &Device) -> Option<Tensor<4>> {
        let factors = self.factors.get(block)?;
        if factors.iter().all(|factor| *factor == 1.0) {
            return None;
        }
        let data = TensorData::new(factors.clone(), [factors.len(), 1, 1, 1]);
        Some(Tensor::from_data(data, device))
    }
}

impl EmoConfig {
    /// Draws a network.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> Emo {
        let stem = self.stem();
        let first = Conv2dConfig::new(self.dim_in, stem, 3).with_stride(2);
        let local = Conv2dConfig::depthwise(stem, 3).without_bias();
        let last = Conv2dConfig::new(stem, stem, 1).without_bias();
        let (batch, silu) = (NormKind::Batch, Activation::Silu);
        let stage0 = vec![
            ConvUnit::normed(first, batch, silu, rng, device),
            ConvUnit::normed(local, batch, silu, rng, device),
            ConvUnit::plain(last, Activation::None, rng, device),
        ];
        let [stage1, stage2, stage3, stage4] = self.block_configs().map(|stage| {
            stage
                .iter()
                .map(|block| Block::new(block, rng, device))
                .collect()
        });
        let width = self.embed_dims[3];
        let classifies = self.num_classes > 0;
        Emo {
            stage0,
            stage1,
            stage2,
            stage3,
            stage4,
            norm: classifies.then(|| Norm::new(NormKind::Layer, width, device)),
            head: classifies.then(|| {
                LinearConfig::new(width, self.num_classes)
                    .with_init(Init::Normal(0.02))
                    .init(rng, device)
            }),
        }
    }
}

impl Emo {
    /// Outputs of stem and stages 1 to 4, strides 2, 4, 8, 16 and 32, of pictures `[batch, 3, height, width]` with ImageNet's
    /// mean and deviation taken out.
    pub fn features(&self, x: Tensor<4>, drop: Option<&DropPath>) -> [Tensor<4>; 5] {
        let stem = self.stage0.iter().fold(x, |x, unit| unit.forward(x));
        let mut at = 0;
        let mut run = |x: Tensor<4>, stage: &[Block]| {
            stage.iter().fold(x, |x, block| {
                let keep = drop.and_then(|drop| drop.of(at, &x.device()));
                at += 1;
                block.forward(x, keep)
            })
        };
        let one = run(stem.clone(), &self.stage1);
        let two = run(one.clone(), &self.stage2);
        let three = run(two.clone(), &self.stage3);
        let four = run(three.clone(), &self.stage4);
        [stem, one, two, three, four]
    }

    /// The vector that the head sees: `[batch, width]`.
    pub fn pooled(&self, last: Tensor<4>) -> Tensor<2> {
        let tokens = match self.norm.as_ref().and_then(|norm| norm.ln.as_ref()) {
            Some(ln) => ln.forward(to_tokens(last)),
            None => to_tokens(last),
        };
        let [batch, height, width, channels] = tokens.dims();
        tokens
            .reshape([batch, height * width, channels])
            .mean_dim(1)
            .squeeze_dim(1)
    }

    /// Logits `[batch, classes]`; of a network without head, the mean of its last stage.
    pub fn forward(&self, x: Tensor<4>, drop: Option<&DropPath>) -> Tensor<2> {
        let [.., last] = self.features(x, drop);
        let pooled = self.pooled(last);
        match &self.head {
            Some(head) => head.forward(pooled),
            None => pooled,
        }
    }

    /// The same with windows of another side: weights do not depend on it.
    pub fn with_window(mut self, side: i64) -> Self {
        for stage in [
            &mut self.stage1,
            &mut self.stage2,
            &mut self.stage3,
            &mut self.stage4,
        ] {
            *stage = std::mem::take(stage)
                .into_iter()
                .map(|block| block.with_window(side))
                .collect();
        }
        self
    }
}
