//! A small classifier whose features measure pictures.

use std::path::Path;

use base::command::{Context, Failure};
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::nn::{Linear, LinearConfig};
use engine::ops::{self, CrossEntropyOptions};
use engine::train::{Task, TaskError};

use super::{rates, trained};
use crate::acdit::data::Pictures;
use crate::acdit::generate::values;
use crate::acdit::train::Samples;

/// Values of a picture.
const INPUT: usize = 1024;
/// Width of the features.
const FEATURES: usize = 48;
/// Samples of a step.
const BATCH: usize = 128;

/// Three layers; the middle ones' output are the features.
#[derive(Module, Debug)]
pub struct Judge {
    first: Linear,
    second: Linear,
    head: Linear,
}

impl Judge {
    fn new(rng: &mut Rng, device: &Device) -> Self {
        let mut linear = |input, output| LinearConfig::new(input, output).init(rng, device);
        Self {
            first: linear(INPUT, 192),
            second: linear(192, FEATURES),
            head: linear(FEATURES, 10),
        }
    }

    /// `[batch, 1024]` → `[batch, features]`.
    fn features(&self, x: Tensor<2>) -> Tensor<2> {
        let x = ops::silu(self.first.forward(x));
        ops::silu(self.second.forward(x))
    }

    /// Features of samples, tokens in any one order.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn rows(&self, samples: &[f32], device: &Device) -> Result<Vec<Vec<f32>>, Failure> {
        let count = samples.len() / INPUT;
        let x = TensorData::new(samples.to_vec(), [count, INPUT]);
        let found = values(self.features(Tensor::from_data(x, device)))?;
        Ok(found.chunks_exact(FEATURES).map(<[f32]>::to_vec).collect())
    }

    /// Share of samples whose class it names.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn right(
        &self,
        samples: &[f32],
        labels: &[usize],
        device: &Device,
    ) -> Result<f64, Failure> {
        let x = TensorData::new(samples.to_vec(), [labels.len(), INPUT]);
        let logits = self
            .head
            .forward(self.features(Tensor::from_data(x, device)));
        let logits = values(logits)?;
        let right = logits.chunks_exact(10).zip(labels).filter(|(row, label)| {
            let best = (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b]));
            best == Some(**label)
        });
        Ok(right.count() as f64 / labels.len().max(1) as f64)
    }
}

struct Lessons<'a> {
    pictures: &'a Pictures,
    device: Device,
}

impl Task for Lessons<'_> {
    type Model = Judge;
    type Batch = (Vec<f32>, Vec<i64>);

    fn batch(&self, _: u64, rng: &mut Rng) -> Result<Self::Batch, TaskError> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..BATCH {
            let index = rng.below(self.pictures.len());
            self.pictures.values(index, false, &mut pixels);
            labels.push(self.pictures.label(index) as i64);
        }
        Ok((pixels, labels))
    }

    fn loss(
        &self,
        model: &Judge,
        (pixels, labels): Self::Batch,
    ) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let x = Tensor::from_data(TensorData::new(pixels, [BATCH, INPUT]), &self.device);
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [BATCH]), &self.device);
        let logits = model.head.forward(model.features(x));
        let loss = ops::cross_entropy(logits, labels, CrossEntropyOptions::default());
        (loss, Vec::new())
    }

    fn samples(&self) -> usize {
        BATCH
    }
}

/// Teaches a judge.
///
/// # Errors
/// When training fails or is stopped.
pub fn teach(
    pictures: &Pictures,
    folder: &Path,
    context: Context,
    device: &Device,
) -> Result<Judge, Failure> {
    let task = Lessons {
        pictures,
        device: device.clone(),
    };
    let model = Judge::new(&mut Rng::new(0).child("judge"), device);
    Ok(trained(&task, model, &rates(600, 0), folder, context)?.ema)
}
