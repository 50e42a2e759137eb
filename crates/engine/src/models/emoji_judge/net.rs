//! The judge's network: a vision transformer over 4×4 patches of a 32×32 picture.

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::data::pack::Style;
use crate::nn::{Attention, AttentionConfig, Cubify, Linear, LinearConfig};
use crate::ops::{self, Rope};

/// Height and width of a picture in pixels.
pub const SIDE: usize = 32;
const WIDTH: usize = 128;
const HEADS: usize = 4;
const DEPTH: usize = 4;
const PATCHES: Cubify = Cubify { time: 1, side: 4 };
const EPS: f32 = 1e-6;
const ROPE_BASE: f32 = 100.0;

/// Attention and a feed-forward layer, each after a layer norm and beside a residual.
#[derive(Module, Debug)]
pub struct JudgeBlock {
    attention: Attention,
    fc1: Linear,
    fc2: Linear,
}

impl JudgeBlock {
    fn new(rng: &mut Rng, device: &Device) -> Self {
        let attention = AttentionConfig {
            width: WIDTH,
            context: WIDTH,
            heads: HEADS,
            qk_norm: true,
        };
        Self {
            attention: attention.init(rng, device),
            fc1: LinearConfig::new(WIDTH, 4 * WIDTH).init(rng, device),
            fc2: LinearConfig::new(4 * WIDTH, WIDTH).init(rng, device),
        }
    }

    /// `[batch, tokens, 128]` → the same.
    fn forward(&self, x: Tensor<3>, rope: &Rope) -> Tensor<3> {
        let [batch, tokens, _] = x.dims();
        let y = ops::layer_norm(x.clone(), EPS);
        let x = x + self
            .attention
            .forward_grouped(y, [batch, tokens, HEADS], Some(rope));
        let y = ops::layer_norm(x.clone(), EPS);
        x + self.fc2.forward(ops::gelu(self.fc1.forward(y)))
    }
}

/// Patches → transformer → mean of the tokens → a head for subjects and one for styles.
#[derive(Module, Debug)]
pub struct JudgeNet {
    patches: Linear,
    blocks: Vec<JudgeBlock>,
    subjects: Linear,
    styles: Linear,
}

impl JudgeNet {
    /// Fresh weights for so many subjects.
    pub fn new(subjects: usize, rng: &mut Rng, device: &Device) -> Self {
        let values = 3 * PATCHES.side * PATCHES.side;
        Self {
            patches: LinearConfig::new(values, WIDTH).init(rng, device),
            blocks: (0..DEPTH).map(|_| JudgeBlock::new(rng, device)).collect(),
            subjects: LinearConfig::new(WIDTH, subjects).init(rng, device),
            styles: LinearConfig::new(WIDTH, Style::ALL.len()).init(rng, device),
        }
    }

    /// Logits `[batch, subjects]` and `[batch, styles]` of pictures `[batch, 3, 1, 32, 32]` in `[-1, 1]`.
    pub fn forward(&self, x: Tensor<5>) -> (Tensor<2>, Tensor<2>) {
        let pooled = self.features(x);
        (
            self.subjects.forward::<2>(pooled.clone()),
            self.styles.forward(pooled),
        )
    }

    /// What both heads read, `[batch, 128]`.
    pub fn features(&self, x: Tensor<5>) -> Tensor<2> {
        let side = SIDE / PATCHES.side;
        let positions: Vec<f32> = (0..side * side)
            .flat_map(|place| [(place / side) as f32, (place % side) as f32])
            .collect();
        let rope = Rope::new(&positions, 2, WIDTH / HEADS, ROPE_BASE, &x.device());
        let tokens = self.patches.forward(PATCHES.cut(x));
        let tokens = self
            .blocks
            .iter()
            .fold(tokens, |tokens, block| block.forward(tokens, &rope));
        ops::layer_norm(tokens, EPS).mean_dim(1).squeeze_dim(1)
    }
}
