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
    /// Of the blocks, only the residual between them is kept for the backward pass.
    pub(super) checkpointing: bool,
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
    /// What a block drops.
    fn split(&mut self) -> Self {
        Self {
            share: self.share,
            rng: self.rng.split(),
        }
    }

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

/// What all blocks share in a pass.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    pub(super) head: usize,
    pub(super) eps: f32,
    pub(super) rope: Rope,
    pub(super) mask: AttentionMask,
}

impl Block {
    /// `[batch, tokens, width]` to the same.
    fn forward(&self, x: Tensor<3>, pass: &Pass, mut dropout: Option<Dropout>) -> Tensor<3> {
        let mut dropout = dropout.as_mut();
        let drop = |x: Tensor<3>, dropout: Option<&mut Dropout>| match dropout {
            Some(dropout) => dropout.apply(x, dropout.share),
            None => x,
        };
        let normed = self.input_layernorm.forward(x.clone(), pass.eps);
        let attention = &self.self_attn;
        let seen = attention.forward(normed, pass, dropout.as_deref_mut());
        let x = x + drop(seen, dropout.as_deref_mut());
        let normed = self.post_attention_layernorm.forward(x.clone(), pass.eps);
        let mlp = &self.mlp;
        let gated = ops::swiglu(
            mlp.gate_proj
                .forward(normed.clone(), dropout.as_deref_mut()),
            mlp.up_proj.forward(normed, dropout.as_deref_mut()),
        );
        let thought = mlp.down_proj.forward(gated, dropout.as_deref_mut());
        x + drop(thought, dropout)
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
        ops::linear(self.hidden(ids, None, None), self.output(), None)
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
        let device = ids.device();
        let positions: Vec<f32> = (0..tokens).map(|at| at as f32).collect();
        let pass = Pass {
            head: self.head,
            eps: self.eps as f32,
            rope: Rope::new(&positions, 1, self.head, self.theta as f32, &device),
            mask: AttentionMask {
                window: Window {
                    before: self.window.map(|window| window - 1),
                    ..Window::CAUSAL
                },
                pairs,
                ..AttentionMask::default()
            },
        };
        let eps = pass.eps;
        let mut x: Tensor<3> = ops::embedding(self.model.embed_tokens.weight.val(), ids);
        let mut states = Vec::with_capacity(self.model.layers.len() + 1);
        for block in &self.model.layers {
            states.push(x.clone());
            let dropout = dropout.as_deref_mut().map(Dropout::split);
            x = match self.checkpointing {
                true => {
                    let pass = pass.clone();
                    ops::recompute(block, x, move |block, x| {
                        block.forward(x, &pass, dropout.clone())
                    })
                }
                false => block.forward(x, &pass, dropout),
            };
        }
        states.push(self.model.norm.forward(x, eps));
        states
    }

    /// The same with full causal attention where `window` is none.
    pub fn with_window(mut self, window: Option<usize>) -> Self {
        self.window = window.map(|window| window.max(1));
        self
    }

    /// The same with what blocks compute thrown away and computed again in the backward pass, or not: a training step takes about a
    /// third longer and needs far less memory. Losses and gradients do not change. On the CPU only.
    pub fn with_activation_checkpointing(mut self, on: bool) -> Self {
        self.checkpointing = on;
        self
    }

    /// `[tokens, width]`, from the last residual to logits.
    fn output(&self) -> Tensor<2> {
        match &self.lm_head {
            Some(head) => head.weight.val(),
            None => self.model.embed_tokens.weight.val(),
        }
    }

    /// The last residual `[batch, tokens, width]`, after the final norm.
    fn hidden(
        &self,
        ids: Tensor<2, Int>,
        pairs: Option<Tensor<4, Bool>>,
        dropout: Option<&mut Dropout>,
    ) -> Tensor<3> {
        let device = ids.device();
        let last = self.states(ids, pairs, dropout).pop();
        last.unwrap_or_else(|| Tensor::zeros([1, 1, 1], &device))
    }

    /// The same for a batch.
    fn hidden_of(&self, batch: &Sequences, dropout: Option<&mut Dropout>) -> Tensor<3> {
        let device = self.model.norm.weight.val().device();
        self.hidden(batch.ids(&device), batch.pairs(&device), dropout)
    }

    /// Cross-entropy of each token given those before it, in nats, over the labels that count: `[1]`.
    pub fn loss(
        &self,
        batch: &Sequences,
        options: &LossOptions,
        dropout: Option<&mut Dropout>,
    ) -> Tensor<1> {
        let hidden = self.hidden_of(batch, dropout);
        let targets = batch.targets(&hidden.device());
        let entropy = CrossEntropyOptions {
            ignore: Some(i64::from(IGNORED)),
            smoothing: options.smoothing,
        };
        let mean = ops::linear_cross_entropy(hidden, self.output(), targets, entropy);
        match options.sum {
            true => mean * batch.counted() as f32,
            false => mean,
        }
    }

    /// Log-probability of each label given the tokens before it, `[batch, tokens]`: at `t` that of token `t + 1`; 0 where the
    /// label does not count.
    pub fn log_probabilities(&self, batch: &Sequences, dropout: Option<&mut Dropout>) -> Tensor<2> {
        let logits = ops::linear(self.hidden_of(batch, dropout), self.output(), None);
        let targets = batch.targets(&logits.device());
        let hidden = targets.clone().equal_scalar(IGNORED);
        let targets = targets.mask_fill(hidden.clone(), 0);
        let picked = log_softmax(logits, 2).gather(2, targets.unsqueeze_dim(2));
        picked.squeeze_dim::<2>(2).mask_fill(hidden, 0.0)
    }
}
