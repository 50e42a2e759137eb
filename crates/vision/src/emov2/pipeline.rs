//! The calls that others make: a classifier from a file, and what it says of pictures.

use std::path::Path;

use base::media::Image;
use base::rng::Rng;
use base::tensor_file::{Weights, WeightsError};
use burn::tensor::{Device, Tensor, TensorData};
use engine::weights;
use serde::Serialize;

use super::checkpoint::{self, CLASSES_KEY, CROP_KEY, SIZE_KEY};
use super::config::EmoConfig;
use super::mobilenet::MobileNetV2;
use super::model::Emo;
use super::transform;

/// Side of the pictures where a file does not say it.
const SIZE: usize = 224;
/// Sides of pictures that are taken.
pub const SIZES: std::ops::RangeInclusive<usize> = 16..=2048;

/// A classifier with the names of its classes.
#[derive(Debug)]
pub struct Classifier {
    /// The network.
    pub network: Network,
    /// Number of classes; 0 for a backbone without head.
    pub class_count: usize,
    /// Names of the classes; empty where nobody said them.
    pub classes: Vec<String>,
    /// Side of the pictures.
    pub size: usize,
    /// The share of a picture that the crop keeps.
    pub crop: f64,
    device: Device,
}

/// What can classify.
#[derive(Debug)]
pub enum Network {
    /// EMOv1 or EMOv2, with its shape.
    Emo(Box<Emo>, Box<EmoConfig>),
    /// MobileNetV2.
    MobileNet(Box<MobileNetV2>),
}

impl Network {
    /// Logits `[batch, classes]` of pictures `[batch, 3, height, width]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        match self {
            Self::Emo(model, _) => model.forward(x, None),
            Self::MobileNet(model) => model.forward(x),
        }
    }
}

/// A class and how likely it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guess {
    /// Its number.
    pub class: usize,
    /// Its name.
    pub name: String,
    /// From 0 to 1.
    pub probability: f32,
}

impl Classifier {
    /// The classifier in a file: a `.safetensors` of ours or converted, or an official `.pth`. `averaged` says whether the
    /// averaged weights are taken where there are others too.
    ///
    /// # Errors
    /// When the file cannot be read or holds no network that is known here.
    pub fn open(path: &Path, averaged: bool, device: &Device) -> Result<Self, WeightsError> {
        Self::from_weights(&Weights::open(path)?, averaged, device)
    }

    /// As [`Classifier::open`], from a file that is open.
    ///
    /// # Errors
    /// As [`Classifier::open`].
    pub fn from_weights(
        weights: &Weights,
        averaged: bool,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let note = |key: &str| weights.metadata().get(key);
        let size = match note(SIZE_KEY) {
            Some(text) => text
                .parse()
                .ok()
                .filter(|size| SIZES.contains(size))
                .ok_or_else(|| weights.unfit(format!("its metadata `{SIZE_KEY}` is not a size")))?,
            None => SIZE,
        };
        let crop = note(CROP_KEY).and_then(|text| text.parse().ok());
        let classes: Vec<String> = match note(CLASSES_KEY) {
            Some(text) => serde_json::from_str(text).map_err(|error| {
                weights.unfit(format!("its metadata `{CLASSES_KEY}` is wrong: {error}"))
            })?,
            None => Vec::new(),
        };
        let (network, class_count) = network(weights, averaged, device)?;
        Ok(Self {
            network,
            class_count,
            classes,
            size,
            crop: crop
                .filter(|crop| (0.1..=1.0).contains(crop))
                .unwrap_or(transform::CROP),
            device: device.clone(),
        })
    }

    /// The same for pictures of another side.
    pub fn with_size(mut self, size: usize) -> Self {
        self.size = size;
        self
    }

    /// The same with attention windows of another side.
    pub fn with_window(mut self, side: i64) -> Self {
        if let Network::Emo(model, config) = self.network {
            let config = config.with_window(side);
            self.network = Network::Emo(Box::new(model.with_window(side)), Box::new(config));
        }
        self
    }

    /// Where it works.
    pub fn device(&self) -> Device {
        self.device.clone()
    }

    /// The name of a class.
    pub fn name(&self, class: usize) -> String {
        match self.classes.get(class) {
            Some(name) => name.clone(),
            None => format!("class {class}"),
        }
    }

    /// A picture as the network sees it, `[1, 3, size, size]`.
    pub fn seen(&self, picture: &Image) -> Tensor<4> {
        let crop = transform::crop_for(picture, self.size as u32, self.crop);
        let values = TensorData::new(transform::normalise(&crop), [1, 3, self.size, self.size]);
        Tensor::from_data(values, &self.device)
    }

    /// The `count` likeliest classes of a picture, likeliest first.
    pub fn classify(&self, picture: &Image, count: usize) -> Vec<Guess> {
        let logits = self.network.forward(self.seen(picture));
        let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f32> = logits
            .iter()
            .map(|value| libm::expf(value - most))
            .collect();
        let sum: f32 = weights.iter().sum();
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by(|a, b| weights[*b].total_cmp(&weights[*a]));
        order
            .into_iter()
            .take(count)
            .map(|class| Guess {
                class,
                name: self.name(class),
                probability: weights[class] / sum,
            })
            .collect()
    }
}

/// The network in a file, and how many classes it has.
fn network(
    weights: &Weights,
    averaged: bool,
    device: &Device,
) -> Result<(Network, usize), WeightsError> {
    if let Some(rows) = weights.shape(MOBILENET).and_then(|shape| shape.first()) {
        let model = MobileNetV2::new(*rows, &mut Rng::new(0), device);
        let model = weights::load(model, weights, &MobileNetV2::key_map())?;
        return Ok((Network::MobileNet(Box::new(model)), *rows));
    }
    let inner = checkpoint::unwrapped(weights, checkpoint::PROBE, averaged);
    let config = checkpoint::config_of(&inner, "")?;
    checkpoint::check_widths(&inner, &config)?;
    let model = config.init(&mut Rng::new(0), device);
    let model = weights::load(model, &inner, &checkpoint::key_map())?;
    let classes = config.num_classes;
    Ok((Network::Emo(Box::new(model), Box::new(config)), classes))
}

/// A tensor that MobileNetV2 has and no network of EMO.
const MOBILENET: &str = "classifier.1.weight";
