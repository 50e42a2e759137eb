//! The STIV block: sandwich norms around spatial, temporal and cross attention and the feed-forward layer.

use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use engine::nn::{Attention, AttentionConfig, Linear, LinearConfig};
use engine::ops::{self, Rope};

use super::condition::Condition;
use super::config::StivConfig;
use super::model::{EPS, chunks};

/// How the tokens of a batch lie: `[batch, times · places, width]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub batch: usize,
    pub times: usize,
    pub places: usize,
    pub heads: usize,
}

/// One block (paper figure 2, right).
#[derive(Module, Debug)]
pub struct Block {
    /// Attention within a frame.
    pub spatial: Attention,
    /// Attention along time at each place; not causal, not modulated (both hurt, paper table 2).
    pub temporal: Attention,
    /// Attention to the text.
    pub cross: Attention,
    /// Feed-forward, first layer.
    pub fc1: Linear,
    /// Feed-forward, second layer.
    pub fc2: Linear,
    /// What this block adds to the shared modulation, `[6, width]`:
    /// shift, scale, gate of the spatial attention, then of the feed-forward layer.
    pub scale_shift_table: Param<Tensor<2>>,
}

impl Block {
    pub(super) fn new(config: &StivConfig, rng: &mut Rng, device: &Device) -> Self {
        let attention = |context, rng: &mut Rng| {
            AttentionConfig {
                width: config.width,
                context,
                heads: config.heads,
                qk_norm: true,
            }
            .init(rng, device)
        };
        let hidden = config.mlp_width();
        Self {
            spatial: attention(config.width, rng),
            temporal: attention(config.width, rng),
            cross: attention(config.context, rng),
            fc1: LinearConfig::new(config.width, hidden).init(rng, device),
            fc2: LinearConfig::new(hidden, config.width).init(rng, device),
            scale_shift_table: Param::from_data(
                TensorData::zeros::<f32, _>([6, config.width]),
                device,
            ),
        }
    }

    /// `x` is `[batch, times · places, width]`, `modulation` the shared `[batch, 6 · width]`. Without
    /// `temporal_rope` (a single frame) temporal attention is skipped.
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        modulation: &Tensor<2>,
        condition: &Condition,
        shape: &Shape,
        spatial_rope: &Rope,
        temporal_rope: Option<&Rope>,
    ) -> Tensor<3> {
        let Shape {
            batch,
            times,
            places,
            heads,
        } = *shape;
        let width = x.dims()[2];
        let table = self.scale_shift_table.val().reshape([1, 6 * width]);
        let [shift1, scale1, gate1, shift2, scale2, gate2] = chunks(modulation.clone() + table);

        let y = ops::modulated_layer_norm(x.clone(), shift1, scale1, EPS);
        let y = self
            .spatial
            .forward_grouped(y, [batch * times, places, heads], Some(spatial_rope));
        let x = ops::add_gated_layer_norm(x, y, Some(gate1), EPS);

        let x = match temporal_rope {
            Some(rope) => {
                let y = ops::layer_norm(x.clone(), EPS);
                let y =
                    self.temporal
                        .forward_grouped(y, [batch, times, places * heads], Some(rope));
                ops::add_gated_layer_norm(x, y, None, EPS)
            }
            None => x,
        };

        let y = ops::layer_norm(x.clone(), EPS);
        let y = self
            .cross
            .forward_cross(y, condition.text.clone(), condition.text_mask.clone());
        let x = ops::add_gated_layer_norm(x, y, None, EPS);

        let y = ops::modulated_layer_norm(x.clone(), shift2, scale2, EPS);
        let y = self.fc2.forward(ops::gelu(self.fc1.forward(y)));
        ops::add_gated_layer_norm(x, y, Some(gate2), EPS)
    }
}
