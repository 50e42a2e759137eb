//! The encoder: a small convolutional network from frames to vectors, in a file with everything that it needs.

use std::path::Path;

use base::media::Clip;
use base::rng::Rng;
use base::tensor_file::{Precision, TensorFile, Weights};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData, activation};
use engine::nn::{Conv2d, Conv2dConfig, Init, Linear, LinearConfig};
use engine::weights::{self, KeyMap};

use super::video::spread;
use super::{Embeddings, RaplError, Result};

/// Channels of the three convolutions.
const CHANNELS: [usize; 3] = [16, 32, 32];

/// How frames are prepared, and the size of the network.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderConfig {
    /// Side of the square that frames are scaled to; divisible by 8.
    pub side: usize,
    /// Frames of a video, spread evenly.
    pub frames: usize,
    /// Length of a vector.
    pub width: usize,
    /// Taken off each channel in 0..1.
    pub mean: [f32; 3],
    /// What each channel is divided by after that.
    pub std: [f32; 3],
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self {
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

    /// Whether a network can be made of it.
    ///
    /// # Errors
    /// A side that 8 does not divide, no frame, sizes above 512.
    pub fn check(&self) -> Result<()> {
        let fits = |value: usize, most: usize| (1..=most).contains(&value);
        let finite = self.mean.iter().chain(&self.std).all(|x| x.is_finite());
        match self.side.is_multiple_of(8)
            && fits(self.side, 512)
            && fits(self.frames, 512)
            && fits(self.width, 512)
            && finite
            && self.std.iter().all(|x| *x > 0.0)
        {
            true => Ok(()),
            false => Err(RaplError::invalid(format!(
                "an encoder of side {}, {} frames and width {} cannot be made: the side must be divisible by 8, all at most 512",
                self.side, self.frames, self.width
            ))),
        }
    }

    /// The pixels of a video's frames, `[frames, 3, side, side]`, scaled and normalised. Frames are spread evenly.
    pub fn prepare(&self, clip: &Clip) -> Vec<f32> {
        let numbers = spread(clip.frames.len(), self.frames);
        self.pixels(clip, &numbers)
    }

    /// The pixels of the given frames.
    fn pixels(&self, clip: &Clip, numbers: &[usize]) -> Vec<f32> {
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

    /// How many values a frame has.
    pub(super) fn frame_len(&self) -> usize {
        3 * self.side * self.side
    }
}

/// Three convolutions of stride 2, each with ReLU, then a linear layer over all places.
#[derive(Module, Debug)]
pub struct Encoder {
    conv: Vec<Conv2d>,
    head: Linear,
}

impl Encoder {
    /// A network with random weights.
    pub fn new(config: &EncoderConfig, rng: &mut Rng, device: &Device) -> Self {
        let mut input = 3;
        let conv = CHANNELS.map(|output| {
            let layer = Conv2dConfig::new(input, output, 3).with_stride(2);
            input = output;
            layer.init(rng, device)
        });
        let places = (config.side / 8) * (config.side / 8);
        let head = LinearConfig::new(CHANNELS[2] * places, config.width)
            .with_init(Init::Xavier)
            .init(rng, device);
        Self {
            conv: conv.into(),
            head,
        }
    }

    /// `[frames, 3, side, side]` → `[frames, width]`.
    pub fn forward(&self, mut x: Tensor<4>) -> Tensor<2> {
        for conv in &self.conv {
            x = activation::relu(conv.forward(x));
        }
        self.head.forward(x.flatten(1, 3))
    }
}

/// An encoder with its configuration.
#[derive(Clone, Debug)]
pub struct Vision {
    /// How frames are prepared.
    pub config: EncoderConfig,
    /// The network, without gradients.
    pub encoder: Encoder,
    /// Where it lives.
    pub device: Device,
}

impl Vision {
    /// With random weights.
    ///
    /// # Errors
    /// As [`EncoderConfig::check`].
    pub fn new(config: EncoderConfig, rng: &mut Rng, device: &Device) -> Result<Self> {
        config.check()?;
        Ok(Self {
            encoder: Encoder::new(&config, rng, device),
            config,
            device: device.clone(),
        })
    }

    /// The vectors of prepared frames.
    ///
    /// # Errors
    /// As [`Embeddings::new`].
    pub fn embed(&self, pixels: &[f32]) -> Result<Embeddings> {
        let output = self
            .encoder
            .forward(tensor(pixels, &self.config, &self.device));
        let values = output.into_data().iter::<f64>().collect();
        Embeddings::new(values, self.config.width)
    }

    /// The vectors of a video's frames, spread evenly.
    ///
    /// # Errors
    /// As [`Vision::embed`].
    pub fn look(&self, clip: &Clip) -> Result<Embeddings> {
        self.embed(&self.config.prepare(clip))
    }

    /// The vectors of every frame of a video.
    ///
    /// # Errors
    /// As [`Vision::embed`].
    pub fn look_at_all(&self, clip: &Clip) -> Result<Embeddings> {
        let numbers: Vec<usize> = (0..clip.frames.len()).collect();
        self.embed(&self.config.pixels(clip, &numbers))
    }

    /// Writes weights and configuration.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut file = TensorFile::new();
        self.collect(&mut file)?;
        Ok(file.write(path)?)
    }

    pub(super) fn collect(&self, file: &mut TensorFile) -> Result<()> {
        let config = serde_json::to_string(&self.config).map_err(RaplError::failed)?;
        file.note("rapl", config);
        Ok(weights::collect(
            &self.encoder,
            &keys(),
            Precision::F32,
            file,
        )?)
    }

    /// Reads what [`Vision::write`] wrote.
    ///
    /// # Errors
    /// A file that is none, or whose tensors do not fit its configuration.
    pub fn read(path: &Path, device: &Device) -> Result<Self> {
        let file = Weights::open(path)?;
        let config = file
            .metadata()
            .get("rapl")
            .and_then(|text| serde_json::from_str(text).ok());
        let config: EncoderConfig = config.ok_or_else(|| {
            RaplError::invalid(format!(
                "`{}` holds no encoder: give a file that `orrery rapl align` wrote",
                path.display()
            ))
        })?;
        let mut vision = Self::new(config, &mut Rng::new(0), device)?;
        vision.encoder = weights::load(vision.encoder, &file, &keys())?;
        Ok(vision)
    }
}

/// Names in the file: `encoder.conv.0.weight`, `encoder.head.weight`…
fn keys() -> KeyMap {
    KeyMap::new().within("encoder").ignore("reward.")
}

/// Prepared frames as a tensor `[frames, 3, side, side]`.
pub(super) fn tensor(pixels: &[f32], config: &EncoderConfig, device: &Device) -> Tensor<4> {
    let shape = [
        pixels.len() / config.frame_len(),
        3,
        config.side,
        config.side,
    ];
    Tensor::from_data(TensorData::new(pixels.to_vec(), shape), device)
}
