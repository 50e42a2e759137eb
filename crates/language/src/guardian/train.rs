//! Training of a small guard: features are read once, then the head is trained on them.

use base::rng::Rng;
use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Device, Tensor, TensorData};
use engine::train::optim::{AdamWConfig, OptimizerConfig};
use engine::train::{Run, Schedule, Task, TaskError, TrainConfig, train};

use super::head::{Head, HeadInfo, HeadNet, standardised};
use engine::SystemError;

/// Samples a step.
const BATCH: usize = 64;
/// Standard deviation of the noise on standardised features, against learning them by heart.
const NOISE: f32 = 0.3;

/// Features of a prompt and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// See [`super::features`].
    pub features: Vec<f32>,
    /// The risk's name: classes are balanced within each.
    pub risk: String,
    /// Whether the risk is there.
    pub risky: bool,
}

/// Rates and length; `steps` of 64 samples.
pub fn head_config(steps: u64, seed: u64) -> TrainConfig {
    TrainConfig {
        steps,
        learning_rate: 1e-3,
        warmup: steps / 20,
        schedule: Schedule::Cosine { floor: 0.02 },
        optimizer: OptimizerConfig::AdamW(AdamWConfig {
            weight_decay: 0.1,
            ..AdamWConfig::default()
        }),
        ema: Some(0.99),
        seed,
        checkpoint_every: 0,
        ..TrainConfig::default()
    }
}

struct HeadTask<'a> {
    samples: &'a [Sample],
    rows: Vec<Vec<f32>>,
    /// Numbers of samples by risk, harmless and risky.
    groups: Vec<[Vec<usize>; 2]>,
    inputs: usize,
    device: Device,
}

impl Task for HeadTask<'_> {
    type Model = HeadNet;
    type Batch = (Vec<f32>, Vec<f32>);

    fn samples(&self) -> usize {
        BATCH
    }

    fn batch(&self, _step: u64, rng: &mut Rng) -> Result<Self::Batch, TaskError> {
        let (mut values, mut labels) = (Vec::with_capacity(BATCH * self.inputs), Vec::new());
        for _ in 0..BATCH {
            // A risk as often as it has samples, then either class as often.
            let any = rng.below(self.samples.len());
            let group = self
                .groups
                .iter()
                .find(|group| group.iter().any(|class| class.contains(&any)));
            let class = usize::from(rng.chance(0.5));
            let class = group
                .map(|group| &group[class])
                .filter(|class| !class.is_empty());
            let at = class.map_or(any, |class| class[rng.below(class.len())]);
            values.extend(self.rows[at].iter().map(|x| x + NOISE * rng.normal()));
            labels.push(if self.samples[at].risky { 1.0 } else { 0.0 });
        }
        Ok((values, labels))
    }

    fn loss(
        &self,
        net: &HeadNet,
        (values, labels): Self::Batch,
    ) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let count = labels.len();
        let x = Tensor::<2>::from_data(TensorData::new(values, [count, self.inputs]), &self.device);
        let y = Tensor::<2>::from_data(TensorData::new(labels, [count, 1]), &self.device);
        let odds = net.forward(x);
        let right =
            y.clone() * log_sigmoid(odds.clone()) + (y.neg() + 1.0) * log_sigmoid(odds.neg());
        (right.mean().neg(), Vec::new())
    }
}

/// Trains a head on samples.
///
/// # Errors
/// [`SystemError::Train`].
pub fn train_head(
    samples: &[Sample],
    info: HeadInfo,
    config: &TrainConfig,
    run: Run,
) -> Result<Head, SystemError> {
    let inputs = samples.first().map_or(0, |sample| sample.features.len());
    let mut mean = vec![0.0f32; inputs];
    let mut scale = vec![0.0f32; inputs];
    let count = samples.len().max(1) as f32;
    for sample in samples {
        for (mean, x) in mean.iter_mut().zip(&sample.features) {
            *mean += x / count;
        }
    }
    for sample in samples {
        for ((scale, mean), x) in scale.iter_mut().zip(&mean).zip(&sample.features) {
            *scale += (x - mean).powi(2) / count;
        }
    }
    for scale in &mut scale {
        *scale = scale.sqrt().max(1e-3);
    }
    let mut names: Vec<&str> = samples.iter().map(|sample| sample.risk.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let of = |name: &str, risky: bool| {
        let fitting = samples
            .iter()
            .enumerate()
            .filter(|(_, it)| it.risk == name && it.risky == risky);
        fitting.map(|(index, _)| index).collect()
    };
    let device = Device::flex().autodiff();
    let task = HeadTask {
        samples,
        rows: samples
            .iter()
            .map(|it| standardised(&it.features, [&mean, &scale]))
            .collect(),
        groups: names
            .iter()
            .map(|name| [of(name, false), of(name, true)])
            .collect(),
        inputs,
        device: device.clone(),
    };
    let net = HeadNet::new(inputs, &mut Rng::new(config.seed).child("head"), &device);
    let trained = train(&task, net, config, run)?;
    Ok(Head::new(info, trained.ema, [mean, scale]))
}
