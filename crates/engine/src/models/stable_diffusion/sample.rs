//! Latents along a sampler, and back to the noise that they came from.

use std::fmt;
use std::str::FromStr;

use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};

use super::{Conditions, DiffusionError, EditedPicture, StableDiffusion};
use crate::diffusion::scheduler::{
    Ddim, DpmSolver, EdmEuler, Euler, Heun, Lcm, Plms, Scheduler, SchedulerConfig, Spacing, split,
};
use crate::models::unet2d::UnetConditions;
use crate::nn::AttentionHooks;

/// A sampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplerKind {
    /// DDIM (Song et al. 2021), without added noise. Can be inverted.
    Ddim,
    /// DPM-Solver++ (Lu et al. 2022), two steps back.
    DpmSolver,
    /// Euler's method in σ.
    Euler,
    /// Euler's method with fresh noise in every step.
    EulerAncestral,
    /// Heun's method in σ, two calls of the network a step.
    Heun,
    /// Pseudo linear multistep (Liu et al. 2022).
    Plms,
    /// Multistep consistency sampling (Luo et al. 2023), for models distilled for it.
    Lcm,
    /// Euler's method of EDM (Karras et al. 2022), for models trained so.
    Edm,
}

/// Names at the command line.
const NAMES: [(SamplerKind, &str); 8] = [
    (SamplerKind::Ddim, "ddim"),
    (SamplerKind::DpmSolver, "dpm++"),
    (SamplerKind::Euler, "euler"),
    (SamplerKind::EulerAncestral, "euler-a"),
    (SamplerKind::Heun, "heun"),
    (SamplerKind::Plms, "plms"),
    (SamplerKind::Lcm, "lcm"),
    (SamplerKind::Edm, "edm"),
];

impl fmt::Display for SamplerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(kind, _)| kind == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

impl FromStr for SamplerKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(_, name)| *name == text);
        let names = NAMES.map(|(_, name)| name).join(", ");
        found
            .map(|(kind, _)| *kind)
            .ok_or_else(|| format!("there is no sampler `{text}`; known are {names}"))
    }
}

/// How often and how far to step.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Number of steps.
    pub steps: usize,
    /// The sampler.
    pub sampler: SamplerKind,
    /// Sigmas spaced by Karras et al. (2022); not for DDIM.
    pub karras: bool,
    /// How far to go from the negative prompt past the prompt; 1 does without a negative prompt.
    pub guidance: f64,
    /// The share of the steps, from the noisiest on, that is guided; the rest follows the prompt alone, in half the time
    /// (Kynkäänniemi et al. 2024).
    pub guided: f64,
    /// How much of the prompt's own contrast to take back after guidance, 0 to 1 (Lin et al. 2023, section 3.4).
    pub rescale: f64,
}

/// What stays of a picture while the rest is drawn anew.
#[derive(Clone, Debug)]
pub struct Inpaint {
    /// `[1, 1, height, width]` in latents; 1 where it is drawn anew.
    pub mask: Tensor<4>,
    /// The picture's latents, `[1, channels, height, width]`.
    pub picture: Tensor<4>,
    /// The latents of the picture without its masked part, the same shape: for models with inputs for it.
    pub masked: Tensor<4>,
}

/// Standard normal values `[seeds, shape..]`, each row of its own seed's stream called `name`.
pub(super) fn normals(seeds: &[u64], name: &str, shape: [usize; 3], device: &Device) -> Tensor<4> {
    let count = shape.iter().product();
    let values: Vec<f32> = seeds
        .iter()
        .flat_map(|&seed| Rng::new(seed).child(name).normals(count))
        .collect();
    let [channels, height, width] = shape;
    let data = TensorData::new(values, [seeds.len(), channels, height, width]);
    Tensor::from_data(data, device)
}

/// `row`, `[1, ..]`, once for each sample.
fn each<const D: usize>(row: &Tensor<D>, batch: usize) -> Tensor<D> {
    let mut shape = row.dims();
    shape[0] = batch;
    row.clone().expand(shape)
}

/// Conditions of all rows of a batch, `batch` times each.
fn batched(rows: &[&UnetConditions], batch: usize) -> UnetConditions {
    let all = rows.iter().flat_map(|row| std::iter::repeat_n(*row, batch));
    UnetConditions::joined(&all.collect::<Vec<_>>())
}

impl StableDiffusion {
    /// The scheduler of these settings.
    pub fn scheduler(&self, sampling: &Sampling) -> Box<dyn Scheduler<4>> {
        let usual = match sampling.sampler {
            SamplerKind::Ddim | SamplerKind::Plms => Spacing::Leading,
            _ => Spacing::Linspace,
        };
        let config = SchedulerConfig {
            use_karras_sigmas: self.schedule.config.use_karras_sigmas || sampling.karras,
            timestep_spacing: match self.schedule.spaced {
                true => self.schedule.config.timestep_spacing,
                false => usual,
            },
            ..self.schedule.config.clone()
        };
        let steps = sampling.steps;
        match sampling.sampler {
            SamplerKind::Ddim => Box::new(Ddim::new(config, steps)),
            SamplerKind::DpmSolver => Box::new(DpmSolver::<4>::new(config, steps)),
            SamplerKind::Euler => Box::new(Euler::new(config, false, steps)),
            SamplerKind::EulerAncestral => Box::new(Euler::new(config, true, steps)),
            SamplerKind::Heun => Box::new(Heun::<4>::new(config, steps)),
            SamplerKind::Plms => Box::new(Plms::<4>::new(config, steps)),
            SamplerKind::Lcm => Box::new(Lcm::new(config, steps)),
            SamplerKind::Edm => Box::new(EdmEuler::new(&config, steps)),
        }
    }

    /// What the U-Net says of `x` `[batch, in, height, width]` at time `t`, guided. Every sample is worked out for itself: a
    /// batch changes nothing.
    pub fn predict(
        &self,
        x: Tensor<4>,
        t: f64,
        conditions: &Conditions,
        sampling: &Sampling,
        hooks: &mut dyn AttentionHooks,
    ) -> Tensor<4> {
        let batch = x.dims()[0];
        let null = conditions.null.as_ref();
        let Some(null) = null.filter(|_| sampling.guidance != 1.0) else {
            let full = batched(&[&conditions.full], batch);
            return self.unet.forward(x, &[t], &full, hooks);
        };
        let both = batched(&[null, &conditions.full], batch);
        let out = self
            .unet
            .forward(Tensor::cat(vec![x.clone(), x], 0), &[t], &both, hooks);
        let [null, full] = [0, batch].map(|from| out.clone().narrow(0, from, batch));
        let guided = null.clone() + (full.clone() - null) * sampling.guidance;
        match sampling.rescale {
            0.0 => guided,
            share => {
                let ratio = spread(&full) / spread(&guided);
                guided * (ratio * share + (1.0 - share))
            }
        }
    }

    /// From noise `[batch, channels, height, width]`, standard normal, to latents. `seeds` draw what ancestral samplers add;
    /// `watch` hears of steps done and in all, and says whether to go on.
    ///
    /// # Errors
    /// [`DiffusionError::Stopped`]; [`DiffusionError::NotFinite`] when the U-Net gives values that are not numbers.
    pub fn sample(
        &self,
        noise: Tensor<4>,
        seeds: &[u64],
        conditions: &Conditions,
        sampling: &Sampling,
        hooks: &mut dyn AttentionHooks,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Tensor<4>, DiffusionError> {
        self.sample_beside(None, noise, seeds, conditions, sampling, hooks, watch)
    }

    /// As [`StableDiffusion::sample`], with a model that edits the picture ([`StableDiffusion::edits`]).
    ///
    /// # Errors
    /// As [`StableDiffusion::sample`].
    #[allow(clippy::too_many_arguments)]
    pub fn sample_edit(
        &self,
        edited: &EditedPicture,
        noise: Tensor<4>,
        seeds: &[u64],
        conditions: &Conditions,
        sampling: &Sampling,
        hooks: &mut dyn AttentionHooks,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Tensor<4>, DiffusionError> {
        self.sample_beside(
            Some(edited),
            noise,
            seeds,
            conditions,
            sampling,
            hooks,
            watch,
        )
    }

    #[allow(clippy::too_many_arguments)]
    fn sample_beside(
        &self,
        edited: Option<&EditedPicture>,
        noise: Tensor<4>,
        seeds: &[u64],
        conditions: &Conditions,
        sampling: &Sampling,
        hooks: &mut dyn AttentionHooks,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Tensor<4>, DiffusionError> {
        let scheduler = self.scheduler(sampling);
        let x = noise.clone() * scheduler.init_noise_sigma();
        let inputs = SamplerInputs {
            first: 0,
            noise,
            seeds,
            inpaint: None,
            edited,
        };
        self.run_sampler(scheduler, x, inputs, conditions, sampling, hooks, watch)
    }

    /// As [`StableDiffusion::sample`], from latents of pictures with the noise of a later step: the last `strength` of all
    /// steps are walked, 0 to 1. With `inpaint` only its masked part changes.
    ///
    /// # Errors
    /// As [`StableDiffusion::sample`].
    #[allow(clippy::too_many_arguments)]
    pub fn sample_from(
        &self,
        picture: Tensor<4>,
        strength: f64,
        noise: Tensor<4>,
        seeds: &[u64],
        conditions: &Conditions,
        sampling: &Sampling,
        inpaint: Option<&Inpaint>,
        hooks: &mut dyn AttentionHooks,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Tensor<4>, DiffusionError> {
        let scheduler = self.scheduler(sampling);
        let steps = scheduler.timesteps().len();
        let walked = ((steps as f64 * strength.clamp(0.0, 1.0)) as usize).min(steps);
        // Sampling begins where a step does.
        let first = (steps - walked)
            .next_multiple_of(scheduler.order())
            .min(steps);
        let picture = each(&picture, noise.dims()[0]);
        let x = match first {
            first if first >= steps => picture,
            0 if strength >= 1.0 && inpaint.is_some() => {
                noise.clone() * scheduler.init_noise_sigma()
            }
            first => scheduler.add_noise(picture, noise.clone(), first),
        };
        let inputs = SamplerInputs {
            first,
            noise,
            seeds,
            inpaint,
            edited: None,
        };
        self.run_sampler(scheduler, x, inputs, conditions, sampling, hooks, watch)
    }

    #[allow(clippy::too_many_arguments)]
    fn run_sampler(
        &self,
        mut scheduler: Box<dyn Scheduler<4>>,
        mut x: Tensor<4>,
        inputs: SamplerInputs<'_>,
        conditions: &Conditions,
        sampling: &Sampling,
        hooks: &mut dyn AttentionHooks,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Tensor<4>, DiffusionError> {
        let times = scheduler.timesteps().to_vec();
        let steps = times.len();
        let [batch, channels, height, width] = x.dims();
        let extended = self.unet_config.in_channels > channels;
        let unguided = Sampling {
            guidance: 1.0,
            ..sampling.clone()
        };
        for (i, &t) in times.iter().enumerate().skip(inputs.first) {
            if !watch(i - inputs.first, steps - inputs.first) {
                return Err(DiffusionError::Stopped);
            }
            let mut input = scheduler.scale_model_input(x.clone(), i);
            let seen = input.clone();
            if let (true, Some(inpaint)) = (extended, inputs.inpaint) {
                let beside = [&inpaint.mask, &inpaint.masked].map(|part| each(part, batch));
                input = Tensor::cat([vec![input], beside.to_vec()].concat(), 1);
            }
            let guided = (i as f64) < sampling.guided * steps as f64;
            let here = if guided { sampling } else { &unguided };
            let out = match inputs.edited {
                Some(picture) => {
                    let scales = guided.then_some([sampling.guidance, picture.guidance]);
                    self.predict_edited(input, &picture.latents, scales, t, conditions, hooks)
                }
                None => self.predict(input, t, conditions, here, hooks),
            };
            let said = out.clone();
            let shape = [channels, height, width];
            let name = format!("step {i}");
            let mut fresh = || normals(inputs.seeds, &name, shape, &self.device);
            x = scheduler.step(out, i, x, &mut fresh);
            if let (false, Some(inpaint)) = (extended, inputs.inpaint) {
                let picture = each(&inpaint.picture, batch);
                let kept = match i + 1 < steps {
                    true => scheduler.add_noise(picture, inputs.noise.clone(), i + 1),
                    false => picture,
                };
                let mask = inpaint.mask.clone();
                x = x * mask.clone() + kept * (mask.neg() + 1.0);
            }
            let mut estimate = || match sampling.sampler {
                SamplerKind::Edm => x.clone(),
                _ => self.denoised(said.clone(), seen.clone(), t),
            };
            hooks.after_step(i + 1 - inputs.first, steps - inputs.first, &mut estimate);
        }
        watch(steps - inputs.first, steps - inputs.first);
        finite(
            x,
            "the U-Net gave values that are not numbers: its weights are damaged, or do not fit the sampler",
        )
    }

    /// The latents without noise, as `output` predicts them for the noisy ones `x` at time `t`.
    fn denoised(&self, output: Tensor<4>, x: Tensor<4>, t: f64) -> Tensor<4> {
        let bars = self.schedule.config.alphas_cumprod();
        let bar = bars.get(t as usize).copied().unwrap_or(1.0);
        // With all signal gone nothing is known of it by noise alone.
        let alpha = bar.sqrt().max(1e-3);
        let kind = self.schedule.config.prediction_type;
        split(kind, output, x, [alpha, (1.0 - bar).sqrt()])[0].clone()
    }

    /// From latents back to the noise that `sampling` would have made them of, by DDIM run backwards. `guidance` 1 is exact
    /// for DDIM up to the size of its steps. Over the times of another sampler the steps go back by equal parts of the
    /// training times, as the authors of Tree-Ring and WIND do.
    ///
    /// The result is what [`StableDiffusion::sample`] starts from: standard normal where the latents came from such noise.
    ///
    /// # Errors
    /// As [`StableDiffusion::sample`].
    pub fn invert(
        &self,
        latents: Tensor<4>,
        conditions: &Conditions,
        sampling: &Sampling,
        hooks: &mut dyn AttentionHooks,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Tensor<4>, DiffusionError> {
        let times = self.scheduler(sampling).timesteps().to_vec();
        let config = match sampling.sampler {
            SamplerKind::Ddim => self.schedule.config.clone(),
            _ => SchedulerConfig {
                set_alpha_to_one: false,
                ..self.schedule.config.clone()
            },
        };
        let mut inverse = Ddim::over(config, times, sampling.steps).inverted();
        let times = Scheduler::<4>::timesteps(&inverse).to_vec();
        let mut x = latents;
        let mut unused = || Tensor::zeros([1, 1, 1, 1], &self.device);
        for (i, &t) in times.iter().enumerate() {
            if !watch(i, times.len()) {
                return Err(DiffusionError::Stopped);
            }
            let out = self.predict(x.clone(), t, conditions, sampling, hooks);
            x = inverse.step(out, i, x, &mut unused);
        }
        watch(times.len(), times.len());
        finite(
            x,
            "the U-Net gave values that are not numbers: its weights are damaged",
        )
    }
}

/// What sampling needs beside its scheduler.
struct SamplerInputs<'a> {
    first: usize,
    noise: Tensor<4>,
    seeds: &'a [u64],
    inpaint: Option<&'a Inpaint>,
    edited: Option<&'a EditedPicture>,
}

/// Standard deviation of each sample, `[batch, 1, 1, 1]`.
fn spread(x: &Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let flat = x.clone().reshape([batch, channels * height * width]);
    flat.var(1).sqrt().reshape([batch, 1, 1, 1])
}

/// `x`, where all of it is numbers.
pub(super) fn finite(x: Tensor<4>, otherwise: &str) -> Result<Tensor<4>, DiffusionError> {
    let sum = x.clone().abs().sum().into_data();
    let sum = sum.iter::<f32>().next().unwrap_or(f32::NAN);
    match sum.is_finite() {
        true => Ok(x),
        false => Err(DiffusionError::NotFinite(otherwise.to_owned())),
    }
}
