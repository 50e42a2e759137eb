//! The network (paper section 3.2): one stack of blocks for clean and noisy tokens.

use std::num::NonZeroUsize;

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use engine::nn::{AdaLayerNorm, Init, Linear, LinearConfig, RmsNorm, sinusoid};
use engine::ops::{self, AttentionMask, BlockMask};

use super::config::AcditConfig;
use super::rope::Positions;

/// Epsilon of every RMS norm.
const EPS: f32 = 1e-6;
/// Width of the sinusoidal timestep embedding.
const FREQUENCIES: usize = 256;

/// Timestep → width: sinusoid, then two linear layers.
#[derive(Module, Debug)]
pub struct TimestepEmbedder {
    linear_1: Linear,
    linear_2: Linear,
}

/// Query, key and value heads with RMS norms, RoPE-ND and an output projection.
#[derive(Module, Debug)]
pub struct SelfAttention {
    qkv: Linear,
    q_norm: RmsNorm,
    k_norm: RmsNorm,
    proj: Linear,
    heads: usize,
}

/// One block of the network.
#[derive(Module, Debug)]
pub struct Block {
    norm1: RmsNorm,
    attn: SelfAttention,
    norm2: RmsNorm,
    fc1: Linear,
    fc2: Linear,
    modulation: AdaLayerNorm,
}

/// The ε-prediction head.
#[derive(Module, Debug)]
pub struct FinalLayer {
    norm_final: RmsNorm,
    linear: Linear,
    modulation: AdaLayerNorm,
}

/// The autoregressive conditional diffusion transformer.
#[derive(Module, Debug)]
pub struct Acdit {
    time: TimestepEmbedder,
    /// `[classes + 1, width]`; the last row is the null class.
    labels: burn::module::Param<Tensor<2>>,
    x_embedder: Linear,
    blocks: Vec<Block>,
    final_layer: FinalLayer,
}

/// Keys and values of the clean blocks so far, `[batch, tokens, heads, head]` a layer.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    layers: Vec<[Tensor<4>; 2]>,
}

impl AcditConfig {
    /// Draws a network: silent gates and a silent head, so that it starts by predicting zero.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> Acdit {
        let width = self.hidden_size;
        let small = Init::Normal(0.02);
        let time = |input: usize, rng: &mut Rng| {
            LinearConfig::new(input, width)
                .with_init(small)
                .init(rng, device)
        };
        let mut embed = LinearConfig::new(self.latent_size, width);
        embed.bias = false;
        Acdit {
            time: TimestepEmbedder {
                linear_1: time(FREQUENCIES, rng),
                linear_2: time(width, rng),
            },
            labels: small.weight(self.num_classes + 1, width, rng, device),
            x_embedder: embed.init(rng, device),
            blocks: (0..self.depth).map(|_| self.block(rng, device)).collect(),
            final_layer: FinalLayer {
                norm_final: RmsNorm::new(width, device),
                linear: LinearConfig::new(width, self.latent_size)
                    .with_init(Init::Zeros)
                    .init(rng, device),
                modulation: AdaLayerNorm::new(width, 2, rng, device),
            },
        }
    }

    fn block(&self, rng: &mut Rng, device: &Device) -> Block {
        let (width, mlp) = (self.hidden_size, self.mlp_width());
        Block {
            norm1: RmsNorm::new(width, device),
            attn: SelfAttention {
                qkv: LinearConfig::new(width, 3 * width).init(rng, device),
                q_norm: RmsNorm::new(self.head(), device),
                k_norm: RmsNorm::new(self.head(), device),
                proj: LinearConfig::new(width, width).init(rng, device),
                heads: self.num_heads,
            },
            norm2: RmsNorm::new(width, device),
            fc1: LinearConfig::new(width, mlp).init(rng, device),
            fc2: LinearConfig::new(mlp, width).init(rng, device),
            modulation: AdaLayerNorm::new(width, 6, rng, device),
        }
    }
}

/// The skip-causal attention mask over `[clean blocks; noisy blocks]`, block by block: true where a block of queries (rows)
/// may see a block of keys.
pub fn scam(blocks: usize) -> Vec<Vec<bool>> {
    let seen = |query: usize, key: usize| match (query.checked_sub(blocks), key.checked_sub(blocks))
    {
        (None, None) => key <= query,
        (None, Some(_)) => false,
        (Some(noisy), None) => key < noisy,
        (Some(noisy), Some(other)) => noisy == other,
    };
    (0..2 * blocks)
        .map(|query| (0..2 * blocks).map(|key| seen(query, key)).collect())
        .collect()
}

/// The mask of the first step of block `block` in one pass: rows are the clean block before it and the noisy block, columns
/// the cached clean blocks `0..block` and the noisy block. [`Acdit::append`] and [`Acdit::denoise`] take the two rows one after
/// the other, and need no mask.
pub fn scam_step(block: usize) -> Vec<Vec<bool>> {
    let clean = (0..=block).map(|key| key < block).collect();
    vec![clean, vec![true; block + 1]]
}

fn mask(blocks: usize, block: usize, device: &Device) -> AttentionMask {
    let Some(size) = NonZeroUsize::new(block) else {
        return AttentionMask::default();
    };
    let seen: Vec<bool> = scam(blocks).into_iter().flatten().collect();
    let shape = [1, 1, 2 * blocks, 2 * blocks];
    let seen = Tensor::<4, Bool>::from_data(TensorData::new(seen, shape), device);
    AttentionMask {
        blocks: Some(BlockMask {
            size: [size; 2],
            seen,
        }),
        ..AttentionMask::default()
    }
}

impl Acdit {
    /// Predicted noise of all noisy blocks, each beside the clean blocks before it: one pass over `[clean; noisy]`.
    ///
    /// `clean` and `noisy` are `[batch, blocks, block, values]`, `t` has a timestep for each block of each sample and
    /// `labels` a class for each sample; the result has the shape of `noisy`.
    pub fn forward_train(
        &self,
        clean: Tensor<4>,
        noisy: Tensor<4>,
        t: &[f32],
        labels: &[usize],
        positions: &Positions,
    ) -> Tensor<4> {
        let [batch, blocks, block, values] = noisy.dims();
        let device = noisy.device();
        let tokens = blocks * block;
        let both = Tensor::cat(vec![clean, noisy], 1).reshape([batch, 2 * tokens, values]);
        let mut x = self.x_embedder.forward(both);
        let condition = self.condition(t, labels, blocks, &device);
        let positions = positions.twice();
        let mask = mask(blocks, block, &device);
        let layout = [batch, blocks, block];
        for layer in &self.blocks {
            let parts = layer.modulation(condition.clone());
            let [shift, scale, gate, shift_mlp, scale_mlp, gate_mlp] = parts;
            let y = modulated(layer.norm1.forward(x.clone(), EPS), shift, scale, layout);
            let y = layer.attn.forward(y, &positions, &mask);
            x = gated(x, y, gate, layout);
            let y = modulated(
                layer.norm2.forward(x.clone(), EPS),
                shift_mlp,
                scale_mlp,
                layout,
            );
            x = gated(x, layer.mlp(y), gate_mlp, layout);
        }
        let noisy = x.narrow(1, tokens, tokens);
        let width = noisy.dims()[2];
        let noisy = noisy.reshape([batch * blocks, block, width]);
        self.final_layer
            .forward(noisy, condition)
            .reshape([batch, blocks, block, values])
    }

    /// Takes the next clean block, `[batch, block, values]`, into the cache. `positions` are those of its tokens.
    pub fn append(&self, clean: Tensor<3>, positions: &Positions, cache: &mut Cache) {
        let mut x = self.x_embedder.forward(clean);
        for (at, layer) in self.blocks.iter().enumerate() {
            let [q, k, v] = layer
                .attn
                .heads(layer.norm1.forward(x.clone(), EPS), positions);
            let [k, v] = match cache.layers.get(at) {
                Some([keys, values]) => [
                    Tensor::cat(vec![keys.clone(), k], 1),
                    Tensor::cat(vec![values.clone(), v], 1),
                ],
                None => [k, v],
            };
            let kept = [k.clone(), v.clone()];
            match cache.layers.get_mut(at) {
                Some(layer) => *layer = kept,
                None => cache.layers.push(kept),
            }
            x = x + layer
                .attn
                .seen(ops::attention(q, k, v, &AttentionMask::default()));
            x = x.clone() + layer.mlp(layer.norm2.forward(x, EPS));
        }
    }

    /// The clean hidden states, `[batch, tokens, width]`, after the last block of the network and its final norm: features
    /// for classification.
    pub fn features(&self, clean: Tensor<4>, positions: &Positions) -> Tensor<3> {
        let [batch, blocks, block, values] = clean.dims();
        let x = clean.reshape([batch, blocks * block, values]);
        let mut x = self.x_embedder.forward(x);
        let mask = causal(blocks, block, &x.device());
        for layer in &self.blocks {
            let y = layer.norm1.forward(x.clone(), EPS);
            x = x + layer.attn.forward(y, positions, &mask);
            x = x.clone() + layer.mlp(layer.norm2.forward(x, EPS));
        }
        self.final_layer.norm_final.forward(x, EPS)
    }

    /// Predicted noise of a noisy block, `[batch, block, values]`, beside the clean blocks of `cache`; `t` has a timestep for
    /// each sample.
    pub fn denoise(
        &self,
        noisy: Tensor<3>,
        t: &[f32],
        labels: &[usize],
        positions: &Positions,
        cache: &Cache,
    ) -> Tensor<3> {
        let condition = self.condition(t, labels, 1, &noisy.device());
        let mut x = self.x_embedder.forward(noisy);
        for (at, layer) in self.blocks.iter().enumerate() {
            let parts = layer.modulation(condition.clone());
            let [shift, scale, gate, shift_mlp, scale_mlp, gate_mlp] = parts;
            let y = layer.norm1.forward(x.clone(), EPS) * (scale + 1.0) + shift;
            let [q, k, v] = layer.attn.heads(y, positions);
            let [k, v] = match cache.layers.get(at) {
                Some([keys, values]) => [
                    Tensor::cat(vec![keys.clone(), k], 1),
                    Tensor::cat(vec![values.clone(), v], 1),
                ],
                None => [k, v],
            };
            let y = layer
                .attn
                .seen(ops::attention(q, k, v, &AttentionMask::default()));
            x = x + y * gate;
            let y = layer.norm2.forward(x.clone(), EPS) * (scale_mlp + 1.0) + shift_mlp;
            x = x + layer.mlp(y) * gate_mlp;
        }
        self.final_layer.forward(x, condition)
    }

    /// `t_embedder(t) + y_embedder(label)`, `[batch · blocks, 1, width]`; a label beyond the classes is the null class.
    fn condition(&self, t: &[f32], labels: &[usize], blocks: usize, device: &Device) -> Tensor<3> {
        let table = self.labels.val();
        let null = table.dims()[0] - 1;
        let time = self.time.linear_1.forward(sinusoid(t, FREQUENCIES, device));
        let time = self.time.linear_2.forward(ops::silu(time));
        let rows: Vec<i64> = labels
            .iter()
            .flat_map(|label| std::iter::repeat_n((*label).min(null) as i64, blocks))
            .collect();
        let count = rows.len();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), device);
        let label: Tensor<2> = ops::embedding(table, rows);
        (time + label).unsqueeze_dim(1)
    }
}

/// Clean tokens alone: a block sees itself and those before it.
fn causal(blocks: usize, block: usize, device: &Device) -> AttentionMask {
    let Some(size) = NonZeroUsize::new(block) else {
        return AttentionMask::default();
    };
    let seen: Vec<bool> = (0..blocks * blocks)
        .map(|at| at % blocks <= at / blocks)
        .collect();
    let seen = Tensor::<4, Bool>::from_data(TensorData::new(seen, [1, 1, blocks, blocks]), device);
    AttentionMask {
        blocks: Some(BlockMask {
            size: [size; 2],
            seen,
        }),
        ..AttentionMask::default()
    }
}

/// `x`, its noisy half times `1 + scale` plus `shift`. `x` is `[batch, 2 · tokens, width]`, clean tokens first; the vectors
/// are `[batch · blocks, 1, width]`.
fn modulated(x: Tensor<3>, shift: Tensor<3>, scale: Tensor<3>, layout: [usize; 3]) -> Tensor<3> {
    on_noisy(x, layout, |noisy| noisy * (scale + 1.0) + shift)
}

/// `x + y`, the noisy half of `y` times `gate`.
fn gated(x: Tensor<3>, y: Tensor<3>, gate: Tensor<3>, layout: [usize; 3]) -> Tensor<3> {
    x + on_noisy(y, layout, |noisy| noisy * gate)
}

fn on_noisy(
    x: Tensor<3>,
    [batch, blocks, block]: [usize; 3],
    change: impl FnOnce(Tensor<3>) -> Tensor<3>,
) -> Tensor<3> {
    let (width, tokens) = (x.dims()[2], blocks * block);
    let clean = x.clone().narrow(1, 0, tokens);
    let noisy = x
        .narrow(1, tokens, tokens)
        .reshape([batch * blocks, block, width]);
    Tensor::cat(
        vec![clean, change(noisy).reshape([batch, tokens, width])],
        1,
    )
}

impl Block {
    /// Shift, scale and gate of attention, then of the MLP, `[rows, 1, width]` each.
    fn modulation(&self, condition: Tensor<3>) -> [Tensor<3>; 6] {
        let [rows, one, width] = condition.dims();
        let all = self.modulation.forward(condition.reshape([rows, width]));
        let all = all.reshape([rows, one, 6 * width]);
        std::array::from_fn(|part| all.clone().narrow(2, part * width, width))
    }

    /// `[batch, tokens, width]` → the same, tanh-GELU between two linear layers.
    fn mlp(&self, x: Tensor<3>) -> Tensor<3> {
        self.fc2.forward(ops::gelu(self.fc1.forward(x)))
    }
}

impl SelfAttention {
    /// Queries, keys and values, `[batch, tokens, heads, head]`.
    fn heads(&self, x: Tensor<3>, positions: &Positions) -> [Tensor<4>; 3] {
        let [batch, tokens, width] = x.dims();
        let qkv = self.qkv.forward(x);
        let part = |at: usize| {
            let part = qkv.clone().narrow(2, at * width, width);
            part.reshape([batch, tokens, self.heads, width / self.heads])
        };
        let normed = |x, norm: &RmsNorm| positions.norm_and_rotate(x, norm.weight.val(), EPS);
        [
            normed(part(0), &self.q_norm),
            normed(part(1), &self.k_norm),
            part(2),
        ]
    }

    /// What heads saw, projected: `[batch, tokens, heads, head]` → `[batch, tokens, width]`.
    fn seen(&self, heads: Tensor<4>) -> Tensor<3> {
        let [batch, tokens, count, head] = heads.dims();
        self.proj
            .forward(heads.reshape([batch, tokens, count * head]))
    }

    fn forward(&self, x: Tensor<3>, positions: &Positions, mask: &AttentionMask) -> Tensor<3> {
        let [q, k, v] = self.heads(x, positions);
        self.seen(ops::attention(q, k, v, mask))
    }
}

impl FinalLayer {
    /// `[rows, block, width]` and conditions `[rows, 1, width]` → `[rows, block, values]`.
    fn forward(&self, x: Tensor<3>, condition: Tensor<3>) -> Tensor<3> {
        let [rows, one, width] = condition.dims();
        let parts = self.modulation.forward(condition.reshape([rows, width]));
        let parts = parts.reshape([rows, one, 2 * width]);
        let [shift, scale] = [0, 1].map(|part| parts.clone().narrow(2, part * width, width));
        let x = self.norm_final.forward(x, EPS) * (scale + 1.0) + shift;
        self.linear.forward(x)
    }
}
