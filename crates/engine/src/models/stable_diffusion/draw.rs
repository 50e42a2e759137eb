//! From a request to pictures.

use base::media::Image;
use burn::tensor::{Device, Tensor, TensorData};

use super::{Conditions, DiffusionError, SamplerKind, Sampling, StableDiffusion};
use crate::models::unet2d::UnetConditions;
use crate::nn::AttentionHooks;

/// The longest side of a picture, in pixels.
const LONGEST: usize = 4096;
/// The most pixels of a picture.
const LARGEST: usize = 2048 * 2048;
/// The scheduler of models that were trained as EDM.
pub(super) const EDM: &str = "EDMEulerScheduler";

/// A picture on white, and how much each pixel covers, row by row, where the model says it.
pub type Drawn = (Image, Option<Vec<u8>>);

/// A picture to start from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The picture.
    pub picture: Image,
    /// White where it is drawn anew, of the same size; none where all of it changes.
    pub mask: Option<Image>,
    /// How far to go away from it, above 0, at most 1.
    pub strength: f64,
    /// How close the result keeps to it, where a model edits it by instruction ([`StableDiffusion::edits`]); such a model reads
    /// the whole picture, and `strength` means nothing to it.
    pub image_guidance: Option<f64>,
}

/// What to draw.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is to be seen.
    pub prompt: String,
    /// What is not.
    pub negative: Option<String>,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// The seed of each picture.
    pub seeds: Vec<u64>,
    /// How it is sampled.
    pub sampling: Sampling,
    /// Layers to leave out at the end of the text towers.
    pub clip_skip: usize,
    /// A picture to start from.
    pub source: Option<Source>,
}

impl StableDiffusion {
    /// A request of nothing, with the model's own size and sampler, seed 0, and what its index says of steps and guidance, else
    /// 25 steps and 7.5.
    pub fn request(&self) -> Request {
        let side = self.unet_config.sample_size.unwrap_or(64) * self.factor();
        let side = side.clamp(self.factor(), LONGEST);
        Request {
            prompt: String::new(),
            negative: None,
            width: side,
            height: side,
            seeds: vec![0],
            sampling: Sampling {
                steps: self.usual.steps.unwrap_or(25).clamp(1, 1000),
                sampler: self.usual_sampler(),
                karras: false,
                guidance: self.usual.guidance.unwrap_or(7.5),
                guided: self.usual.guided.unwrap_or(1.0),
                rescale: 0.0,
            },
            clip_skip: 0,
            source: None,
        }
    }

    /// The sampler that the model's files name, else DPM-Solver++.
    fn usual_sampler(&self) -> SamplerKind {
        match self.schedule.class.as_deref() {
            Some("DDIMScheduler") => SamplerKind::Ddim,
            Some("EulerDiscreteScheduler") => SamplerKind::Euler,
            Some("EulerAncestralDiscreteScheduler") => SamplerKind::EulerAncestral,
            Some("HeunDiscreteScheduler") => SamplerKind::Heun,
            Some("PNDMScheduler") => SamplerKind::Plms,
            Some("LCMScheduler") => SamplerKind::Lcm,
            Some(EDM) => SamplerKind::Edm,
            _ => SamplerKind::DpmSolver,
        }
    }

    /// Whether `request` can be drawn.
    ///
    /// # Errors
    /// [`DiffusionError::Request`] with the value and what is possible.
    pub fn check(&self, request: &Request) -> Result<(), DiffusionError> {
        let wrong = |line: String| Err(DiffusionError::request(line));
        let (width, height) = (request.width, request.height);
        let factor = self.factor();
        if width == 0
            || height == 0
            || !width.is_multiple_of(factor)
            || !height.is_multiple_of(factor)
        {
            let near = |side: usize| (side.max(factor) + factor / 2) / factor * factor;
            return wrong(format!(
                "a picture of {width}x{height} is not possible: both sides must be multiples of {factor}; use {}x{}",
                near(width),
                near(height)
            ));
        }
        if width > LONGEST || height > LONGEST || width * height > LARGEST {
            return wrong(format!(
                "a picture of {width}x{height} is too large: at most {LONGEST} a side and {LARGEST} pixels"
            ));
        }
        if request.seeds.is_empty() || !(1..=1000).contains(&request.sampling.steps) {
            return wrong("at least one picture and 1 to 1000 steps are needed".into());
        }
        let training = self.schedule.config.num_train_timesteps;
        if request.sampling.steps > training {
            return wrong(format!("the model knows {training} steps at most"));
        }
        let edm = self.schedule.class.as_deref() == Some(EDM);
        if edm != (request.sampling.sampler == SamplerKind::Edm) {
            return wrong(match edm {
                true => {
                    "this model was trained with the times of EDM: leave `--sampler` out".into()
                }
                false => {
                    "the sampler `edm` is for models that were trained so: use another `--sampler`"
                        .into()
                }
            });
        }
        if request.sampling.sampler == SamplerKind::Lcm {
            let most = self.schedule.config.original_inference_steps;
            if request.sampling.steps > most {
                return wrong(format!("the sampler `lcm` takes {most} steps at most"));
            }
        }
        let channels = self.unet_config.in_channels;
        let latent = self.latent_channels();
        let masked = request.source.as_ref().is_some_and(|it| it.mask.is_some());
        let guidance = request.source.as_ref().and_then(|it| it.image_guidance);
        match guidance {
            Some(scale) if !(0.0..=100.0).contains(&scale) => {
                return wrong("the image guidance must be between 0 and 100".into());
            }
            Some(_) if !self.edits() => {
                return wrong(format!(
                    "this model does not edit pictures by instruction (its U-Net reads {channels} channels, not {}): use one that \
                     does, such as InstructPix2Pix",
                    2 * latent
                ));
            }
            None if self.edits() => {
                return wrong(
                    "this model edits pictures by instruction: use it with `orrery sd edit`".into(),
                );
            }
            _ => {}
        }
        if channels > latent && !masked && !self.edits() {
            return wrong(
                "this model paints into pictures (9 input channels): use it with `orrery sd inpaint`".into(),
            );
        }
        match &request.source {
            Some(source) if !(source.strength > 0.0 && source.strength <= 1.0) => {
                wrong("the strength must be above 0 and at most 1: give one such as 0.75".into())
            }
            _ => Ok(()),
        }
    }

    /// Draws. Pictures depend on their own seeds only, not on which are drawn with them.
    ///
    /// # Errors
    /// As [`StableDiffusion::check`], [`StableDiffusion::sample`] and [`StableDiffusion::decode`].
    pub fn draw(
        &self,
        request: &Request,
        hooks: &mut dyn AttentionHooks,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Vec<Image>, DiffusionError> {
        let drawn = self.draw_with_alpha(request, hooks, watch)?;
        Ok(drawn.into_iter().map(|(picture, _)| picture).collect())
    }

    /// As [`StableDiffusion::draw`]; beside each picture, which lies on white, how much each pixel covers, row by row, where the
    /// autoencoder says it (four channels).
    ///
    /// # Errors
    /// As [`StableDiffusion::draw`].
    pub fn draw_with_alpha(
        &self,
        request: &Request,
        hooks: &mut dyn AttentionHooks,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Vec<Drawn>, DiffusionError> {
        self.check(request)?;
        // One by one: kernels round differently in batches of other sizes, and a picture must not depend on its neighbours.
        let all = request.seeds.len();
        let mut pictures = Vec::with_capacity(all);
        for (at, &seed) in request.seeds.iter().enumerate() {
            let one = Request {
                seeds: vec![seed],
                ..request.clone()
            };
            let mut each = |done, steps| watch(at * steps + done, all * steps);
            pictures.extend(self.decode_with_alpha(self.latents(&one, hooks, &mut each)?)?);
        }
        Ok(pictures)
    }

    fn latents(
        &self,
        request: &Request,
        hooks: &mut dyn AttentionHooks,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Tensor<4>, DiffusionError> {
        let size = [request.height, request.width];
        let sampling = &request.sampling;
        let by_picture = request.source.as_ref().and_then(|it| it.image_guidance);
        let conditions = self.conditions(
            &request.prompt,
            request.negative.as_deref(),
            sampling.guidance != 1.0 || by_picture.is_some_and(|scale| scale != 1.0),
            request.clip_skip,
            size,
        )?;
        let (conditions, sampling) = &self.distilled(conditions, sampling);
        let noise = self.noise(&request.seeds, size);
        let Some(source) = &request.source else {
            return self.sample(noise, &request.seeds, conditions, sampling, hooks, watch);
        };
        let scaled = |picture: &Image| match (picture.width as usize, picture.height as usize) {
            (width, height) if [height, width] == size => picture.clone(),
            _ => picture.resize(request.width as u32, request.height as u32),
        };
        let picture = scaled(&source.picture);
        if let Some(guidance) = source.image_guidance {
            let edited = self.edited(&picture, guidance)?;
            let seeds = &request.seeds;
            return self.sample_edit(&edited, noise, seeds, conditions, sampling, hooks, watch);
        }
        let inpaint = match &source.mask {
            Some(mask) => Some(self.inpaint(&picture, &scaled(mask))?),
            None => None,
        };
        let known = match &inpaint {
            Some(inpaint) => inpaint.picture.clone(),
            None => self.encode(std::slice::from_ref(&picture))?,
        };
        self.sample_from(
            known,
            source.strength,
            noise,
            &request.seeds,
            conditions,
            sampling,
            inpaint.as_ref(),
            hooks,
            watch,
        )
    }

    /// Models that were distilled with guidance are told its scale, and are not guided again (Meng et al. 2023).
    fn distilled(&self, conditions: Conditions, sampling: &Sampling) -> (Conditions, Sampling) {
        let Some(width) = self.unet_config.time_cond_proj_dim else {
            return (conditions, sampling.clone());
        };
        let scale = ((sampling.guidance - 1.0) * 1000.0) as f32;
        let told = guidance_embedding(scale, width, &self.device);
        let conditions = Conditions {
            full: UnetConditions {
                guidance: Some(told),
                ..conditions.full
            },
            null: None,
            ..conditions
        };
        let sampling = Sampling {
            guidance: 1.0,
            ..sampling.clone()
        };
        (conditions, sampling)
    }
}

/// Sines, then cosines, of `value · 10000^(−i/(width/2 − 1))`, `[1, width]`: how latent consistency models are told a scale.
fn guidance_embedding(value: f32, width: usize, device: &Device) -> Tensor<2> {
    let half = width / 2;
    let angle = |i: usize| {
        let share = i as f64 / half.saturating_sub(1).max(1) as f64;
        f64::from(value) * libm::exp(-libm::log(10_000.0) * share)
    };
    let sines = (0..half).map(|i| libm::sin(angle(i)) as f32);
    let cosines = (0..half).map(|i| libm::cos(angle(i)) as f32);
    let mut values: Vec<f32> = sines.chain(cosines).collect();
    values.resize(width, 0.0);
    Tensor::from_data(TensorData::new(values, [1, width]), device)
}
