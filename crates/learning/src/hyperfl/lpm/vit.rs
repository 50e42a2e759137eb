//! LPM-ViT: a frozen vision transformer with a generated adapter behind each block's MLP.

use base::tensor_file::Weights;
use kernels::{
    Attention, AttentionDims, Heads, Level, LinearDims, Mask, Precision, attention,
    attention_backward, linear, linear_backward_input, linear_backward_weight,
};

use super::adapter::{Adapter, Saved as AdapterSaved};
use super::gelu::{gelu, gelu_backward};
use super::norm::{norm, norm_backward};
use super::vit_config::VitConfig;
use crate::error::{LearningError, Result};
use crate::hyperfl::layout::Layout;
use crate::hyperfl::loss::{Targets, cross_entropy};
use crate::hyperfl::vector::add_scaled;

/// The frozen transformer.
#[derive(Clone, Debug)]
pub struct LpmVit {
    /// Its sizes.
    pub config: VitConfig,
    layout: Layout,
    params: Vec<f32>,
}

/// What the forward pass leaves.
#[derive(Clone, Debug)]
pub struct VitPass {
    /// `[batch, tokens, width]` behind the last norm; token 0 is the class token.
    pub features: Vec<f32>,
    /// `[batch, classes]`.
    pub logits: Vec<f32>,
    blocks: Vec<BlockPass>,
    last: (Vec<f32>, Vec<f32>),
}

#[derive(Clone, Debug)]
struct BlockPass {
    x: Vec<f32>,
    stats1: Vec<f32>,
    qkv: Vec<f32>,
    mixed: Vec<f32>,
    sums: Vec<f32>,
    middle: Vec<f32>,
    stats2: Vec<f32>,
    inner: Vec<f32>,
    adapter: AdapterSaved,
}

const F32: Precision = Precision::F32;

impl LpmVit {
    /// Reads the transformer under timm's names, each with `prefix` before it.
    ///
    /// # Errors
    /// For sizes that make no sense, and where a tensor is missing or misshapen.
    pub fn read(config: VitConfig, weights: &Weights, prefix: &str) -> Result<Self> {
        if let Some(problem) = config.problem() {
            return Err(LearningError::invalid(format!(
                "a transformer of {config:?}: {problem}"
            )));
        }
        let layout = config.layout();
        let params = layout.read(weights, prefix)?;
        Ok(Self {
            config,
            layout,
            params,
        })
    }

    fn get(&self, name: &str) -> &[f32] {
        let range = self.layout.find(name).unwrap_or_default();
        &self.params[range]
    }

    /// A frozen linear layer, and the sizes that its backward pass needs.
    fn linear(&self, name: &str, x: &[f32], input: usize) -> Result<Vec<f32>> {
        let weight = self.get(&format!("{name}.weight"));
        let bias = self.get(&format!("{name}.bias"));
        let dims = LinearDims {
            rows: x.len() / input,
            input,
            output: weight.len() / input,
        };
        let bias = (!bias.is_empty()).then_some(bias);
        Ok(linear(F32, x, weight, bias, dims)?)
    }

    fn linear_backward(&self, name: &str, grad: &[f32], input: usize) -> Result<Vec<f32>> {
        let weight = self.get(&format!("{name}.weight"));
        let output = weight.len() / input;
        let dims = LinearDims {
            rows: grad.len() / output,
            input,
            output,
        };
        Ok(linear_backward_input(F32, grad, weight, dims)?)
    }

    /// Class token and patches with their places, `[batch, tokens, width]`.
    fn embed(&self, x: &[f32]) -> Result<Vec<f32>> {
        let VitConfig {
            side, patch, width, ..
        } = self.config;
        let (grid, size) = (side / patch, 3 * side * side);
        let mut patches = Vec::with_capacity(x.len());
        for picture in x.chunks_exact(size) {
            for place in 0..grid * grid {
                let (row, column) = (place / grid * patch, place % grid * patch);
                for channel in 0..3 {
                    for line in row..row + patch {
                        let from = (channel * side + line) * side + column;
                        patches.extend_from_slice(&picture[from..from + patch]);
                    }
                }
            }
        }
        let tokens = self.linear("patch_embed.proj", &patches, 3 * patch * patch)?;
        let places = self.get("pos_embed");
        let mut out = Vec::new();
        for patches in tokens.chunks_exact(grid * grid * width) {
            let all = self.get("cls_token").iter().chain(patches);
            out.extend(all.zip(places).map(|(token, place)| token + place));
        }
        Ok(out)
    }

    /// Adapter of block `block` in what the hypernetwork made.
    fn adapter<'a>(&self, theta: &'a [f32], block: usize) -> Adapter<'a> {
        let (width, reduced) = (self.config.width, self.config.reduced());
        let sizes = [
            reduced * width,
            reduced,
            width * reduced,
            width,
            width,
            width,
        ];
        let mut from = 0;
        let parts = sizes.map(|size| {
            let part = &theta[from + block * size..][..size];
            from += self.config.depth * size;
            part
        });
        let [down, down_bias, up, up_bias, factor, shift] = parts;
        Adapter {
            down: [down, down_bias],
            up: [up, up_bias],
            norm: [factor, shift],
        }
    }

    fn attention<'a>(&self, qkv: &'a [f32], batch: usize) -> Attention<'a> {
        let VitConfig { width, heads, .. } = self.config;
        let tokens = self.config.tokens();
        let head = width / heads;
        let part = |at: usize| Heads {
            values: &qkv[at * width..],
            strides: [tokens * 3 * width, 3 * width, head],
        };
        Attention {
            dims: AttentionDims {
                batch,
                queries: tokens,
                keys: tokens,
                heads,
                group: 1,
                head,
                values: head,
            },
            q: part(0),
            k: part(1),
            v: part(2),
            mask: Mask::default(),
            windows: None,
            bias: None,
            precision: F32,
        }
    }

    fn block(&self, at: usize, x: Vec<f32>, theta: &[f32]) -> Result<(Vec<f32>, BlockPass)> {
        let (width, eps) = (self.config.width, self.config.block_eps);
        let name = |part: &str| format!("blocks.{at}.{part}");
        let get = |part: &str| self.get(&name(part));
        let batch = x.len() / (self.config.tokens() * width);
        let (normed, stats1) = norm(&x, get("norm1.weight"), get("norm1.bias"), eps)?;
        let qkv = self.linear(&name("attn.qkv"), &normed, width)?;
        let (mixed, sums) = attention(Level::best(), &self.attention(&qkv, batch))?;
        let mut middle = self.linear(&name("attn.proj"), &mixed, width)?;
        add_scaled(&mut middle, 1.0, &x);
        let (normed, stats2) = norm(&middle, get("norm2.weight"), get("norm2.bias"), eps)?;
        let inner = self.linear(&name("mlp.fc1"), &normed, width)?;
        let active = gelu(&inner);
        let out = self.linear(&name("mlp.fc2"), &active, width * self.config.mlp_ratio)?;
        let (mut out, adapter) = self.adapter(theta, at).forward(out)?;
        add_scaled(&mut out, 1.0, &middle);
        let pass = BlockPass {
            x,
            stats1,
            qkv,
            mixed,
            sums,
            middle,
            stats2,
            inner,
            adapter,
        };
        Ok((out, pass))
    }

    /// Runs it with the adapters `theta` that the hypernetwork made and the head `[classes, width]`, `[classes]` on `x`
    /// `[batch, 3, side, side]`.
    ///
    /// # Errors
    /// Where lengths do not fit.
    pub fn forward(&self, theta: &[f32], head: &[f32], x: &[f32]) -> Result<VitPass> {
        let VitConfig {
            side,
            width,
            classes,
            ..
        } = self.config;
        let size = 3 * side * side;
        let reduced = self.config.reduced();
        let adapters = self.config.depth * (2 * reduced * width + reduced + 3 * width);
        if x.is_empty()
            || !x.len().is_multiple_of(size)
            || theta.len() != adapters
            || head.len() != classes * (width + 1)
        {
            return Err(LearningError::invalid(format!(
                "{} picture values, {} adapter values and {} head values do not fit: pictures hold {size}, adapters {adapters}, the head {}",
                x.len(),
                theta.len(),
                head.len(),
                classes * (width + 1)
            )));
        }
        let mut value = self.embed(x)?;
        let mut blocks = Vec::with_capacity(self.config.depth);
        for at in 0..self.config.depth {
            let (next, pass) = self.block(at, value, theta)?;
            blocks.push(pass);
            value = next;
        }
        let factor = self.get("norm.weight");
        let (features, stats) = norm(&value, factor, self.get("norm.bias"), self.config.final_eps)?;
        let tokens = self.class_tokens(&features);
        let (weight, bias) = head.split_at(classes * width);
        let logits = linear(
            F32,
            &tokens,
            weight,
            Some(bias),
            self.head_dims(tokens.len()),
        )?;
        Ok(VitPass {
            features,
            logits,
            blocks,
            last: (value, stats),
        })
    }

    fn head_dims(&self, values: usize) -> LinearDims {
        LinearDims {
            rows: values / self.config.width,
            input: self.config.width,
            output: self.config.classes,
        }
    }

    fn class_tokens(&self, features: &[f32]) -> Vec<f32> {
        let (tokens, width) = (self.config.tokens(), self.config.width);
        let sequences = features.chunks_exact(tokens * width);
        sequences
            .flat_map(|sequence| sequence[..width].iter().copied())
            .collect()
    }

    /// Loss on `targets`, and the gradients of the adapters and of the head.
    ///
    /// # Errors
    /// Where lengths do not fit.
    pub fn gradient(
        &self,
        theta: &[f32],
        head: &[f32],
        x: &[f32],
        targets: &Targets,
    ) -> Result<(f32, Vec<f32>, Vec<f32>)> {
        let VitConfig { width, classes, .. } = self.config;
        let pass = self.forward(theta, head, x)?;
        let (loss, logits) = cross_entropy(&pass.logits, targets, classes)?;
        let tokens = self.class_tokens(&pass.features);
        let dims = self.head_dims(tokens.len());
        let mut of_head = linear_backward_weight(F32, &logits, &tokens, dims)?;
        of_head.extend(kernels::column_sums(&logits, classes)?);
        let of_tokens = linear_backward_input(F32, &logits, &head[..classes * width], dims)?;
        let mut grad = vec![0.0; pass.features.len()];
        let sequences = grad.chunks_exact_mut(self.config.tokens() * width);
        for (grad, token) in sequences.zip(of_tokens.chunks_exact(width)) {
            grad[..width].copy_from_slice(token);
        }
        let (x, stats) = &pass.last;
        (grad, _, _) = norm_backward(x, stats, self.get("norm.weight"), &grad)?;
        let mut adapters = Vec::with_capacity(pass.blocks.len());
        for (at, block) in pass.blocks.iter().enumerate().rev() {
            let (next, grads) = self.block_backward(at, block, theta, grad)?;
            grad = next;
            adapters.push(grads);
        }
        adapters.reverse();
        let mut of_theta = Vec::with_capacity(theta.len());
        for kind in 0..6 {
            for grads in &adapters {
                of_theta.extend_from_slice(&grads[kind / 2][kind % 2]);
            }
        }
        Ok((loss, of_theta, of_head))
    }

    fn block_backward(
        &self,
        at: usize,
        pass: &BlockPass,
        theta: &[f32],
        grad: Vec<f32>,
    ) -> Result<(Vec<f32>, super::adapter::Grads)> {
        let VitConfig { width, heads, .. } = self.config;
        let tokens = self.config.tokens();
        let name = |part: &str| format!("blocks.{at}.{part}");
        let (of_out, grads) = self.adapter(theta, at).backward(&pass.adapter, &grad)?;
        let inner = width * self.config.mlp_ratio;
        let of_active = self.linear_backward(&name("mlp.fc2"), &of_out, inner)?;
        let of_inner = gelu_backward(&pass.inner, &of_active);
        let of_normed = self.linear_backward(&name("mlp.fc1"), &of_inner, width)?;
        let factor = self.get(&name("norm2.weight"));
        let (mut middle, _, _) = norm_backward(&pass.middle, &pass.stats2, factor, &of_normed)?;
        add_scaled(&mut middle, 1.0, &grad);
        let of_mixed = self.linear_backward(&name("attn.proj"), &middle, width)?;
        let batch = pass.x.len() / (tokens * width);
        let dense = |values| Heads::dense(values, tokens, heads, width / heads);
        let of = attention_backward(
            Level::best(),
            &self.attention(&pass.qkv, batch),
            dense(&pass.mixed),
            &pass.sums,
            dense(&of_mixed),
        )?;
        let rows = of.q.chunks_exact(width).zip(of.k.chunks_exact(width));
        let of_qkv: Vec<f32> = rows
            .zip(of.v.chunks_exact(width))
            .flat_map(|((q, k), v)| q.iter().chain(k).chain(v).copied())
            .collect();
        let of_normed = self.linear_backward(&name("attn.qkv"), &of_qkv, width)?;
        let factor = self.get(&name("norm1.weight"));
        let (mut x, _, _) = norm_backward(&pass.x, &pass.stats1, factor, &of_normed)?;
        add_scaled(&mut x, 1.0, &middle);
        Ok((x, grads))
    }
}
