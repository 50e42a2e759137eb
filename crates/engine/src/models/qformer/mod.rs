//! The multimodal Q-Former of BLIP-2 (Li et al. 2023) as BLIP-Diffusion uses it (diffusers' `Blip2QFormerModel`), under its
//! official names: queries that read a picture for what a text asks of it.

mod config;
mod layer;
mod vision;

use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use crate::nn::{Init, LayerNorm, Linear, LinearConfig};
use crate::ops;
use crate::weights::KeyMap;
use base::rng::Rng;
pub use config::{QFormerConfig, QFormerTextConfig, QFormerVisionConfig};
use layer::Layer;
use vision::VisionTower;

/// Deviation of what is drawn where no file is.
const DEVIATION: f32 = 0.02;
/// Epsilon of the norm before the last projection.
const PROJECTION_EPS: f64 = 1e-12;

#[derive(Module, Debug)]
struct Table {
    weight: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
struct Embeddings {
    word_embeddings: Table,
    position_embeddings: Table,
    layer_norm: LayerNorm,
}

#[derive(Module, Debug)]
struct Encoder {
    layer: Vec<Layer>,
}

#[derive(Module, Debug)]
struct Projection {
    dense1: Linear,
    dense2: Linear,
    layer_norm: LayerNorm,
}

/// See the module and [`QFormerConfig`].
#[derive(Module, Debug)]
pub struct QFormer {
    query_tokens: Param<Tensor<3>>,
    embeddings: Embeddings,
    visual_encoder: VisionTower,
    encoder: Encoder,
    proj_layer: Projection,
    vocabulary: usize,
    longest: usize,
}

/// What a Q-Former says, step by step.
#[derive(Clone, Debug)]
pub struct QFormerOutput {
    /// Queries and text as they enter the layers, `[batch, queries + tokens, width]`.
    pub embedded: Tensor<3>,
    /// What each layer made of them, the same shape.
    pub states: Vec<Tensor<3>>,
    /// The queries behind the projection, `[batch, queries, width]`.
    pub features: Tensor<3>,
}

/// Names in a diffusers file ↔ field paths.
pub fn key_map() -> KeyMap {
    let mut keys = KeyMap::new().ignore("position_ids");
    let norms = [
        "embeddings",
        "proj_layer",
        "encoder.layer.{}.attention.output",
        "encoder.layer.{}.crossattention.output",
        "encoder.layer.{}.output",
        "encoder.layer.{}.output_query",
    ];
    for place in norms {
        keys = keys.rename(
            &format!("{place}.LayerNorm"),
            &format!("{place}.layer_norm"),
        );
    }
    keys
}

fn drawn<const D: usize>(shape: [usize; D], rng: &mut Rng, device: &Device) -> Param<Tensor<D>> {
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| DEVIATION * rng.normal())
        .collect();
    Param::from_data(TensorData::new(values, shape), device)
}

impl QFormerConfig {
    /// Draws a network; large weights are drawn as soon as they are read, those that a checkpoint fills never.
    ///
    /// # Errors
    /// As [`QFormerConfig::check`].
    pub fn init(&self, rng: &mut Rng, device: &Device) -> Result<QFormer, String> {
        self.check()?;
        let text = &self.qformer_config;
        let width = text.hidden_size;
        let table = |rows, rng: &mut Rng| Table {
            weight: Init::Lazy.weight(rows, width, rng, device),
        };
        let linear = |input, output, rng: &mut Rng| {
            LinearConfig::new(input, output)
                .with_init(Init::Lazy)
                .init(rng, device)
        };
        Ok(QFormer {
            query_tokens: drawn([1, self.num_query_tokens, width], rng, device),
            embeddings: Embeddings {
                word_embeddings: table(text.vocab_size, rng),
                position_embeddings: table(text.max_position_embeddings, rng),
                layer_norm: LayerNorm::new(width, text.layer_norm_eps, device),
            },
            visual_encoder: self.vision_config.init(rng, device),
            encoder: Encoder {
                layer: (0..text.num_hidden_layers)
                    .map(|at| Layer::new(text, at, rng, device))
                    .collect(),
            },
            proj_layer: Projection {
                dense1: linear(width, 4 * width, rng),
                dense2: linear(4 * width, width, rng),
                layer_norm: LayerNorm::new(width, PROJECTION_EPS, device),
            },
            vocabulary: text.vocab_size,
            longest: text.max_position_embeddings,
        })
    }
}

impl QFormer {
    /// Height and width of a picture in pixels.
    pub fn side(&self) -> usize {
        self.visual_encoder.side()
    }

    /// Number of query tokens.
    pub fn queries(&self) -> usize {
        self.query_tokens.dims()[1]
    }

    /// Width of the features.
    pub fn width(&self) -> usize {
        self.query_tokens.dims()[2]
    }

    /// Tokens of the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The same with an image tower that is not trained.
    pub fn with_frozen_tower(mut self) -> Self {
        self.visual_encoder = self.visual_encoder.no_grad();
        self
    }

    /// Pictures `[batch, 3, side, side]`, CLIP's mean and deviation taken out, as tokens `[batch, 1 + patches, picture width]`.
    ///
    /// # Errors
    /// When pictures have another size.
    pub fn see(&self, pictures: Tensor<4>) -> Result<Tensor<3>, String> {
        let [_, channels, height, width] = pictures.dims();
        let side = self.side();
        match channels == 3 && [height, width] == [side; 2] {
            true => Ok(self.visual_encoder.forward(pictures)),
            false => Err(format!(
                "pictures of {width}x{height} with {channels} channels; the Q-Former reads {side}x{side} with 3"
            )),
        }
    }

    /// What `texts`, one for each picture, ask of `pictures` ([`QFormer::see`]). Shorter texts are filled up and the filling is not
    /// seen: the result of one does not depend on the length of another.
    ///
    /// # Errors
    /// When there are as many texts as pictures not, a text is empty or too long, or an id is not in the vocabulary.
    pub fn read(&self, pictures: &Tensor<3>, texts: &[Vec<u32>]) -> Result<QFormerOutput, String> {
        let batch = pictures.dims()[0];
        let tokens = texts.iter().map(Vec::len).max().unwrap_or_default();
        if texts.len() != batch || texts.iter().any(Vec::is_empty) || tokens > self.longest {
            return Err(format!(
                "{} texts of at most {tokens} tokens for {batch} pictures; one of 1 to {} tokens is needed for each",
                texts.len(),
                self.longest
            ));
        }
        let known = |id: &u32| (*id as usize) < self.vocabulary;
        if let Some(id) = texts.iter().flatten().find(|id| !known(id)) {
            return Err(format!(
                "token {id} is not in the Q-Former's vocabulary of {}: the vocabulary file belongs to another model",
                self.vocabulary
            ));
        }
        let device = pictures.device();
        let (queries, width) = (self.queries(), self.width());
        let mut ids = Vec::with_capacity(batch * tokens);
        let mut seen = Vec::with_capacity(batch * (queries + tokens));
        for text in texts {
            ids.extend(text.iter().map(|&id| i64::from(id)));
            ids.extend(std::iter::repeat_n(0, tokens - text.len()));
            seen.extend((0..queries + tokens).map(|at| at < queries + text.len()));
        }
        let ids: Tensor<2, Int> = Tensor::from_data(TensorData::new(ids, [batch, tokens]), &device);
        let seen = TensorData::new(seen, [batch, queries + tokens]);
        let seen: Tensor<2, Bool> = Tensor::from_data(seen, &device);
        let embeddings = &self.embeddings;
        let places = embeddings.position_embeddings.weight.val();
        let words = ops::embedding::<2, 3>(embeddings.word_embeddings.weight.val(), ids)
            + places.narrow(0, 0, tokens).unsqueeze();
        let asked = self.query_tokens.val().expand([batch, queries, width]);
        let embedded = embeddings
            .layer_norm
            .forward(Tensor::cat(vec![asked, words], 1));
        let mut states: Vec<Tensor<3>> = Vec::with_capacity(self.encoder.layer.len());
        let mut x = embedded.clone();
        for layer in &self.encoder.layer {
            x = layer.forward(x, queries, pictures, &seen);
            states.push(x.clone());
        }
        Ok(QFormerOutput {
            embedded,
            states,
            features: self.proj_layer.forward(x.narrow(1, 0, queries)),
        })
    }
}

impl Projection {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let y = self.dense1.forward(self.layer_norm.forward(x.clone()));
        // QuickGELU.
        x + self.dense2.forward(ops::silu(y * 1.702) / 1.702)
    }
}
