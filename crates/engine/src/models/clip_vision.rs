//! CLIP's image towers (Radford et al. 2021; OpenCLIP) under transformers' names: ViT-L/14, ViT-H/14 and their like.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::clip_layer::{Activation, Encoder, Sizes};
use crate::nn::{Cubify, Init, LayerNorm, Linear, LinearConfig};
use crate::ops::AttentionMask;
use crate::weights::KeyMap;
use base::rng::Rng;

/// Mean of each channel of the pictures that CLIP was trained on, of values from 0 to 1.
pub const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// Their deviation.
pub const DEVIATION: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// Sizes, as `config.json` of an image encoder (or its `vision_config`) has them; the default is CLIP-B/32.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct ClipVisionConfig {
    /// Width of the states.
    pub hidden_size: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of heads.
    pub num_attention_heads: usize,
    /// Height and width of a picture in pixels.
    pub image_size: usize,
    /// Height and width of a patch in pixels.
    pub patch_size: usize,
    /// The activation of the feed-forward layers.
    pub hidden_act: Activation,
    /// Epsilon of every norm.
    pub layer_norm_eps: f64,
    /// Width of the projected picture, of towers that have a projection.
    pub projection_dim: Option<usize>,
}

impl Default for ClipVisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            image_size: 224,
            patch_size: 32,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            projection_dim: None,
        }
    }
}

impl ClipVisionConfig {
    /// CLIP ViT-L/14 with its projection.
    pub fn clip_l() -> Self {
        Self {
            hidden_size: 1024,
            intermediate_size: 4096,
            num_hidden_layers: 24,
            num_attention_heads: 16,
            patch_size: 14,
            projection_dim: Some(768),
            ..Self::default()
        }
    }

    /// OpenCLIP ViT-H/14 with its projection (the image encoder of IP-Adapter).
    pub fn open_clip_h() -> Self {
        Self {
            hidden_size: 1280,
            intermediate_size: 5120,
            num_hidden_layers: 32,
            num_attention_heads: 16,
            patch_size: 14,
            hidden_act: Activation::Gelu,
            projection_dim: Some(1024),
            ..Self::default()
        }
    }

    /// Tokens of a picture, the class token included.
    pub fn tokens(&self) -> usize {
        let side = self.image_size / self.patch_size.max(1);
        side * side + 1
    }

    /// Draws a tower, as soon as its weights are read.
    ///
    /// # Errors
    /// When a size is zero or huge, heads do not divide the width, or patches the picture.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> Result<ClipVision, String> {
        let sizes = Sizes {
            width: self.hidden_size,
            hidden: self.intermediate_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            activation: self.hidden_act,
            eps: self.layer_norm_eps,
        };
        sizes.check()?;
        check_patches(self.image_size, self.patch_size)?;
        let width = self.hidden_size;
        let norm = || LayerNorm::new(width, self.layer_norm_eps, device);
        let linear = |input: usize, output: usize, rng: &mut Rng| {
            LinearConfig::new(input, output)
                .with_init(Init::Lazy)
                .without_bias()
                .init(rng, device)
        };
        Ok(ClipVision {
            vision_model: VisionModel {
                embeddings: Embeddings {
                    class_embedding: Param::from_data(
                        burn::tensor::TensorData::zeros::<f32, _>([width]),
                        device,
                    ),
                    patch_embedding: linear(3 * self.patch_size * self.patch_size, width, rng),
                    position_embedding: Table {
                        weight: Init::Lazy.weight(self.tokens(), width, rng, device),
                    },
                },
                pre_layrnorm: norm(),
                encoder: sizes.init(rng, device),
                post_layernorm: norm(),
            },
            visual_projection: self.projection_dim.map(|output| linear(width, output, rng)),
            patch: self.patch_size,
            side: self.image_size,
        })
    }
}

/// Whether patches of `patch` pixels tile a picture of `side`.
pub(super) fn check_patches(side: usize, patch: usize) -> Result<(), String> {
    match (1..=4096).contains(&side) && patch > 0 && side.is_multiple_of(patch) {
        true => Ok(()),
        false => Err(format!(
            "pictures of {side} pixels cannot be cut into patches of {patch}"
        )),
    }
}

#[derive(Module, Debug)]
struct Table {
    weight: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
struct Embeddings {
    class_embedding: Param<Tensor<1>>,
    patch_embedding: Linear,
    position_embedding: Table,
}

#[derive(Module, Debug)]
struct VisionModel {
    embeddings: Embeddings,
    /// The file spells it so.
    pre_layrnorm: LayerNorm,
    encoder: Encoder,
    post_layernorm: LayerNorm,
}

/// See [`ClipVisionConfig`].
#[derive(Module, Debug)]
pub struct ClipVision {
    vision_model: VisionModel,
    visual_projection: Option<Linear>,
    patch: usize,
    side: usize,
}

/// What an image tower says of pictures.
#[derive(Clone, Debug)]
pub struct ClipVisionOutput {
    /// The embedded patches and what each layer made of them, `[batch, 1 + patches, width]`, the class token first, without the
    /// last norm.
    pub hidden_states: Vec<Tensor<3>>,
    /// The class token behind the last norm, `[batch, width]`.
    pub pooled: Tensor<2>,
    /// `pooled` through the projection, `[batch, projection]`, where the tower has one.
    pub image_embeds: Option<Tensor<2>>,
}

/// Names in a transformers file ↔ field paths. Text towers in the same file are passed over.
pub fn key_map() -> KeyMap {
    [
        "position_ids",
        "logit_scale",
        "text_model",
        "text_projection",
    ]
    .into_iter()
    .fold(KeyMap::new(), KeyMap::ignore)
}

impl ClipVision {
    /// Height and width of a picture in pixels.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Reads pictures `[batch, 3, side, side]`, [`MEAN`] and [`DEVIATION`] taken out.
    ///
    /// # Errors
    /// When pictures have another size.
    pub fn forward(&self, pictures: Tensor<4>) -> Result<ClipVisionOutput, String> {
        let [batch, channels, height, width] = pictures.dims();
        if channels != 3 || [height, width] != [self.side; 2] {
            return Err(format!(
                "pictures of {width}x{height} with {channels} channels; the image tower reads {0}x{0} with 3",
                self.side
            ));
        }
        let model = &self.vision_model;
        let embeddings = &model.embeddings;
        let patches = model
            .embeddings
            .patch_embedding
            .forward(cut(pictures, self.patch));
        let width = patches.dims()[2];
        let class = embeddings.class_embedding.val().reshape([1, 1, width]);
        let x = Tensor::cat(vec![class.expand([batch, 1, width]), patches], 1);
        let x = x + embeddings.position_embedding.weight.val().unsqueeze();
        let x = model.pre_layrnorm.forward(x);
        let hidden_states = model.encoder.forward(x.clone(), &AttentionMask::default());
        let last = hidden_states.last().cloned().unwrap_or(x);
        let pooled = model.post_layernorm.forward(last.narrow(1, 0, 1));
        let pooled = pooled.squeeze_dim::<2>(1);
        Ok(ClipVisionOutput {
            image_embeds: self
                .visual_projection
                .as_ref()
                .map(|linear| linear.forward(pooled.clone())),
            hidden_states,
            pooled,
        })
    }
}

/// `[batch, 3, side, side]` as patches `[batch, patches, 3 · patch²]`, row by row.
pub(super) fn cut(pictures: Tensor<4>, patch: usize) -> Tensor<3> {
    let cubes = Cubify {
        time: 1,
        side: patch,
    };
    cubes.cut(pictures.unsqueeze_dim::<5>(2))
}
