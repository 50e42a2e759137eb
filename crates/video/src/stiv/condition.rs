//! What a forward pass is conditioned on: text, micro-conditions, given frames.

use burn::tensor::{Bool, Tensor};

use super::config::MICRO_CONDITIONS;

/// The conditions of a batch beside the given frames.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Text tokens, `[batch, keys, context]`.
    pub text: Tensor<3>,
    /// True where `text` holds a token, `[batch, keys]`; absent: everywhere.
    pub text_mask: Option<Tensor<2, Bool>>,
    /// Pooled text, `[batch, context]`.
    pub pooled: Tensor<2>,
    /// `[original height, original width, crop top, crop left, stride, frames]` of each sample.
    pub micro: Vec<[f32; MICRO_CONDITIONS]>,
}

impl Condition {
    /// The batches one after another; all must have as many keys.
    pub fn cat(parts: &[&Condition]) -> Condition {
        let join = |each: fn(&Condition) -> Tensor<3>| {
            Tensor::cat(parts.iter().map(|part| each(part)).collect(), 0)
        };
        let masks: Option<Vec<_>> = parts.iter().map(|part| part.text_mask.clone()).collect();
        Condition {
            text: join(|part| part.text.clone()),
            text_mask: masks.map(|masks| Tensor::cat(masks, 0)),
            pooled: Tensor::cat(parts.iter().map(|part| part.pooled.clone()).collect(), 0),
            micro: parts.iter().flat_map(|part| part.micro.clone()).collect(),
        }
    }
}

/// Conditions for the guidance branches (full, style only, null); all have as many keys.
#[derive(Clone, Debug)]
pub struct Texts {
    /// The prompt.
    pub full: Condition,
    /// What the prompt says of the style, and nothing else, for [`Guidance::Style`].
    pub style: Option<Condition>,
    /// The empty text.
    pub null: Condition,
}

impl Texts {
    /// Those of one sample for a batch of `count`.
    pub fn repeat(&self, count: usize) -> Self {
        let repeat = |condition: &Condition| Condition::cat(&vec![condition; count]);
        Self {
            full: repeat(&self.full),
            style: self.style.as_ref().map(repeat),
            null: repeat(&self.null),
        }
    }
}

/// Frame replacement: `frames` where `given` is 1. `given` is `[batch, 1, frames, 1, 1]`.
pub fn replace_given(x: Tensor<5>, frames: Tensor<5>, given: Tensor<5>) -> Tensor<5> {
    let keep = given.clone().neg() + 1.0;
    x * keep + frames * given
}
