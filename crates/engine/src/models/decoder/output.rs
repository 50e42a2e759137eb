//! What goes into a forward pass and what comes out.

use std::sync::Arc;

use super::cache::Cache;
use super::config::DecoderConfig;
use super::error::DecoderError;
use super::lora::Lora;

/// Tokens or embeddings.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Tokens.
    Ids(&'a [u32]),
    /// Rows `[tokens, width]` in place of those of the embedding table; the model's embedding scale applies to them
    /// too.
    Embeddings(&'a [f32]),
}

/// New tokens of one sequence.
pub struct Segment<'a> {
    /// At least one token.
    pub input: Input<'a>,
    /// What came before; the new tokens are appended.
    pub cache: &'a mut Cache,
    /// Adapters and what their products are multiplied by.
    pub adapters: &'a [(Arc<Lora>, f32)],
}

impl<'a> Segment<'a> {
    /// Without adapters.
    pub fn new(input: Input<'a>, cache: &'a mut Cache) -> Self {
        Self {
            input,
            cache,
            adapters: &[],
        }
    }

    /// Number of new tokens, where the input is whole rows.
    pub(super) fn tokens(&self, width: usize) -> usize {
        match self.input {
            Input::Ids(ids) => ids.len(),
            Input::Embeddings(values) => values.len() / width,
        }
    }
}

/// Which logits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Logits {
    /// None.
    None,
    /// Of the last new token of each sequence.
    #[default]
    Last,
    /// Of all new tokens.
    All,
}

/// What a forward pass shall give besides filling the caches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Which logits.
    pub logits: Logits,
    /// Hidden states after the final norm.
    pub hidden: bool,
    /// The residual that enters each block, and the one that leaves the last.
    pub states: bool,
    /// Layers whose attention weights are wanted.
    pub attention: &'a [usize],
    /// Changes of the residual.
    pub hooks: &'a [Hook<'a>],
}

/// A change of the residual that leaves a block.
#[derive(Clone, Copy, Debug)]
pub struct Hook<'a> {
    /// The block, from 0 on.
    pub layer: usize,
    /// The sequence of the batch; none: all of them.
    pub segment: Option<usize>,
    /// What is done.
    pub action: HookAction<'a>,
}

/// What a hook does.
#[derive(Clone, Copy, Debug)]
pub enum HookAction<'a> {
    /// `x += scale · values`, with `[width]` for every new token or `[tokens, width]`.
    Add {
        /// What is added.
        values: &'a [f32],
        /// What it is multiplied by.
        scale: f32,
    },
    /// `x = values`, `[width]` or `[tokens, width]`.
    Replace(&'a [f32]),
}

impl HookAction<'_> {
    fn values(&self) -> &[f32] {
        match self {
            Self::Add { values, .. } | Self::Replace(values) => values,
        }
    }

    /// Changes the residual `x` of token `token` of a segment.
    pub(super) fn apply(&self, token: usize, x: &mut [f32]) {
        let values = self.values();
        let values = match values.len() == x.len() {
            true => values,
            false => values.get(token * x.len()..).unwrap_or_default(),
        };
        match self {
            Self::Add { scale, .. } => {
                for (x, value) in x.iter_mut().zip(values) {
                    *x += scale * value;
                }
            }
            Self::Replace(_) => {
                for (x, value) in x.iter_mut().zip(values) {
                    *x = *value;
                }
            }
        }
    }
}

/// What came out for one sequence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// `[1 or tokens, vocab]`.
    pub logits: Vec<f32>,
    /// After the final norm, `[tokens, width]`.
    pub hidden: Vec<f32>,
    /// Residuals `[tokens, width]`: what enters each block, then what leaves the last, before the final norm.
    pub states: Vec<Vec<f32>>,
    /// For each layer asked for and each new token: weights `[heads, position + 1]` over all positions so far.
    pub attention: Vec<Vec<Vec<f32>>>,
}

impl Request<'_> {
    /// Checks a batch before anything is computed.
    pub(super) fn check(
        &self,
        config: &DecoderConfig,
        batch: &[Segment<'_>],
    ) -> Result<(), DecoderError> {
        let width = config.width;
        for (sequence, segment) in batch.iter().enumerate() {
            if let Input::Embeddings(values) = segment.input
                && !values.len().is_multiple_of(width)
            {
                return Err(DecoderError::Foreign(format!(
                    "{} values are not rows of {width}: take embeddings of this model",
                    values.len()
                )));
            }
            let tokens = segment.tokens(width);
            if tokens == 0 {
                return Err(DecoderError::Empty { sequence });
            }
            if !segment.cache.fits(config) {
                return Err(DecoderError::Foreign(
                    "the cache belongs to another model: start a new one with this model's config"
                        .into(),
                ));
            }
            let (found, limit) = (segment.cache.len() + tokens, segment.cache.limit());
            if found > limit {
                return Err(DecoderError::Context { found, limit });
            }
            for (lora, _) in segment.adapters {
                lora.check(config)?;
            }
            for hook in self.hooks {
                let values = hook.action.values().len();
                let meant = hook.segment.is_none_or(|number| number == sequence);
                if meant && values != width && values != tokens * width {
                    return Err(DecoderError::Foreign(format!(
                        "a hook of {values} values changes neither rows of {width} nor {tokens} of them"
                    )));
                }
            }
        }
        let layers = self.hooks.iter().map(|hook| hook.layer);
        match layers
            .chain(self.attention.iter().copied())
            .find(|layer| *layer >= config.layers)
        {
            Some(layer) => Err(DecoderError::Foreign(format!(
                "layer {layer} is not among the {} of the model, which count from 0",
                config.layers
            ))),
            None => Ok(()),
        }
    }
}
