//! A base model that stays as it is, and the noise that it is trained with.

use std::collections::HashMap;

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use engine::SystemError;
use engine::models::stable_diffusion::{NoiseSchedule, Request, StableDiffusion};
use engine::models::unet2d::{Projection, Unet2d, UnetConditions, index};
use engine::nn::AttentionHooks;

/// A U-Net through which gradients pass while it stays as it is, and its noise schedule.
#[derive(Debug)]
pub struct FrozenBase {
    unet: Unet2d,
    schedule: NoiseSchedule,
    /// Channels, height and width of latents.
    shape: [usize; 3],
    /// With gradients.
    pub device: Device,
    /// Its attention projections.
    pub projections: Vec<Projection>,
    modules: HashMap<String, usize>,
}

/// Timesteps and noise of a batch.
#[derive(Clone, Debug)]
pub struct Noise {
    times: Vec<usize>,
    values: Vec<f32>,
}

/// A batch of noisy latents as the U-Net reads it.
#[derive(Clone, Debug)]
pub struct Noisy {
    /// `[batch, channels, height, width]`.
    pub x: Tensor<4>,
    /// One a sample.
    pub times: Vec<f64>,
    /// What the prompts say.
    pub conditions: UnetConditions,
    /// What the U-Net should answer, `[batch, channels, height, width]`.
    pub wanted: Tensor<4>,
}

impl FrozenBase {
    /// `model` for pictures of `side` times `side` pixels.
    ///
    /// # Errors
    /// [`SystemError`] for a size that the model cannot draw, and models that are not trained this way.
    pub fn new(model: &StableDiffusion, side: usize) -> Result<Self, SystemError> {
        let schedule = model.noise_schedule()?;
        model.check(&Request {
            width: side,
            height: side,
            ..model.request()
        })?;
        let unet = model.unet().clone().train().no_grad();
        let projections = unet.projections();
        let cells = side / model.factor();
        Ok(Self {
            shape: [model.latent_channels(), cells, cells],
            device: model.device().clone().autodiff(),
            modules: index(&projections),
            projections,
            schedule,
            unet,
        })
    }

    /// The U-Net.
    pub fn unet(&self) -> &Unet2d {
        &self.unet
    }

    /// Which of [`FrozenBase::projections`] goes by an official name.
    pub fn place(&self, module: &str) -> Option<usize> {
        self.modules.get(module).copied()
    }

    /// Values of the latents of a picture.
    pub fn values(&self) -> usize {
        self.shape.iter().product()
    }

    /// Timesteps, all as likely, and noise for `count` pictures.
    pub fn noise(&self, count: usize, rng: &mut Rng) -> Noise {
        Noise {
            times: (0..count)
                .map(|_| rng.below(self.schedule.timesteps()))
                .collect(),
            values: rng.normals(count * self.values()),
        }
    }

    /// Noise for `count` pictures at timesteps spread evenly over all.
    pub fn even_noise(&self, count: usize, rng: &mut Rng) -> Noise {
        let all = self.schedule.timesteps();
        Noise {
            times: (0..count)
                .map(|at| (2 * at + 1) * all / (2 * count))
                .collect(),
            values: rng.normals(count * self.values()),
        }
    }

    /// Latents, one a sample, with `noise`, under their conditions.
    pub fn noisy(&self, latents: &[&[f32]], conditions: UnetConditions, noise: &Noise) -> Noisy {
        let (mut x, mut wanted) = (Vec::new(), Vec::new());
        let rows = latents.iter().zip(&noise.times);
        for ((x0, t), noise) in rows.zip(noise.values.chunks_exact(self.values())) {
            let [noisy, target] = self.schedule.noised(x0, noise, *t);
            x.extend(noisy);
            wanted.extend(target);
        }
        let [channels, height, width] = self.shape;
        let shape = [latents.len(), channels, height, width];
        let tensor = |values| Tensor::from_data(TensorData::new(values, shape), &self.device);
        Noisy {
            x: tensor(x),
            times: noise.times.iter().map(|&t| t as f64).collect(),
            conditions,
            wanted: tensor(wanted),
        }
    }

    /// The U-Net's answer, `[batch, channels, height, width]`.
    pub fn answer(&self, input: &Noisy, hooks: &mut dyn AttentionHooks) -> Tensor<4> {
        self.unet
            .forward(input.x.clone(), &input.times, &input.conditions, hooks)
    }

    /// The mean squared error of the answer, `[1]`.
    pub fn error(&self, input: &Noisy, hooks: &mut dyn AttentionHooks) -> Tensor<1> {
        (self.answer(input, hooks) - input.wanted.clone())
            .square()
            .mean()
    }
}
