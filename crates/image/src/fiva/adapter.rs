//! The adapter: features of references to tokens, and a second pair of keys and values in every cross-attention of a U-Net.

use std::collections::HashMap;

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use engine::models::unet2d::Unet2d;
use engine::nn::{AttentionCall, AttentionHooks, CrossAttention, Init, Linear, LinearConfig};
use engine::ops::{self, AttentionMask};
use engine::weights::{
    KeyMap, Precision, TensorFile, Weights, WeightsError, collect, load, load_partial, params,
};

use super::SystemError;
use super::projector::Projector;

/// A cross-attention of a U-Net.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its official name, such as `down_blocks.1.attentions.0.transformer_blocks.0.attn2`.
    pub name: String,
    /// Its number among all attentions in the order of diffusers' `attn_processors`: down, up, middle.
    pub index: usize,
    /// Width of the states.
    pub width: usize,
    /// Width of the context.
    pub context: usize,
}

/// The cross-attentions of a U-Net, in the order in which adapter files count them.
pub fn places(unet: &Unet2d) -> Vec<Place> {
    let mut all: Vec<(usize, String, [usize; 2])> = params(unet)
        .into_iter()
        .filter_map(|param| {
            let name = param.path.strip_suffix(".to_k.weight")?.to_owned();
            let section = match name.split('.').next() {
                Some("down_blocks") => 0,
                Some("up_blocks") => 1,
                _ => 2,
            };
            let shape: [usize; 2] = param.shape.try_into().ok()?;
            Some((section, name, shape))
        })
        .collect();
    all.sort_by_key(|(section, ..)| *section);
    let all = all.into_iter().enumerate();
    all.filter(|(_, (_, name, _))| name.ends_with(".attn2"))
        .map(|(index, (_, name, [width, context]))| Place {
            name,
            index,
            width,
            context,
        })
        .collect()
}

/// Keys and values of one cross-attention for the tokens of references.
#[derive(Module, Debug)]
pub struct Branch {
    /// `[width, context]`.
    pub to_k_ip: Linear,
    /// `[width, context]`.
    pub to_v_ip: Linear,
}

impl Branch {
    fn new(place: &Place, rng: &mut Rng, device: &Device) -> Self {
        let mut linear = || {
            LinearConfig::new(place.context, place.width)
                .without_bias()
                .with_init(Init::Lazy)
                .init(rng, device)
        };
        Self {
            to_k_ip: linear(),
            to_v_ip: linear(),
        }
    }

    /// What queries `[batch, places, heads, head]` see of `tokens` `[batch, tokens, context]`: `[batch, places, width]`. Values are
    /// multiplied by `weights` `[1, tokens, 1, 1]`, where there are some.
    pub fn attend(
        &self,
        layer: &CrossAttention,
        queries: Tensor<4>,
        tokens: Tensor<3>,
        weights: Option<&Tensor<4>>,
    ) -> Tensor<3> {
        let keys = layer.split(self.to_k_ip.forward(tokens.clone()));
        let values = layer.split(self.to_v_ip.forward(tokens));
        let values = match weights {
            Some(weights) => values * weights.clone(),
            None => values,
        };
        layer.attend(queries, [keys, values], &AttentionMask::default())
    }

    /// How much each query looks at each token, `[batch, heads, places, tokens]`; rows sum to 1.
    pub fn probabilities(
        &self,
        layer: &CrossAttention,
        x: Tensor<3>,
        tokens: Tensor<3>,
    ) -> Tensor<4> {
        let queries = layer.queries(x).swap_dims(1, 2);
        let head = queries.dims()[3].max(1) as f64;
        let keys = layer.split(self.to_k_ip.forward(tokens)).swap_dims(1, 2);
        ops::softmax(queries.matmul(keys.swap_dims(2, 3)) / head.sqrt())
    }

    /// Decoupled cross-attention: the last `count` tokens of `context` are those of references, the others text.
    pub fn decoupled(
        &self,
        layer: &CrossAttention,
        x: Tensor<3>,
        context: Tensor<3>,
        count: usize,
        scale: f32,
        weights: Option<&Tensor<4>>,
    ) -> Tensor<3> {
        let text = context.dims()[1].saturating_sub(count);
        let own = context.clone().narrow(1, text, count);
        let queries = layer.queries(x);
        let said = layer.keys_values(context.narrow(1, 0, text));
        let plain = layer.attend(queries.clone(), said, &AttentionMask::default());
        let seen = self.attend(layer, queries, own, weights);
        layer.to_out.forward(plain + seen * scale)
    }
}

/// The adapter of one U-Net.
#[derive(Module, Debug)]
pub struct Adapter {
    /// Features to tokens.
    pub image_proj: Projector,
    ip_adapter: Vec<Branch>,
    #[module(skip)]
    by_name: HashMap<String, usize>,
}

impl Adapter {
    fn empty(unet: &[Place], image_proj: Projector, rng: &mut Rng, device: &Device) -> Self {
        Self {
            image_proj,
            ip_adapter: unet
                .iter()
                .map(|place| Branch::new(place, rng, device))
                .collect(),
            by_name: unet
                .iter()
                .enumerate()
                .map(|(at, place)| (place.name.clone(), at))
                .collect(),
        }
    }

    /// A fresh adapter for features of `width`: keys and values begin as those of the text.
    ///
    /// # Errors
    /// [`SystemError::Input`] when the U-Net has no cross-attention.
    pub fn new(
        unet: &Unet2d,
        width: usize,
        rng: &mut Rng,
        device: &Device,
    ) -> Result<Self, SystemError> {
        let places = places(unet);
        let Some(first) = places.first() else {
            return Err(SystemError::input(
                "the U-Net has no cross-attention that an adapter could extend",
            ));
        };
        let projector = Projector::new(width, first.context, 1, rng, device);
        let fresh = Self::empty(&places, projector, rng, device);
        let mut text = TensorFile::new();
        let keys = KeyMap::new().only("attn2.to_k").only("attn2.to_v");
        collect(unet, &keys, Precision::F32, &mut text)?;
        let text = Weights::from_bytes(text.to_bytes())?;
        let mut keys = KeyMap::new();
        for (at, place) in places.iter().enumerate() {
            for part in ["k", "v"] {
                keys = keys.exact(
                    &format!("{}.to_{part}.weight", place.name),
                    &format!("ip_adapter.{at}.to_{part}_ip.weight"),
                );
            }
        }
        Ok(load_partial(fresh, &text, &keys)?.0)
    }

    /// The adapter in a file: `ip_adapter.bin`, or safetensors with the same names.
    ///
    /// # Errors
    /// [`WeightsError`] with every key that is missing, left over or of another shape, as for another base model.
    pub fn read(weights: &Weights, unet: &Unet2d, device: &Device) -> Result<Self, WeightsError> {
        let projector = Projector::read(weights, device)?;
        let places = places(unet);
        let fresh = Self::empty(&places, projector, &mut Rng::new(0), device);
        load(fresh, weights, &file_keys(&places))
    }

    /// The adapter as a file under the published names; `unet` is the one that it was made for.
    ///
    /// # Errors
    /// When a value does not fit `precision`.
    pub fn file(&self, unet: &Unet2d, precision: Precision) -> Result<TensorFile, WeightsError> {
        let mut file = TensorFile::new();
        collect(self, &file_keys(&places(unet)), precision, &mut file)?;
        Ok(file)
    }

    /// The branch of an attention by its official name.
    pub fn branch(&self, name: &str) -> Option<&Branch> {
        self.ip_adapter.get(*self.by_name.get(name)?)
    }

    /// What a U-Net needs while it draws with `tokens` tokens of references at the end of its context.
    pub fn hooks(&self, tokens: usize, scale: f32) -> Decoupled<'_> {
        Decoupled {
            adapter: self,
            tokens,
            scale,
            weights: None,
        }
    }
}

fn file_keys(places: &[Place]) -> KeyMap {
    let mut keys = KeyMap::new();
    for (at, place) in places.iter().enumerate() {
        for part in ["k", "v"] {
            keys = keys.exact(
                &format!("ip_adapter.{}.to_{part}_ip.weight", place.index),
                &format!("ip_adapter.{at}.to_{part}_ip.weight"),
            );
        }
    }
    keys
}

/// Adds the adapter's branches to the cross-attentions of a U-Net; see [`Adapter::hooks`].
#[derive(Debug)]
pub struct Decoupled<'a> {
    adapter: &'a Adapter,
    tokens: usize,
    scale: f32,
    weights: Option<Tensor<4>>,
}

impl Decoupled<'_> {
    /// The same with a strength for each slot, by which its values are multiplied.
    pub fn with_strengths(mut self, strengths: &[f32], device: &Device) -> Self {
        let slots = strengths.len();
        if slots > 0 && strengths.iter().any(|strength| *strength != 1.0) {
            let each = self.tokens / slots;
            let values: Vec<f32> = strengths
                .iter()
                .flat_map(|strength| std::iter::repeat_n(*strength, each))
                .chain(std::iter::repeat(1.0))
                .take(self.tokens)
                .collect();
            let data = TensorData::new(values, [1, self.tokens, 1, 1]);
            self.weights = Some(Tensor::from_data(data, device));
        }
        self
    }
}

impl AttentionHooks for Decoupled<'_> {
    fn attention(&mut self, call: AttentionCall<'_>) -> Tensor<3> {
        match (self.adapter.branch(call.name), &call.context) {
            (Some(branch), Some(context)) => branch.decoupled(
                call.layer,
                call.x.clone(),
                context.clone(),
                self.tokens,
                self.scale,
                self.weights.as_ref(),
            ),
            _ => call.plain(),
        }
    }
}
