//! The encoder: a network from frames to vectors, in a file with everything that it needs.

use std::path::Path;

use base::media::Clip;
use base::rng::Rng;
use base::tensor_file::{Precision, TensorFile, Weights};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use engine::nn::{Init, Linear, LinearConfig};
use engine::weights::{self, KeyMap};

use super::{Embeddings, LearningError, Result};

mod config;
mod pretrained;
mod resnet;
mod tiny;
mod vit;

pub use config::{EncoderConfig, Network};
pub use pretrained::Origin;
use resnet::{Depth, Resnet};
use tiny::Tiny;
use vit::Vit;
pub use vit::VitConfig;

/// One of the networks, and a linear head behind it.
#[derive(Module, Debug)]
pub struct Encoder {
    tiny: Option<Tiny>,
    resnet: Option<Resnet>,
    vit: Option<Vit>,
    head: Option<Linear>,
}

impl Encoder {
    /// A network with random weights.
    pub fn new(config: &EncoderConfig, rng: &mut Rng, device: &Device) -> Self {
        let (mut tiny, mut resnet, mut vit) = (None, None, None);
        match config.network {
            Network::Tiny => tiny = Some(Tiny::new(rng, device)),
            Network::Resnet18 => resnet = Some(Resnet::new(Depth::Eighteen, rng, device)),
            Network::Resnet50 => resnet = Some(Resnet::new(Depth::Fifty, rng, device)),
            Network::Vit(sizes) => vit = Some(Vit::new(sizes, config.side, rng, device)),
            Network::Values(_) => {}
        }
        let head = (config.width > 0).then(|| {
            LinearConfig::new(config.features(), config.width)
                .with_init(Init::Xavier)
                .init(rng, device)
        });
        Self {
            tiny,
            resnet,
            vit,
            head,
        }
    }

    /// `[frames, 3, side, side]` → `[frames, features]`, before the head.
    pub fn features(&self, x: Tensor<4>) -> Tensor<2> {
        match (&self.tiny, &self.resnet, &self.vit) {
            (Some(tiny), ..) => tiny.forward(x),
            (_, Some(resnet), _) => resnet.forward(x),
            (.., Some(vit)) => vit.forward(x),
            _ => x.flatten(1, 3),
        }
    }

    /// `[frames, 3, side, side]` → `[frames, width]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.features(x);
        match &self.head {
            Some(head) => head.forward(x),
            None => x,
        }
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

/// Frames that go through a network at once: what a large network leaves behind does not grow with the video.
const AT_ONCE: usize = 32;

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

    fn run(&self, pixels: &[f32], of: impl Fn(Tensor<4>) -> Tensor<2>) -> Vec<f32> {
        let frame: usize = self.config.frame().iter().product();
        let parts = pixels.chunks(AT_ONCE * frame);
        parts
            .flat_map(|part| {
                let output = of(tensor(part, &self.config, &self.device));
                output.into_data().iter::<f32>().collect::<Vec<_>>()
            })
            .collect()
    }

    /// The vectors of prepared frames.
    ///
    /// # Errors
    /// As [`Embeddings::new`].
    pub fn embed(&self, pixels: &[f32]) -> Result<Embeddings> {
        let values = self.run(pixels, |x| self.encoder.forward(x));
        Embeddings::new(
            values.into_iter().map(f64::from).collect(),
            self.config.out(),
        )
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

    /// What the network, before the head, makes of prepared videos, and an encoder of the head alone that reads it: to train
    /// the head the network runs once.
    pub(super) fn behind(&self, videos: &[Vec<f32>]) -> (Self, Vec<Vec<f32>>) {
        let seen = |video: &Vec<f32>| self.run(video, |x| self.encoder.features(x));
        let config = EncoderConfig {
            network: Network::Values(self.config.features()),
            ..self.config.clone()
        };
        let encoder = Encoder {
            tiny: None,
            resnet: None,
            vit: None,
            head: self.encoder.head.clone(),
        };
        let top = Self {
            config,
            encoder,
            device: self.device.clone(),
        };
        (top, videos.iter().map(seen).collect())
    }

    /// Takes over the head of another encoder.
    pub(super) fn take_head(&mut self, top: Self) {
        self.encoder.head = top.encoder.head;
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
        let config = serde_json::to_string(&self.config).map_err(LearningError::failed)?;
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
            LearningError::invalid(format!(
                "`{}` holds no encoder: give a file that `orrery rapl align` wrote, or an official one with `--pretrained`",
                path.display()
            ))
        })?;
        let mut vision = Self::new(config, &mut Rng::new(0), device)?;
        vision.encoder = weights::load(vision.encoder, &file, &keys())?;
        Ok(vision)
    }
}

/// Names in the file: `encoder.conv.0.weight`, `encoder.resnet.layer1.0.conv1.weight`, `encoder.head.weight`…
fn keys() -> KeyMap {
    KeyMap::new()
        .rename("conv", "tiny.conv")
        .within("encoder")
        .ignore("reward.")
}

/// Prepared frames as a tensor `[frames, 3, side, side]`.
pub(super) fn tensor(pixels: &[f32], config: &EncoderConfig, device: &Device) -> Tensor<4> {
    let [channels, rows, columns] = config.frame();
    let frames = pixels.len() / (channels * rows * columns);
    let shape = [frames, channels, rows, columns];
    Tensor::from_data(TensorData::new(pixels.to_vec(), shape), device)
}
