//! Features of references to tokens of a U-Net's context, slot by slot.

use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::nn::{LayerNorm, Linear, LinearConfig};
use engine::weights::{KeyMap, Weights, WeightsError, load};

/// References that a picture may have.
pub const SLOTS: usize = 3;
/// Epsilon of the norm of tokens.
const EPS: f64 = 1e-5;

/// Features of queries to tokens of the U-Net's context ("image_proj").
#[derive(Module, Debug)]
pub struct Projector {
    proj: Linear,
    norm: LayerNorm,
}

impl Projector {
    /// From features of `width` to `tokens` tokens of `context` each.
    pub fn new(
        width: usize,
        context: usize,
        tokens: usize,
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        // As torch draws it. A slot without a reference is the norm of this bias, which has no gradient to speak of where all is zero.
        let bound = libm::sqrtf(width.max(1) as f32).recip();
        let bias: Vec<f32> = (0..tokens * context)
            .map(|_| (2.0 * rng.uniform() - 1.0) * bound)
            .collect();
        let mut proj = LinearConfig::new(width, tokens * context).init(rng, device);
        proj.bias = Some(Param::from_data(
            TensorData::new(bias, [tokens * context]),
            device,
        ));
        Self {
            proj,
            norm: LayerNorm::new(context, EPS, device),
        }
    }

    /// The projector under `image_proj` in an adapter file.
    ///
    /// # Errors
    /// [`WeightsError`] when it is not there or not whole.
    pub fn read(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        let part = weights.within("image_proj");
        let (rows, width) = match part.shape("proj.weight") {
            Some(&[rows, width]) => (rows, width),
            _ => {
                return Err(weights.unfit(
                    "it holds no `image_proj.proj.weight`: give the adapter (`ip_adapter.bin`) as FiVA's code saves it",
                ));
            }
        };
        let context = match part.shape("norm.weight") {
            Some(&[context]) if context > 0 && rows % context == 0 => context,
            _ => {
                return Err(weights.unfit(
                    "`image_proj.norm.weight` does not go with `image_proj.proj.weight`: the file is damaged",
                ));
            }
        };
        let rng = &mut Rng::new(0);
        let fresh = Self::new(width, context, rows / context, rng, device);
        load(fresh, &part, &KeyMap::new())
    }

    /// Width of the features.
    pub fn width(&self) -> usize {
        self.proj.weight.dims()[1]
    }

    /// Width of the tokens.
    pub fn context(&self) -> usize {
        self.norm.weight.dims()[0]
    }

    /// Features `[batch, queries, width]` as tokens `[batch, queries · tokens, context]`.
    pub fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        let [batch, queries, _] = features.dims();
        let context = self.context();
        let tokens = self.proj.weight.dims()[0] / context.max(1);
        let out = self.proj.forward(features);
        self.norm
            .forward(out.reshape([batch, queries * tokens, context]))
    }

    /// Features of references `[references, queries, width]` in the slots of each sample, as tokens `[samples, slots · queries,
    /// context]`. A slot without a reference has features of zeros, which are projected like any others.
    pub fn slots(&self, features: Tensor<3>, slots: &[Vec<Option<usize>>]) -> Tensor<3> {
        let [references, queries, width] = features.dims();
        let device = features.device();
        let nothing = Tensor::zeros([1, queries, width], &device);
        let all = Tensor::cat(vec![features, nothing], 0);
        let order: Vec<i64> = slots
            .iter()
            .flatten()
            .map(|slot| slot.unwrap_or(references) as i64)
            .collect();
        let count = order.len();
        let order: Tensor<1, Int> = Tensor::from_data(TensorData::new(order, [count]), &device);
        let tokens = self.forward(all.select(0, order));
        let [_, each, context] = tokens.dims();
        let samples = slots.len().max(1);
        tokens.reshape([samples, count / samples * each, context])
    }
}

/// How many slots there are for `references`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// [`SLOTS`], as the method has it.
    #[default]
    Full,
    /// What the published code makes: it fills up with at most as many empty slots as there are references, so that with one
    /// reference the last slot is missing, and its attention takes text tokens for it.
    Published,
}

impl Padding {
    /// Slots, filled ones included.
    pub fn slots(self, references: usize) -> usize {
        match self {
            Self::Full => SLOTS,
            Self::Published => references + references.min(SLOTS.saturating_sub(references)),
        }
    }
}
