//! CLIP's text towers (Radford et al. 2021; OpenCLIP) as Stable Diffusion uses them, under transformers' names.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::clip_layer::{Activation, Encoder, Sizes};
use crate::nn::{Init, LayerNorm, Linear, LinearConfig};
use crate::ops::{self, AttentionMask};
use crate::weights::{KeyMap, Weights};
use base::rng::Rng;

pub use super::clip_layer::Activation as ClipActivation;

/// The end-of-text id of configurations that were written with the wrong one: the largest id of a prompt is meant.
const LEGACY_END: u32 = 2;

/// Sizes, as `config.json` of a text encoder has them; the default is CLIP-L (Stable Diffusion 1.x).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct ClipTextConfig {
    /// Tokens of the vocabulary.
    pub vocab_size: usize,
    /// Width of the states.
    pub hidden_size: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of heads.
    pub num_attention_heads: usize,
    /// The activation of the feed-forward layers.
    pub hidden_act: Activation,
    /// Epsilon of every norm.
    pub layer_norm_eps: f64,
    /// The most tokens of a prompt, its ends included.
    pub max_position_embeddings: usize,
    /// Width of the projected text, of towers that have a projection.
    pub projection_dim: Option<usize>,
    /// The token that ends a prompt; with 2 the largest id of the prompt does.
    pub eos_token_id: u32,
}

impl Default for ClipTextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 49408,
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            max_position_embeddings: 77,
            projection_dim: None,
            eos_token_id: LEGACY_END,
        }
    }
}

impl ClipTextConfig {
    /// OpenCLIP-H without its last layer (Stable Diffusion 2.x).
    pub fn open_clip_h() -> Self {
        Self {
            hidden_size: 1024,
            intermediate_size: 4096,
            num_hidden_layers: 23,
            num_attention_heads: 16,
            hidden_act: Activation::Gelu,
            ..Self::default()
        }
    }

    /// OpenCLIP-bigG (the second tower of Stable Diffusion XL).
    pub fn open_clip_big_g() -> Self {
        Self {
            hidden_size: 1280,
            intermediate_size: 5120,
            num_hidden_layers: 32,
            num_attention_heads: 20,
            hidden_act: Activation::Gelu,
            projection_dim: Some(1280),
            ..Self::default()
        }
    }
}

#[derive(Module, Debug)]
struct Table {
    weight: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
struct Embeddings {
    token_embedding: Table,
    position_embedding: Table,
}

#[derive(Module, Debug)]
struct TextModel {
    embeddings: Embeddings,
    encoder: Encoder,
    final_layer_norm: LayerNorm,
}

/// See [`ClipTextConfig`].
#[derive(Module, Debug)]
pub struct ClipText {
    text_model: TextModel,
    text_projection: Option<Linear>,
    end: u32,
    vocabulary: usize,
    longest: usize,
}

/// What a text tower says of prompts.
#[derive(Clone, Debug)]
pub struct ClipTextOutput {
    /// The embedded tokens and what each layer made of them, `[batch, tokens, width]`, without the final norm. The last
    /// but one is what Stable Diffusion XL reads.
    pub hidden_states: Vec<Tensor<3>>,
    /// The last state behind the final norm, `[batch, tokens, width]`.
    pub last: Tensor<3>,
    /// `last` at the end of each prompt, `[batch, width]`.
    pub pooled: Tensor<2>,
    /// `pooled` through the projection, `[batch, projection]`, where the tower has one.
    pub text_embeds: Option<Tensor<2>>,
}

/// Names in a transformers file ↔ field paths, with or without `text_model.` before them.
pub fn key_map(weights: &Weights) -> KeyMap {
    let keys = KeyMap::new().ignore("position_ids").ignore("logit_scale");
    match weights.contains("embeddings.token_embedding.weight") {
        true => keys
            .rename("text_projection", "text_projection")
            .rename("", "text_model"),
        false => keys,
    }
}

impl ClipTextConfig {
    /// Draws a tower, as soon as its weights are read.
    ///
    /// # Errors
    /// When a size is zero or huge, or heads do not divide the width.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> Result<ClipText, String> {
        let sizes = Sizes {
            width: self.hidden_size,
            hidden: self.intermediate_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            activation: self.hidden_act,
            eps: self.layer_norm_eps,
        };
        sizes.check()?;
        let width = self.hidden_size;
        let table = |rows, rng: &mut Rng| Table {
            weight: Init::Lazy.weight(rows, width, rng, device),
        };
        Ok(ClipText {
            text_model: TextModel {
                embeddings: Embeddings {
                    token_embedding: table(self.vocab_size, rng),
                    position_embedding: table(self.max_position_embeddings, rng),
                },
                encoder: sizes.init(rng, device),
                final_layer_norm: LayerNorm::new(width, self.layer_norm_eps, device),
            },
            text_projection: self.projection_dim.map(|output| {
                LinearConfig::new(width, output)
                    .with_init(Init::Lazy)
                    .without_bias()
                    .init(rng, device)
            }),
            end: self.eos_token_id,
            vocabulary: self.vocab_size,
            longest: self.max_position_embeddings,
        })
    }
}

impl ClipText {
    /// The most tokens of a prompt, its ends included.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Puts another projection, `[projection, width]`, in the place of the tower's.
    pub fn set_projection(&mut self, weight: Tensor<2>) {
        self.text_projection = Some(Linear::new(Param::from_tensor(weight), None));
    }

    /// The token that ends a prompt, where the configuration is wrong about it.
    pub fn set_end(&mut self, id: u32) {
        self.end = id;
    }

    /// Reads prompts of equally many tokens; each token sees those before it.
    ///
    /// # Errors
    /// When prompts differ in length or are longer than the tower knows, or an id is not in the vocabulary.
    pub fn forward(&self, prompts: &[Vec<u32>]) -> Result<ClipTextOutput, String> {
        let tokens = prompts.first().map_or(0, Vec::len);
        if tokens == 0 || tokens > self.longest || prompts.iter().any(|ids| ids.len() != tokens) {
            return Err(format!(
                "prompts must all have the same number of tokens, at most {}",
                self.longest
            ));
        }
        let known = |id: &u32| (*id as usize) < self.vocabulary;
        if let Some(id) = prompts.iter().flatten().find(|id| !known(id)) {
            return Err(format!(
                "token {id} is not in the vocabulary of {} tokens: the tokenizer belongs to another text encoder",
                self.vocabulary
            ));
        }
        let embeddings = &self.text_model.embeddings;
        let table = embeddings.token_embedding.weight.val();
        let device = table.device();
        let flat: Vec<i64> = prompts.iter().flatten().map(|&id| i64::from(id)).collect();
        let ids = TensorData::new(flat, [prompts.len(), tokens]);
        let ids: Tensor<2, Int> = Tensor::from_data(ids, &device);
        let places = embeddings.position_embedding.weight.val();
        let x = ops::embedding::<2, 3>(table, ids) + places.narrow(0, 0, tokens).unsqueeze();
        let hidden_states = self.text_model.encoder.forward(x, &AttentionMask::causal());
        let last = match hidden_states.last() {
            Some(state) => self.normed(state.clone()),
            None => return Err("the tower has no layers".into()),
        };
        let rows = prompts.iter().enumerate().map(|(row, ids)| {
            let place = last.clone().narrow(0, row, 1);
            place.narrow(1, self.end_of(ids), 1).squeeze_dim::<2>(1)
        });
        let pooled = Tensor::cat(rows.collect(), 0);
        Ok(ClipTextOutput {
            text_embeds: self
                .text_projection
                .as_ref()
                .map(|linear| linear.forward(pooled.clone())),
            hidden_states,
            last,
            pooled,
        })
    }

    /// A state `[batch, tokens, width]` behind the final norm.
    pub fn normed(&self, state: Tensor<3>) -> Tensor<3> {
        self.text_model.final_layer_norm.forward(state)
    }

    /// Where a prompt ends: at the first end-of-text, or at the first of its largest ids where the configuration names none;
    /// at its beginning where there is none.
    fn end_of(&self, ids: &[u32]) -> usize {
        let end = match self.end {
            LEGACY_END => ids.iter().copied().max().unwrap_or_default(),
            end => end,
        };
        ids.iter().position(|&id| id == end).unwrap_or_default()
    }
}
