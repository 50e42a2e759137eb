use burn::module::{Module, Param};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Int, Tensor, TensorData};
use kernels::Window;

use super::attention::Attention;
use super::batch::{IGNORED, Sequences};
use super::lora::Projection;
use crate::nn::RmsNorm;
use crate::ops::{self, AttentionMask, CrossEntropyOptions, Rope};
use base::rng::Rng;

/// A table of token vectors.
#[derive(Module, Debug)]
pub struct Embedding {
    /// `[tokens, width]`.
    pub weight: Param<Tensor<2>>,
}

/// The gated feed-forward layer.
#[derive(Module, Debug)]
pub struct Mlp {
    /// `[wide, width]`.
    pub gate_proj: Projection,
    /// `[wide, width]`.
    pub up_proj: Projection,
    /// `[width, wide]`.
    pub down_proj: Projection,
}

/// One block.
#[derive(Module, Debug)]
pub struct Block {
    /// Before attention.
    pub input_layernorm: RmsNorm,
    /// Attention.
    pub self_attn: Attention,
    /// Before the feed-forward layer.
    pub post_attention_layernorm: RmsNorm,
    /// Feed-forward layer.
    pub mlp: Mlp,
}

/// All but the head.
#[derive(Module, Debug)]
pub struct Backbone {
    /// The embedding table.
    pub embed_tokens: Embedding,
    /// The blocks.
    pub layers: Vec<Block>,
    /// After the last block.
    pub norm: RmsNorm,
}

/// See [`CausalLmConfig`](super::CausalLmConfig).
#[derive(Module, Debug)]
pub struct CausalLm {
    /// All but the head.
    pub model: Backbone,
    /// `[tokens, width]`; none where logits are products with the embedding table.
    pub lm_head: Option<Projection>,
    pub(super) head: usize,
    pub(super) window: Option<usize>,
    pub(super) theta: f64,
    pub(super) eps: f64,
}

/// Values of what attention and feed-forward layer give that are set to zero in training, and of what low-rank changes read
/// (of those, the share that their config says).
#[derive(Clone, Debug)]
pub struct Dropout {
    /// The share of the former, from 0 up to 1; the others grow by `1 / (1 − share)`.
    pub share: f32,
    /// Which.
    pub rng: Rng,
}

impl Dropout {
    pub(super) fn apply(&mut self, x: Tensor<3>, share: f32) -> Tensor<3> {
        if share <= 0.0 {
            return x;
        }
        let (shape, keep) = (x.dims(), 1.0 / (1.0 - share));
        let values = (0..shape.iter().product()).map(|_| match self.rng.uniform() < share {
            true => 0.0,
            false => keep,
        });
        let values: Vec<f32> = values.collect();
        let mask = Tensor::from_data(TensorData::new(values, shape), &x.device());
        x * mask
    }
}

/// What a loss is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossOptions {
    /// From 0 to 1: this part of the target is spread evenly over all tokens.
    pub smoothing: f32,
    /// The sum over the counted tokens in place of their mean.
    pub sum: bool,
}

impl CausalLm {
    /// Logits `[batch, tokens, vocabulary]` of `ids` `[batch, tokens]`, which begin at position 0.
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let states = self.states(ids, None, None);
        self.logits(states.into_iter().next_back())
    }

    /// The residual `[batch, tokens, width]` that enters each block, and the last one after the final norm. `pairs`
    /// `[batch, 1, tokens, tokens]` is true where a query may see a key, besides what order and window say.
    pub fn states(
        &self,
        ids: Tensor<2, Int>,
        pairs: Option<Tensor<4, Bool>>,
        mut dropout: Option<&mut Dropout>,
    ) -> Vec<Tensor<3>> {
        let [_, tokens] = ids.dims();
        let eps = self.eps as f32;
        let device = ids.device();
        let positions: Vec<f32> = (0..tokens).map(|at| at as f32).collect();
        let rope = Rope::new(&positions, 1, self.head, self.theta as f32, &device);
        let mask = AttentionMask {
            window: Window {
                before: self.window.map(|window| window - 1),
                ..Window::CAUSAL
            },
            pairs,
            ..AttentionMask::default()
        };
        let drop = |x: Tensor<3>, dropout: Option<&mut Dropout>| match dropout {
            Some(dropout) => dropout.apply(x, dropout.share),
            None => x,
        };
        let mut x: Tensor<3> = ops::embedding(self.model.embed_tokens.weight.val(), ids);
        let mut states = Vec::with_capacity(self.model.layers.len() + 1);
        for block in &self.model.layers {
            states.push(x.clone());
            let normed = block.input_layernorm.forward(x.clone(), eps);
            let (attention, mlp) = (&block.self_attn, &block.mlp);
            let seen = attention.forward(normed, self.head, &rope, &mask, dropout.as_deref_mut());
            x = x + drop(seen, dropout.as_deref_mut());
            let normed = block.post_attention_layernorm.forward(x.clone(), eps);
            let gated = ops::swiglu(
                mlp.gate_proj
                    .forward(normed.clone(), dropout.as_deref_mut()),
                mlp.up_proj.forward(normed, dropout.as_deref_mut()),
            );
            let thought = mlp.down_proj.forward(gated, dropout.as_deref_mut());
            x = x + drop(thought, dropout.as_deref_mut());
        }
        states.push(self.model.norm.forward(x, eps));
        states
    }

    /// The same with full causal attention where `window` is none.
    pub fn with_window(mut self, window: Option<usize>) -> Self {
        self.window = window.map(|window| window.max(1));
        self
    }

    fn logits(&self, hidden: Option<Tensor<3>>) -> Tensor<3> {
        let device = self.model.norm.weight.val().device();
        let hidden = hidden.unwrap_or_else(|| Tensor::zeros([1, 1, 1], &device));
        match &self.lm_head {
            Some(head) => head.forward(hidden, None),
            None => ops::linear(hidden, self.model.embed_tokens.weight.val(), None),
        }
    }

    /// Logits `[batch, tokens, vocabulary]` of a batch.
    fn logits_of(&self, batch: &Sequences, dropout: Option<&mut Dropout>) -> Tensor<3> {
        let device = self.model.norm.weight.val().device();
        let states = self.states(batch.ids(&device), batch.pairs(&device), dropout);
        self.logits(states.into_iter().next_back())
    }

    /// Cross-entropy of each token given those before it, in nats, over the labels that count: `[1]`.
    pub fn loss(
        &self,
        batch: &Sequences,
        options: &LossOptions,
        dropout: Option<&mut Dropout>,
    ) -> Tensor<1> {
        let logits = self.logits_of(batch, dropout);
        let targets = batch.targets(&logits.device());
        let entropy = CrossEntropyOptions {
            ignore: Some(i64::from(IGNORED)),
            smoothing: options.smoothing,
        };
        let mean = ops::cross_entropy(logits, targets, entropy);
        match options.sum {
            true => mean * batch.counted() as f32,
            false => mean,
        }
    }

    /// Log-probability of each label given the tokens before it, `[batch, tokens]`: at `t` that of token `t + 1`; 0 where the
    /// label does not count.
    pub fn log_probabilities(&self, batch: &Sequences, dropout: Option<&mut Dropout>) -> Tensor<2> {
        let logits = self.logits_of(batch, dropout);
        let targets = batch.targets(&logits.device());
        let hidden = targets.clone().equal_scalar(IGNORED);
        let targets = targets.mask_fill(hidden.clone(), 0);
        let picked = log_softmax(logits, 2).gather(2, targets.unsqueeze_dim(2));
        picked.squeeze_dim::<2>(2).mask_fill(hidden, 0.0)
    }
}
