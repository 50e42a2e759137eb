//! The published sizes as named constructors, and the small ones that Orrery trains.

use serde::{Deserialize, Serialize};

use engine::nn::Cubify;

/// Number of micro-conditions: original height and width, crop top and left, sampling stride, frames.
pub const MICRO_CONDITIONS: usize = 6;

/// Shape of a STIV transformer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StivConfig {
    /// Channels of a latent frame (3 for the identity codec on RGB).
    pub channels: usize,
    /// Width of a token; a multiple of `4 · heads`.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Number of main blocks.
    pub depth: usize,
    /// Width of the text tower's tokens and of its pooled vector.
    pub context: usize,
    /// Frames of a patch: 1 for pictures, 2 for clips.
    pub temporal_patch: usize,
    /// Height and width of a patch.
    pub spatial_patch: usize,
    /// Hidden width of the feed-forward layer over `width`.
    pub mlp_ratio: f32,
    /// Width of the sinusoid that embeds the timestep and each micro-condition.
    pub frequencies: usize,
    /// Blocks that run on the full sequence after the masked ones; 0 for models never trained with masking.
    pub extra_blocks: usize,
}

impl StivConfig {
    /// A published size on 4-channel latents with the 1280-wide text tower (paper, section 3).
    fn published(depth: usize, width: usize, heads: usize) -> Self {
        Self {
            channels: 4,
            width,
            heads,
            depth,
            context: 1280,
            temporal_patch: 2,
            spatial_patch: 2,
            mlp_ratio: 4.0,
            frequencies: 256,
            extra_blocks: 2,
        }
    }

    /// STIV-XL, 600 M parameters.
    pub fn xl() -> Self {
        Self::published(28, 1152, 18)
    }

    /// STIV-XXL, 1.5 B parameters.
    pub fn xxl() -> Self {
        Self::published(38, 1536, 24)
    }

    /// STIV-M, 8.7 B parameters.
    pub fn m() -> Self {
        Self::published(46, 3072, 48)
    }

    /// The embedded emoji picture model: 32×32 RGB in 4×4 patches.
    pub fn emoji_images() -> Self {
        Self {
            channels: 3,
            width: 192,
            heads: 6,
            depth: 6,
            context: 64,
            temporal_patch: 1,
            spatial_patch: 4,
            mlp_ratio: 4.0,
            frequencies: 64,
            extra_blocks: 0,
        }
    }

    /// The embedded emoji clip model: the picture model with two frames a patch.
    pub fn emoji_clips() -> Self {
        Self {
            temporal_patch: 2,
            ..Self::emoji_images()
        }
    }

    /// The same model as it sees clips of two frames a patch (or single frames, for 1).
    pub fn with_temporal_patch(mut self, temporal_patch: usize) -> Self {
        self.temporal_patch = temporal_patch;
        self
    }

    /// Values of a patch.
    pub fn patch_values(&self) -> usize {
        self.channels * self.temporal_patch * self.spatial_patch * self.spatial_patch
    }

    /// Hidden width of the feed-forward layer.
    pub fn mlp_width(&self) -> usize {
        (self.width as f32 * self.mlp_ratio) as usize
    }

    /// How pictures and clips are cut into tokens.
    pub fn cubify(&self) -> Cubify {
        Cubify {
            time: self.temporal_patch,
            side: self.spatial_patch,
        }
    }

    /// What is wrong with this config, if anything.
    pub fn problem(&self) -> Option<String> {
        let positive = [
            ("channels", self.channels),
            ("width", self.width),
            ("heads", self.heads),
            ("depth", self.depth),
            ("context", self.context),
            ("temporal_patch", self.temporal_patch),
            ("spatial_patch", self.spatial_patch),
            ("frequencies", self.frequencies),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Some(format!("`{name}` is 0"));
        }
        if !self.width.is_multiple_of(4 * self.heads) {
            return Some(format!(
                "`width` {} is not a multiple of 4 × `heads` {}: 2-D rotary positions need it",
                self.width, self.heads
            ));
        }
        if !self.frequencies.is_multiple_of(2) {
            return Some(format!("`frequencies` {} is odd", self.frequencies));
        }
        if !(self.mlp_ratio > 0.0 && self.mlp_ratio <= 64.0) {
            return Some(format!("`mlp_ratio` {} is not in (0, 64]", self.mlp_ratio));
        }
        None
    }
}
