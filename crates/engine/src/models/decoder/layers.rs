//! The weights of a block.

use super::config::DecoderConfig;
use super::error::DecoderError;
use super::experts::Mixture;
use super::names::{Names, NormSlot, Slot};
use super::weight::{Loader, Weight};

/// A weight and its bias.
pub(super) struct Linear {
    pub(super) weight: Weight,
    pub(super) bias: Option<Vec<f32>>,
}

/// Gate, up and down, or experts.
pub(super) enum FeedForward {
    Dense(Box<[Linear; 3]>),
    Experts(Mixture),
}

/// A block.
pub(super) struct Layer {
    pub(super) norm: Vec<f32>,
    /// Queries, keys, values.
    pub(super) qkv: [Linear; 3],
    /// Of the heads of queries and keys.
    pub(super) head_norms: Option<[Vec<f32>; 2]>,
    pub(super) output: Linear,
    pub(super) after_attention: Option<Vec<f32>>,
    /// None where attention and feed-forward share the first norm.
    pub(super) ffn_norm: Option<Vec<f32>>,
    pub(super) ffn: FeedForward,
    pub(super) after_ffn: Option<Vec<f32>>,
}

impl Layer {
    /// Whether the inputs of any product are rounded.
    pub(super) fn quantised(&self) -> bool {
        let quantised = |linear: &Linear| linear.weight.quantised();
        let ffn = match &self.ffn {
            FeedForward::Dense(all) => all.iter().any(quantised),
            FeedForward::Experts(mixture) => mixture.quantised(),
        };
        ffn || self.qkv.iter().any(quantised)
    }

    pub(super) fn load(
        loader: &mut Loader<'_>,
        config: &DecoderConfig,
        names: &Names<'_>,
        layer: usize,
    ) -> Result<Self, DecoderError> {
        let (width, ffn) = (config.width, config.ffn);
        let [queries, _] = config.projections();
        let linear = |loader: &mut Loader<'_>, slot, inputs, bias| {
            let place = names.place(layer, slot);
            Ok::<_, DecoderError>(Linear {
                weight: loader.place(&place, inputs)?,
                bias: match bias {
                    true => Some(loader.bias(&place)?),
                    false => None,
                },
            })
        };
        let norm = |loader: &mut Loader<'_>, slot, shape: &[usize]| {
            loader.vector(&names.norm_of(layer, slot), shape)
        };
        let head = |heads: usize| match config.norm {
            super::Norm::Layer => vec![heads, config.head_dim],
            _ => vec![config.head_dim],
        };
        let optional = |loader: &mut Loader<'_>, there: bool, slot| match there {
            true => norm(loader, slot, &[width]).map(Some),
            false => Ok(None),
        };
        Ok(Self {
            norm: norm(loader, NormSlot::Attention, &[width])?,
            qkv: [
                linear(loader, Slot::Q, width, config.qkv_bias)?,
                linear(loader, Slot::K, width, config.qkv_bias)?,
                linear(loader, Slot::V, width, config.qkv_bias)?,
            ],
            head_norms: match config.head_norm {
                true => Some([
                    norm(loader, NormSlot::Q, &head(config.heads))?,
                    norm(loader, NormSlot::K, &head(config.kv_heads))?,
                ]),
                false => None,
            },
            output: linear(loader, Slot::O, queries, config.output_bias)?,
            after_attention: optional(loader, config.post_norms, NormSlot::AfterAttention)?,
            ffn_norm: optional(loader, !config.parallel, NormSlot::Ffn)?,
            ffn: match config.experts {
                Some(experts) => {
                    let names = names.experts(layer);
                    FeedForward::Experts(Mixture::load(loader, config, experts, &names)?)
                }
                None => FeedForward::Dense(Box::new([
                    linear(loader, Slot::Gate, width, config.ffn_bias)?,
                    linear(loader, Slot::Up, width, config.ffn_bias)?,
                    linear(loader, Slot::Down, ffn, config.ffn_bias)?,
                ])),
            },
            after_ffn: optional(loader, config.post_norms, NormSlot::AfterFfn)?,
        })
    }
}
