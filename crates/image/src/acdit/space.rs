//! What the values of a token are: pixels, or latents of an autoencoder.

use base::media::Image;
use serde::{Deserialize, Serialize};

use super::config::AcditConfig;
use super::layout;

/// Pixels along a side of a picture for each latent (Stable Diffusion's autoencoder).
const PER_LATENT: usize = 8;

/// Pixels or latents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Values {
    /// Pixels in [−1, 1]; one channel is grey, three are RGB.
    Pixels,
    /// Scaled latents of a KL autoencoder.
    Latents,
}

/// How a frame is cut into tokens: patches of `patch × patch` values of `channels` channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Space {
    /// What the values are.
    pub values: Values,
    /// Channels of a frame.
    pub channels: usize,
    /// Values along a side of a patch.
    pub patch: usize,
}

impl Space {
    /// What does not fit `config`, if anything.
    pub fn problem(&self, config: &AcditConfig) -> Option<String> {
        let Self {
            values,
            channels,
            patch,
        } = *self;
        let made = channels
            .checked_mul(patch)
            .and_then(|made| made.checked_mul(patch));
        if made != Some(config.latent_size) {
            return Some(format!(
                "patches of {patch}×{patch} with {channels} channels are not tokens of {} values",
                config.latent_size
            ));
        }
        (values == Values::Pixels && ![1, 3].contains(&channels))
            .then(|| format!("pixels have 1 or 3 channels, not {channels}"))
    }

    /// Values along a side of a frame.
    pub fn side(&self, config: &AcditConfig) -> usize {
        config.side() * self.patch
    }

    /// Pixels along a side of a picture.
    pub fn picture_side(&self, config: &AcditConfig) -> usize {
        match self.values {
            Values::Pixels => self.side(config),
            Values::Latents => self.side(config) * PER_LATENT,
        }
    }

    /// Values of a frame.
    pub fn frame(&self, config: &AcditConfig) -> usize {
        config.spatial_len * config.latent_size
    }

    /// For every value of the first `tokens` tokens in block order its place in `[frames, channels, side, side]`.
    pub fn places(&self, config: &AcditConfig, tokens: usize) -> Vec<usize> {
        let (side, tokens_across) = (self.side(config), config.side());
        let mut places = Vec::with_capacity(tokens * config.latent_size);
        for token in layout::order(config, tokens) {
            let (frame, within) = (token / config.spatial_len, token % config.spatial_len);
            let top = within / tokens_across * self.patch;
            let left = within % tokens_across * self.patch;
            for (y, x) in (0..self.patch).flat_map(|y| (0..self.patch).map(move |x| (y, x))) {
                places.extend((0..self.channels).map(|channel| {
                    ((frame * self.channels + channel) * side + top + y) * side + left + x
                }));
            }
        }
        places
    }

    /// The planes `[channels, side, side]` of a picture, cut to its middle square and brought to `side`.
    pub fn planes(&self, picture: &Image, side: usize) -> Vec<u8> {
        let square = picture.crop_square().resize_square(side as u32);
        let channel = |at: usize| square.pixels.iter().skip(at).step_by(3).copied();
        match self.channels {
            1 => square
                .pixels
                .chunks_exact(3)
                .map(|rgb| grey([rgb[0], rgb[1], rgb[2]]))
                .collect(),
            _ => (0..3).flat_map(channel).collect(),
        }
    }
}

/// Luma (BT.601) of a pixel.
fn grey([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114 + 500) / 1000) as u8
}

/// A byte as a pixel in [−1, 1].
pub fn unit(byte: u8) -> f32 {
    f32::from(byte) / 127.5 - 1.0
}
