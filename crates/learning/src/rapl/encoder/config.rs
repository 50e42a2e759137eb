//! How frames are prepared, and which network reads them.

use base::media::Clip;

use super::super::video::spread;
use super::super::{LearningError, Result};
use super::resnet::Depth;
use super::tiny::Tiny;
use super::vit::VitConfig;

/// Which network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Three convolutions
    #[default]
    Tiny,
    /// ResNet-18, 512 values a frame
    Resnet18,
    /// ResNet-50, 2048 values a frame
    Resnet50,
    /// A vision transformer
    Vit(VitConfig),
    /// None: so many values a frame that were computed before
    Values(usize),
}

/// How frames are prepared, and the size of the network.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderConfig {
    /// The network.
    #[serde(default)]
    pub network: Network,
    /// Side of the square that frames are scaled to.
    pub side: usize,
    /// Frames of a video, spread evenly.
    pub frames: usize,
    /// Length of a vector: what the linear head behind the network makes; 0 for no head.
    pub width: usize,
    /// Taken off each channel in 0..1.
    pub mean: [f32; 3],
    /// What each channel is divided by after that.
    pub std: [f32; 3],
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self {
            network: Network::Tiny,
            side: 48,
            frames: 12,
            width: 16,
            mean: [0.5; 3],
            std: [0.5; 3],
        }
    }
}

impl EncoderConfig {
    /// That of the toy scenes: 8 frames of 32 × 32, mostly white.
    pub fn toy() -> Self {
        Self {
            side: 32,
            frames: 8,
            mean: [0.9; 3],
            std: [0.25; 3],
            ..Self::default()
        }
    }

    /// A network made for ImageNet's pictures, on frames of `side`; 32 values a frame, as XIRL has them.
    pub fn imagenet(network: Network, side: usize) -> Self {
        Self {
            network,
            side,
            width: 32,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            ..Self::default()
        }
    }

    /// Whether a network can be made of it.
    ///
    /// # Errors
    /// A side that the network cannot take, no frame, sizes above 512.
    pub fn check(&self) -> Result<()> {
        let fits = |value: usize, most: usize| (1..=most).contains(&value);
        let finite = self.mean.iter().chain(&self.std).all(|x| x.is_finite());
        let takes = match self.network {
            Network::Tiny => self.side.is_multiple_of(8),
            Network::Resnet18 | Network::Resnet50 => self.side >= 32,
            Network::Vit(vit) => vit.fits(self.side),
            Network::Values(values) => fits(values, 1 << 16),
        };
        match takes
            && fits(self.side, 512)
            && fits(self.frames, 512)
            && self.width <= 512
            && finite
            && self.std.iter().all(|x| *x > 0.0)
        {
            true => Ok(()),
            false => Err(LearningError::invalid(format!(
                "an encoder of side {}, {} frames and width {} cannot be made: the side must be divisible by 8 (tiny) or by the patch (vit), or at least 32 (resnet), all at most 512",
                self.side, self.frames, self.width
            ))),
        }
    }

    /// Values of a frame behind the network, before the head.
    pub fn features(&self) -> usize {
        match self.network {
            Network::Tiny => Tiny::width(self.side),
            Network::Resnet18 => Depth::Eighteen.width(),
            Network::Resnet50 => Depth::Fifty.width(),
            Network::Vit(vit) => vit.width,
            Network::Values(values) => values,
        }
    }

    /// Length of a frame's vector.
    pub fn out(&self) -> usize {
        match self.width {
            0 => self.features(),
            width => width,
        }
    }

    /// The pixels of a video's frames, `[frames, 3, side, side]`, scaled and normalised. Frames are spread evenly.
    pub fn prepare(&self, clip: &Clip) -> Vec<f32> {
        let numbers = spread(clip.frames.len(), self.frames);
        self.pixels(clip, &numbers)
    }

    /// The pixels of the given frames.
    pub(super) fn pixels(&self, clip: &Clip, numbers: &[usize]) -> Vec<f32> {
        let side = self.side as u32;
        let mut out = Vec::with_capacity(numbers.len() * 3 * self.side * self.side);
        for &number in numbers {
            let frame = &clip.frames[number];
            let scaled = match (frame.width, frame.height) == (side, side) {
                true => frame.clone(),
                false => frame.resize(side, side),
            };
            for k in 0..3 {
                let channel = scaled.pixels.iter().skip(k).step_by(3);
                out.extend(channel.map(|x| (f32::from(*x) / 255.0 - self.mean[k]) / self.std[k]));
            }
        }
        out
    }

    /// Channels, rows and columns of a prepared frame.
    pub(in crate::rapl) fn frame(&self) -> [usize; 3] {
        match self.network {
            Network::Values(values) => [values, 1, 1],
            _ => [3, self.side, self.side],
        }
    }
}
