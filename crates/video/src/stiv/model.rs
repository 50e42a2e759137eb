//! The STIV transformer (paper section 3.1, figure 2).

use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::nn::{AdaLayerNorm, Cubify, EmbeddingMlp, Init, Linear, LinearConfig, sinusoid};
use engine::ops::{self, Rope};

use super::block::{Block, Shape};
use super::condition::Condition;
use super::config::{MICRO_CONDITIONS, StivConfig};

/// Epsilon of every stateless layer norm.
pub(super) const EPS: f32 = 1e-6;
/// Timesteps in `[0, 1]` are embedded as `1000 · t`.
const TIME_SCALE: f32 = 1000.0;
/// Base of the rotary embedding.
const ROPE_BASE: f32 = 10_000.0;

/// Options of a forward pass.
#[derive(Clone, Debug)]
pub struct ForwardOptions {
    /// Factor on the positions: `old length / new length` when a model meets a new size (interpolation).
    pub position_scale: f32,
    /// Places (of the raster of one frame) that the main blocks see, the same in every frame; absent: all.
    pub keep: Option<Vec<usize>>,
}

impl Default for ForwardOptions {
    fn default() -> Self {
        Self {
            position_scale: 1.0,
            keep: None,
        }
    }
}

/// A diffusion transformer over space and time that predicts the flow's velocity.
#[derive(Module, Debug)]
pub struct Stiv {
    /// Patches → tokens.
    pub cubify: Linear,
    /// Timestep embedding.
    pub time: EmbeddingMlp,
    /// Micro-condition embedding.
    pub micro: EmbeddingMlp,
    /// Pooled text → singleton condition.
    pub pooled: Linear,
    /// The modulation that all blocks share.
    pub modulation: AdaLayerNorm,
    /// The main blocks.
    pub blocks: Vec<Block>,
    /// Stands in for tokens the main blocks did not see, `[width]`.
    pub mask_token: Param<Tensor<1>>,
    /// Blocks on the full sequence after the masked ones.
    pub extra_blocks: Vec<Block>,
    /// Shift and scale before the head.
    pub final_modulation: AdaLayerNorm,
    /// Tokens → velocity patches.
    pub head: Linear,
    heads: usize,
    frequencies: usize,
    temporal_patch: usize,
    spatial_patch: usize,
}

impl StivConfig {
    /// Draws a model: silent gates and a silent head, so that it starts by predicting zero.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> Stiv {
        let block = |rng: &mut Rng| Block::new(self, rng, device);
        Stiv {
            cubify: LinearConfig::new(self.patch_values(), self.width).init(rng, device),
            time: EmbeddingMlp::new(self.frequencies, self.width, rng, device),
            micro: EmbeddingMlp::new(MICRO_CONDITIONS * self.frequencies, self.width, rng, device),
            pooled: LinearConfig::new(self.context, self.width).init(rng, device),
            modulation: AdaLayerNorm::new(self.width, 6, rng, device),
            blocks: (0..self.depth).map(|_| block(rng)).collect(),
            mask_token: Param::from_data(
                TensorData::new(
                    (0..self.width).map(|_| 0.02 * rng.normal()).collect(),
                    [self.width],
                ),
                device,
            ),
            extra_blocks: (0..self.extra_blocks).map(|_| block(rng)).collect(),
            final_modulation: AdaLayerNorm::new(self.width, 2, rng, device),
            head: LinearConfig::new(self.width, self.patch_values())
                .with_init(Init::Zeros)
                .init(rng, device),
            heads: self.heads,
            frequencies: self.frequencies,
            temporal_patch: self.temporal_patch,
            spatial_patch: self.spatial_patch,
        }
    }
}

impl Stiv {
    /// The velocity at `x`.
    ///
    /// `x` is `[batch, channels, frames, height, width]`, `t` one time in `[0, 1]` for each sample (0 is noise,
    /// 1 is data); the result has the shape of `x`. Frames, height and width must be multiples of the patch.
    /// A single frame skips temporal attention.
    pub fn forward(
        &self,
        x: Tensor<5>,
        t: &[f32],
        condition: &Condition,
        options: &ForwardOptions,
    ) -> Tensor<5> {
        let device = x.device();
        let [batch, _, frames, height, width] = x.dims();
        let cubify = Cubify {
            time: self.temporal_patch,
            side: self.spatial_patch,
        };
        let grid = cubify.grid(frames, height, width);
        let [times, rows, columns] = grid;

        let c = self.singleton(t, condition, &device);
        let modulation = self.modulation.forward(c.clone());
        let tokens = self.cubify.forward(cubify.cut(x));

        let full = Shape {
            batch,
            times,
            places: rows * columns,
            heads: self.heads,
        };
        let scale = options.position_scale;
        let all: Vec<usize> = (0..full.places).collect();
        let temporal = self.temporal_rope(times, scale, &device);
        let run = |blocks: &[Block], tokens, shape: &Shape, spatial: &Rope| {
            blocks.iter().fold(tokens, |tokens, block| {
                block.forward(
                    tokens,
                    &modulation,
                    condition,
                    shape,
                    spatial,
                    temporal.as_ref(),
                )
            })
        };
        let everywhere = self.spatial_rope(&all, columns, scale, &device);
        let tokens = match &options.keep {
            None => run(&self.blocks, tokens, &full, &everywhere),
            Some(keep) => {
                let seen = Shape {
                    places: keep.len(),
                    ..full
                };
                let there = self.spatial_rope(keep, columns, scale, &device);
                let tokens = drop_places(tokens, &full, keep);
                let tokens = run(&self.blocks, tokens, &seen, &there);
                restore_places(tokens, self.mask_token.val(), &full, keep)
            }
        };
        let tokens = run(&self.extra_blocks, tokens, &full, &everywhere);

        let [shift, scale] = chunks(self.final_modulation.forward(c));
        let tokens = ops::modulated_layer_norm(tokens, shift, scale, EPS);
        cubify.join(self.head.forward(tokens), grid)
    }

    /// The singleton condition `[batch, width]`: timestep, micro-conditions and pooled text, each through a
    /// stateless layer norm, summed (paper section 3.1).
    pub fn singleton(&self, t: &[f32], condition: &Condition, device: &Device) -> Tensor<2> {
        let times: Vec<f32> = t.iter().map(|t| t * TIME_SCALE).collect();
        let time = self
            .time
            .forward(sinusoid(&times, self.frequencies, device));
        let micro: Vec<f32> = condition.micro.iter().flatten().copied().collect();
        let micro = sinusoid(&micro, self.frequencies, device)
            .reshape([condition.micro.len(), MICRO_CONDITIONS * self.frequencies]);
        let micro = self.micro.forward(micro);
        let pooled = self.pooled.forward(condition.pooled.clone());
        ops::layer_norm(time, EPS) + ops::layer_norm(micro, EPS) + ops::layer_norm(pooled, EPS)
    }

    /// Rows in the first half of each head, columns in the second.
    fn spatial_rope(&self, places: &[usize], columns: usize, scale: f32, device: &Device) -> Rope {
        let positions: Vec<f32> = places
            .iter()
            .flat_map(|place| [(place / columns) as f32, (place % columns) as f32])
            .map(|position| position * scale)
            .collect();
        Rope::new(&positions, 2, self.head_width(), ROPE_BASE, device)
    }

    /// Positions along time; none for a single frame, whose temporal attention is skipped.
    fn temporal_rope(&self, times: usize, scale: f32, device: &Device) -> Option<Rope> {
        if times == 1 && self.temporal_patch == 1 {
            return None;
        }
        let positions: Vec<f32> = (0..times).map(|time| time as f32 * scale).collect();
        Some(Rope::new(
            &positions,
            1,
            self.head_width(),
            ROPE_BASE,
            device,
        ))
    }

    /// The same weights read as `temporal_patch` frames a patch; the patch layers must fit.
    pub(super) fn with_temporal_patch(mut self, temporal_patch: usize) -> Self {
        self.temporal_patch = temporal_patch;
        self
    }

    fn head_width(&self) -> usize {
        self.cubify.weight.lazy_shape()[0] / self.heads
    }
}

/// Cuts `[batch, N · width]` into `N` tensors `[batch, width]`.
pub(super) fn chunks<const N: usize>(x: Tensor<2>) -> [Tensor<2>; N] {
    let width = x.dims()[1] / N;
    std::array::from_fn(|i| x.clone().narrow(1, i * width, width))
}

/// Keeps the listed places of every frame.
fn drop_places(tokens: Tensor<3>, full: &Shape, keep: &[usize]) -> Tensor<3> {
    let width = tokens.dims()[2];
    let index = indices(keep.iter().copied(), &tokens.device());
    tokens
        .reshape([full.batch * full.times, full.places, width])
        .select(1, index)
        .reshape([full.batch, full.times * keep.len(), width])
}

/// Puts kept tokens back to their places and the mask token everywhere else.
fn restore_places(
    tokens: Tensor<3>,
    mask_token: Tensor<1>,
    full: &Shape,
    keep: &[usize],
) -> Tensor<3> {
    let width = tokens.dims()[2];
    let groups = full.batch * full.times;
    let mask = mask_token.reshape([1, 1, width]).expand([groups, 1, width]);
    let kept = tokens.reshape([groups, keep.len(), width]);
    let mut source = vec![keep.len(); full.places];
    for (at, &place) in keep.iter().enumerate() {
        source[place] = at;
    }
    let index = indices(source.into_iter(), &kept.device());
    Tensor::cat(vec![kept, mask], 1).select(1, index).reshape([
        full.batch,
        full.times * full.places,
        width,
    ])
}

fn indices(values: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.map(|value| value as i32).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}
