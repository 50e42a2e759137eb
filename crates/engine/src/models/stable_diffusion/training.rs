//! What a model was trained to predict, for training it further.

use super::draw::EDM;
use super::{DiffusionError, StableDiffusion};
use crate::diffusion::scheduler::Prediction;

/// The noise schedule of a model over its training timesteps, and what its U-Net predicts.
#[derive(Clone, Debug)]
pub struct NoiseSchedule {
    /// ᾱ of each timestep.
    bars: Vec<f64>,
    prediction: Prediction,
}

impl NoiseSchedule {
    /// Number of timesteps.
    pub fn timesteps(&self) -> usize {
        self.bars.len()
    }

    /// `√ᾱ·x₀ + √(1 − ᾱ)·ε` at timestep `t`, and what the U-Net should say of it: noise, velocity or `x₀`.
    pub fn noised(&self, x0: &[f32], noise: &[f32], t: usize) -> [Vec<f32>; 2] {
        let bar = self.bars.get(t).copied().unwrap_or_default();
        let [alpha, sigma] = [bar.sqrt() as f32, (1.0 - bar).sqrt() as f32];
        let each =
            |f: &dyn Fn(f32, f32) -> f32| x0.iter().zip(noise).map(|(x, e)| f(*x, *e)).collect();
        let wanted = match self.prediction {
            Prediction::Epsilon => noise.to_vec(),
            Prediction::Sample => x0.to_vec(),
            Prediction::VPrediction => each(&|x, e| alpha * e - sigma * x),
        };
        [each(&|x, e| alpha * x + sigma * e), wanted]
    }
}

impl StableDiffusion {
    /// What it was trained with.
    ///
    /// # Errors
    /// [`DiffusionError::Request`] for models with the times of EDM, those that read more than latents and text, and those that
    /// were distilled with guidance: they are not trained this way.
    pub fn noise_schedule(&self) -> Result<NoiseSchedule, DiffusionError> {
        let other = match () {
            () if self.schedule.class.as_deref() == Some(EDM) => {
                "was trained with the times of EDM"
            }
            () if self.unet_config.in_channels != self.latent_channels() => {
                "reads a picture beside its latents (inpainting, editing)"
            }
            () if self.unet_config.time_cond_proj_dim.is_some() => "was distilled with guidance",
            () => {
                return Ok(NoiseSchedule {
                    bars: self.schedule.config.alphas_cumprod(),
                    prediction: self.schedule.config.prediction_type,
                });
            }
        };
        Err(DiffusionError::request(format!(
            "this model {other}: adapters are trained on a base model that draws from text alone"
        )))
    }
}
