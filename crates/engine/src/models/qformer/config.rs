//! Sizes of a Q-Former and its image tower, as diffusers' `config.json` has them.

use serde::{Deserialize, Serialize};

use crate::models::clip_text::ClipActivation;
use crate::models::clip_vision::check_patches;

/// The most of one size that a file may ask for.
const MOST: usize = 1 << 17;
/// The most layers that a file may ask for.
const MOST_LAYERS: usize = 256;

/// Sizes of the image tower; the default is that of BLIP-Diffusion: CLIP ViT-L/14 without its last layer.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct QFormerVisionConfig {
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
    pub hidden_act: ClipActivation,
    /// Epsilon of every norm.
    pub layer_norm_eps: f64,
}

impl Default for QFormerVisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 1024,
            intermediate_size: 4096,
            num_hidden_layers: 23,
            num_attention_heads: 16,
            image_size: 224,
            patch_size: 14,
            hidden_act: ClipActivation::QuickGelu,
            layer_norm_eps: 1e-6,
        }
    }
}

impl QFormerVisionConfig {
    /// Patches along one side.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size.max(1)
    }
}

/// Sizes of the transformer of queries and text; the default is that of BLIP-Diffusion.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct QFormerTextConfig {
    /// Tokens of the vocabulary, added ones included.
    pub vocab_size: usize,
    /// Width of the states.
    pub hidden_size: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of heads.
    pub num_attention_heads: usize,
    /// Layers whose number is a multiple of this look at the picture.
    pub cross_attention_frequency: usize,
    /// Width of the picture's tokens.
    pub encoder_hidden_size: usize,
    /// The most tokens of a text.
    pub max_position_embeddings: usize,
    /// The activation of the feed-forward layers.
    pub hidden_act: ClipActivation,
    /// Epsilon of every norm.
    pub layer_norm_eps: f64,
}

impl Default for QFormerTextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 30_523,
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            cross_attention_frequency: 1,
            encoder_hidden_size: 1024,
            max_position_embeddings: 512,
            hidden_act: ClipActivation::Gelu,
            layer_norm_eps: 1e-12,
        }
    }
}

/// Sizes of both.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct QFormerConfig {
    /// The image tower.
    pub vision_config: QFormerVisionConfig,
    /// Queries and text.
    pub qformer_config: QFormerTextConfig,
    /// Learned query tokens; 16 where the file does not say.
    #[serde(default = "queries")]
    pub num_query_tokens: usize,
}

fn queries() -> usize {
    16
}

impl QFormerConfig {
    /// The published sizes: 494 million parameters.
    pub fn blip_diffusion() -> Self {
        Self {
            num_query_tokens: queries(),
            ..Self::default()
        }
    }

    /// # Errors
    /// When a size is zero or huge, or sizes do not go together.
    pub fn check(&self) -> Result<(), String> {
        let (vision, text) = (&self.vision_config, &self.qformer_config);
        let sizes = [
            vision.hidden_size,
            vision.intermediate_size,
            text.vocab_size,
            text.hidden_size,
            text.intermediate_size,
            text.max_position_embeddings,
            self.num_query_tokens,
        ];
        let layers = [
            vision.num_hidden_layers,
            text.num_hidden_layers,
            text.cross_attention_frequency,
        ];
        let known = sizes.iter().all(|size| (1..=MOST).contains(size))
            && layers.iter().all(|n| (1..=MOST_LAYERS).contains(n));
        let divides = |heads: usize, width: usize| heads > 0 && width.is_multiple_of(heads);
        if !known
            || !divides(vision.num_attention_heads, vision.hidden_size)
            || !divides(text.num_attention_heads, text.hidden_size)
        {
            return Err(format!(
                "sizes of a Q-Former must be 1 to {MOST}, layers at most {MOST_LAYERS}, and heads must divide the width: {self:?}"
            ));
        }
        if text.encoder_hidden_size != vision.hidden_size {
            return Err(format!(
                "the Q-Former reads pictures of width {} and its image tower makes {}",
                text.encoder_hidden_size, vision.hidden_size
            ));
        }
        check_patches(vision.image_size, vision.patch_size)
    }
}
