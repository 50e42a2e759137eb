//! Diffusion policies, small ones of our own and those of Diffusion Policy, and their fine-tuning by direct preference
//! optimisation (specification 2.3).

use std::borrow::Cow;
use std::path::Path;

use base::rng::Rng;
use base::tensor_file::{Precision, TensorFile, Weights};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use engine::train::optim::{AdamW, AdamWConfig, step};
use engine::weights;

use super::losses::{NoiseErrors, diffusion_dpo};
use super::{LearningError, Result};

mod denoiser;
mod official;
mod unet;

use denoiser::{Denoiser, Row, keys};
pub use unet::UnetConfig;

/// Everything a policy depends on besides its weights.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// Length of an observation; 0 where there is none.
    pub observation: usize,
    /// Numbers of an action chunk, each in −1..1.
    pub action: usize,
    /// Units of a hidden layer.
    pub hidden: usize,
    /// Hidden layers.
    pub depth: usize,
    /// Steps of the diffusion.
    pub steps: usize,
    /// Sizes of a U-Net over time in place of hidden layers.
    #[serde(default)]
    pub unet: Option<UnetConfig>,
}

impl PolicyConfig {
    /// Sizes for a laptop.
    pub fn small(observation: usize, action: usize) -> Self {
        Self {
            observation,
            action,
            hidden: 128,
            depth: 2,
            steps: 50,
            unet: None,
        }
    }
}

/// `x · factor + offset`, the same for every few numbers.
#[derive(Clone, Debug, PartialEq)]
struct Scale {
    factor: Vec<f32>,
    offset: Vec<f32>,
}

impl Scale {
    fn pairs(&self) -> impl Iterator<Item = (f32, f32)> + '_ {
        let pairs = self.factor.iter().copied().zip(self.offset.iter().copied());
        pairs.cycle()
    }
}

/// Scaled for the network.
fn scaled<'a>(scale: Option<&Scale>, values: &'a [f32]) -> Cow<'a, [f32]> {
    match scale {
        None => values.into(),
        Some(scale) => {
            let all = values.iter().zip(scale.pairs());
            all.map(|(x, (factor, offset))| x * factor + offset)
                .collect()
        }
    }
}

/// A policy that draws action chunks by removing noise.
#[derive(Clone, Debug)]
pub struct DiffusionPolicy {
    config: PolicyConfig,
    network: Denoiser,
    /// How observations and actions are scaled for the network.
    scales: [Option<Scale>; 2],
    /// The share of signal after each step, falling: cos² with an offset.
    kept: Vec<f64>,
    device: Device,
}

/// An observation with an action chunk.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Example {
    /// What was seen.
    pub observation: Vec<f32>,
    /// What was done, in −1..1.
    pub action: Vec<f32>,
}

/// Two chunks, each where it was done.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Preference {
    /// What is liked more.
    pub preferred: Example,
    /// What is liked less.
    pub rejected: Example,
}

/// How a policy is trained.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct PolicyFit {
    /// Steps.
    pub steps: usize,
    /// Examples or pairs in a step.
    pub batch: usize,
    /// Learning rate of Adam.
    pub learning_rate: f64,
}

/// `cos²` of a share of the way.
fn signal(at: usize, steps: usize) -> f64 {
    let way = (at as f64 / steps as f64 + 0.008) / 1.008;
    let cosine = libm::cos(way * std::f64::consts::FRAC_PI_2);
    cosine * cosine
}

impl DiffusionPolicy {
    /// With random weights.
    ///
    /// # Errors
    /// Sizes of zero, or beyond any policy here.
    pub fn new(config: PolicyConfig, rng: &mut Rng, device: &Device) -> Result<Self> {
        let sizes = [config.action, config.hidden, config.depth, config.steps];
        let largest = sizes.into_iter().chain([config.observation]).max();
        let unet = config.unet.as_ref().is_none_or(|unet| {
            unet.fits()
                && unet.action * unet.horizon == config.action
                && unet.condition == config.observation
        });
        if sizes.contains(&0) || largest > Some(1 << 16) || config.depth > 16 || !unet {
            return Err(LearningError::invalid(
                "a policy of these sizes cannot be made: use 1 to 65536",
            ));
        }
        let device = device.clone().autodiff();
        let mut kept = Vec::with_capacity(config.steps);
        let mut left = 1.0;
        for at in 0..config.steps {
            let ratio = signal(at + 1, config.steps) / signal(at, config.steps);
            left *= ratio.max(0.001);
            kept.push(left);
        }
        let network = Denoiser::new(&config, rng, &device);
        Ok(Self {
            config,
            network,
            scales: [None, None],
            kept,
            device,
        })
    }

    /// Its configuration.
    pub fn config(&self) -> &PolicyConfig {
        &self.config
    }

    /// Whether an example has the policy's sizes.
    fn takes(&self, one: &Example) -> bool {
        let lengths = [one.observation.len(), one.action.len()];
        let finite = one
            .observation
            .iter()
            .chain(&one.action)
            .all(|x| x.is_finite());
        lengths == [self.config.observation, self.config.action] && finite
    }

    /// The predicted noise in `noisy` chunks, each at its step.
    fn noise(&self, network: &Denoiser, rows: &[Row<'_>], device: &Device) -> Tensor<2> {
        network.forward(&self.config, rows, device)
    }

    /// An observation as the network sees it.
    fn seen<'a>(&self, observation: &'a [f32]) -> Cow<'a, [f32]> {
        scaled(self.scales[0].as_ref(), observation)
    }

    /// A chunk with noise at a step.
    fn noised(&self, action: &[f32], noise: &[f32], at: usize) -> Vec<f32> {
        let action = scaled(self.scales[1].as_ref(), action);
        let (signal, rest) = (
            self.kept[at].sqrt() as f32,
            (1.0 - self.kept[at]).sqrt() as f32,
        );
        action
            .iter()
            .zip(noise)
            .map(|(a, n)| signal * a + rest * n)
            .collect()
    }

    /// The noise that the network sees in chunks, each with its observation and at its step, all as the network is given them;
    /// one chunk after another.
    pub fn predicted(&self, rows: &[(&[f32], &[f32], usize)]) -> Vec<f32> {
        let rows: Vec<Row<'_>> = rows
            .iter()
            .map(|(seen, chunk, at)| (Cow::Borrowed(*seen), chunk.to_vec(), *at))
            .collect();
        let device = self.device.clone().without_autodiff();
        let noise = self.noise(&self.network.valid(), &rows, &device);
        noise.into_data().iter::<f32>().collect()
    }

    /// Draws a chunk for every observation.
    pub fn sample(&self, observations: &[Vec<f32>], rng: &mut Rng) -> Vec<Vec<f32>> {
        let (network, device) = (self.network.valid(), self.device.clone().without_autodiff());
        let width = self.config.action;
        let mut chunks: Vec<Vec<f32>> = observations.iter().map(|_| rng.normals(width)).collect();
        if chunks.is_empty() {
            return chunks;
        }
        for at in (0..self.config.steps).rev() {
            let rows: Vec<Row<'_>> = observations
                .iter()
                .zip(&chunks)
                .map(|(seen, chunk)| (self.seen(seen), chunk.clone(), at))
                .collect();
            let noise = self.noise(&network, &rows, &device);
            let noise: Vec<f32> = noise.into_data().iter::<f32>().collect();
            let now = self.kept[at];
            let before = if at == 0 { 1.0 } else { self.kept[at - 1] };
            let alpha = now / before;
            let beta = 1.0 - alpha;
            let deviation = (beta * (1.0 - before) / (1.0 - now)).sqrt() as f32;
            let clean = (before.sqrt() * beta / (1.0 - now)) as f32;
            let stay = (alpha.sqrt() * (1.0 - before) / (1.0 - now)) as f32;
            let (signal, rest) = (now.sqrt() as f32, (1.0 - now).sqrt() as f32);
            for (chunk, noise) in chunks.iter_mut().zip(noise.chunks(width)) {
                let fresh = rng.normals(width);
                for ((x, n), fresh) in chunk.iter_mut().zip(noise).zip(fresh) {
                    let guess = ((*x - rest * n) / signal).clamp(-1.0, 1.0);
                    *x = clean * guess + stay * *x + deviation * fresh;
                }
            }
        }
        if let Some(scale) = &self.scales[1] {
            for (x, (factor, offset)) in chunks
                .iter_mut()
                .flat_map(|c| c.iter_mut().zip(scale.pairs()))
            {
                *x = (*x - offset) / factor;
            }
        }
        chunks
    }

    /// Trains on examples: the mean squared error of the noise.
    ///
    /// # Errors
    /// No example, ones of other lengths, what `watch` says.
    pub fn fit(
        &mut self,
        examples: &[Example],
        fit: &PolicyFit,
        rng: &mut Rng,
        mut watch: impl FnMut(usize) -> Result<()>,
    ) -> Result<()> {
        if examples.is_empty() || !examples.iter().all(|one| self.takes(one)) {
            return Err(LearningError::invalid(
                "examples do not fit the policy, or there is none",
            ));
        }
        let mut optimizer = adam();
        let width = self.config.action;
        for done in 0..fit.steps {
            watch(done)?;
            let mut truth = Vec::new();
            let rows: Vec<Row<'_>> = (0..fit.batch.max(1))
                .map(|_| {
                    let one = &examples[rng.below(examples.len())];
                    let at = rng.below(self.config.steps);
                    let noise = rng.normals(width);
                    let noisy = self.noised(&one.action, &noise, at);
                    truth.extend(noise);
                    (self.seen(&one.observation), noisy, at)
                })
                .collect();
            let found = self.noise(&self.network, &rows, &self.device);
            let truth =
                Tensor::from_data(TensorData::new(truth, [rows.len(), width]), &self.device);
            let gradients = (found - truth).powi_scalar(2).mean().backward();
            (self.network, _) = step(
                self.network.clone(),
                gradients,
                &mut optimizer,
                fit.learning_rate,
                None,
            );
        }
        Ok(())
    }

    /// Fine-tunes on preferences by DPO with this `beta`; the reference is the policy as it is now. Gives the last loss.
    ///
    /// # Errors
    /// As [`DiffusionPolicy::fit`].
    pub fn prefer(
        &mut self,
        pairs: &[Preference],
        beta: f64,
        fit: &PolicyFit,
        rng: &mut Rng,
        mut watch: impl FnMut(usize) -> Result<()>,
    ) -> Result<f64> {
        let fits = |one: &Preference| self.takes(&one.preferred) && self.takes(&one.rejected);
        if pairs.is_empty() || !pairs.iter().all(fits) {
            return Err(LearningError::invalid(
                "preferences do not fit the policy, or there is none",
            ));
        }
        let reference = self.network.valid();
        let inner = self.device.clone().without_autodiff();
        let mut optimizer = adam();
        let (width, count) = (self.config.action, fit.batch.max(1));
        let mut last = 0.0;
        for done in 0..fit.steps {
            watch(done)?;
            // The same noise and step for both chunks of a pair.
            let mut truth: Vec<f32> = Vec::new();
            let mut rows = Vec::new();
            for _ in 0..count {
                let pair = &pairs[rng.below(pairs.len())];
                let (at, noise) = (rng.below(self.config.steps), rng.normals(width));
                for one in [&pair.preferred, &pair.rejected] {
                    rows.push((
                        self.seen(&one.observation),
                        self.noised(&one.action, &noise, at),
                        at,
                    ));
                    truth.extend(&noise);
                }
            }
            let truth = TensorData::new(truth, [2 * count, width]);
            let wrong = |found: Tensor<2>, device: &Device| {
                let truth = Tensor::<2>::from_data(truth.clone(), device);
                (found - truth).powi_scalar(2).sum_dim(1)
            };
            let list = |x: Tensor<2>| -> Vec<f64> { x.into_data().iter::<f64>().collect() };
            let frozen = list(wrong(self.noise(&reference, &rows, &inner), &inner));
            let output = wrong(self.noise(&self.network, &rows, &self.device), &self.device);
            let ours = list(output.clone().inner());
            let errors: Vec<NoiseErrors> = (0..count)
                .map(|at| NoiseErrors {
                    policy_preferred: ours[2 * at],
                    reference_preferred: frozen[2 * at],
                    policy_rejected: ours[2 * at + 1],
                    reference_rejected: frozen[2 * at + 1],
                })
                .collect();
            let (loss, slopes) = diffusion_dpo(&errors, beta)?;
            last = loss;
            let slopes: Vec<f32> = slopes.iter().flatten().map(|slope| *slope as f32).collect();
            let slopes = Tensor::from_data(TensorData::new(slopes, [2 * count, 1]), &self.device);
            let gradients = (output * slopes).sum().backward();
            (self.network, _) = step(
                self.network.clone(),
                gradients,
                &mut optimizer,
                fit.learning_rate,
                None,
            );
        }
        Ok(last)
    }

    /// Writes weights and configuration.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut file = TensorFile::new();
        file.note(
            "policy",
            serde_json::to_string(&self.config).map_err(LearningError::failed)?,
        );
        for (name, scale) in SCALES.iter().zip(&self.scales) {
            if let Some(Scale { factor, offset }) = scale {
                for (part, values) in [("factor", factor), ("offset", offset)] {
                    let name = format!("scale.{name}.{part}");
                    file.floats(&name, &[values.len()], values, Precision::F32)?;
                }
            }
        }
        weights::collect(&self.network.valid(), &keys(), Precision::F32, &mut file)?;
        Ok(file.write(path)?)
    }

    /// Reads what [`DiffusionPolicy::write`] wrote, or a checkpoint of Diffusion Policy ([`DiffusionPolicy::official`]).
    ///
    /// # Errors
    /// A file that is none, or whose tensors do not fit.
    pub fn read(path: &Path, device: &Device) -> Result<Self> {
        let file = Weights::open(path)?;
        let Some(config) = file.metadata().get("policy") else {
            return Self::official(path, device);
        };
        let config = serde_json::from_str(config).ok();
        let config = config.ok_or_else(|| {
            LearningError::invalid(format!(
                "`{}` holds no diffusion policy: give a file that `orrery rapl make-dpo` or `orrery rapl dpo` wrote",
                path.display()
            ))
        })?;
        let mut policy = Self::new(config, &mut Rng::new(0), device)?;
        policy.network = weights::load(policy.network, &file, &keys())?;
        policy.scales = SCALES.map(|name| {
            let part = |part: &str| file.values(&format!("scale.{name}.{part}")).ok();
            let (factor, offset) = (part("factor")?, part("offset")?);
            Some(Scale { factor, offset })
        });
        Ok(policy)
    }
}

/// What is scaled, by its name in the file.
const SCALES: [&str; 2] = ["observation", "action"];

fn adam() -> AdamW {
    AdamW::new(AdamWConfig {
        weight_decay: 0.0,
        ..AdamWConfig::default()
    })
}
