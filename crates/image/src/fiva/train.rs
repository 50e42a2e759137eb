//! Training of adapter and Q-Former on pairs (paper, section 3.2): the noise of a picture is predicted from its subject in words and
//! from references that share its attributes; where the base predicts something else, such as the velocity, that is.

use base::media::bicubic;
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use engine::diffusion::scheduler::Prediction;
use engine::models::clip_vision::{DEVIATION, MEAN};
use engine::models::qformer::QFormer;
use engine::models::stable_diffusion::{Request, SamplerKind, Sampling, StableDiffusion};
use engine::models::unet2d::{AddedConditions, Unet2d, UnetConditions};
use engine::train::{Task, TaskError};

use super::SystemError;
use super::adapter::Adapter;
use super::data::picture;
use super::latents::Latents;
use super::pairs::{Pair, Shot};
use super::pipeline::Extractor;
use super::preprocess::{FIRST_SIDE, pixel_values};
use super::projector::SLOTS;
use super::recipe::LEVELS;
pub use super::recipe::{Recipe, config};
use super::tags::{TagTokenizer, word_for};
use super::taxonomy::Taxonomy;

/// What is trained; the Q-Former's image tower stays as it is.
#[derive(Module, Debug)]
pub struct Trained {
    /// Reads references.
    pub qformer: QFormer,
    /// Shows them to the U-Net.
    pub adapter: Adapter,
}

impl Trained {
    /// The same with the Q-Former's image tower as it is.
    pub fn with_frozen_tower(self) -> Self {
        Self {
            qformer: self.qformer.with_frozen_tower(),
            ..self
        }
    }
}

/// One sample, with all that is drawn for it.
#[derive(Debug)]
pub struct Sample {
    target: Shot,
    tile: u32,
    subject: String,
    /// Pixel values and tokens of each reference.
    references: Vec<(Vec<f32>, Vec<u32>)>,
    /// Which reference is in which slot.
    slots: Vec<Option<usize>>,
    level: usize,
    noise: u64,
}

/// Training on a base model. See the module.
#[derive(Debug)]
pub struct PairTask<'a> {
    base: &'a StableDiffusion,
    /// The U-Net where gradients pass, itself unchanged.
    unet: Unet2d,
    pairs: &'a [Pair],
    tokenizer: &'a TagTokenizer,
    taxonomy: &'a Taxonomy,
    recipe: Recipe,
    latents: &'a Latents,
    /// Height and width of what the Q-Former sees.
    seen: usize,
}

impl<'a> PairTask<'a> {
    /// # Errors
    /// [`SystemError`] when there are no pairs, or the base model cannot draw pictures of that size.
    pub fn new(
        base: &'a StableDiffusion,
        extractor: &'a Extractor,
        pairs: &'a [Pair],
        taxonomy: &'a Taxonomy,
        recipe: Recipe,
        latents: &'a Latents,
    ) -> Result<Self, SystemError> {
        if pairs.is_empty() {
            return Err(SystemError::input(
                "there are no pairs to train on: `orrery fiva data pairs` makes them",
            ));
        }
        let sampling = Sampling {
            steps: LEVELS,
            ..schedule()
        };
        base.check(&Request {
            width: recipe.side,
            height: recipe.side,
            sampling,
            ..base.request()
        })?;
        Ok(Self {
            base,
            unet: base.unet().clone().train().no_grad(),
            pairs,
            tokenizer: &extractor.tokenizer,
            taxonomy,
            recipe,
            latents,
            seen: extractor.qformer.side(),
        })
    }

    fn sample(&self, rng: &mut Rng) -> Result<Sample, SystemError> {
        let pair = &self.pairs[rng.below(self.pairs.len())];
        let any_tile =
            |shot: &Shot, rng: &mut Rng| rng.below((shot.grid * shot.grid).max(1) as usize) as u32;
        let tile = any_tile(&pair.target, rng);
        let mut references = Vec::new();
        for reference in pair.references.iter().take(SLOTS) {
            let shot = &reference.shot;
            let picture = picture(&shot.image, shot.grid, any_tile(shot, rng))?;
            let word = word_for(self.taxonomy, &reference.group, self.recipe.augment, rng);
            let norm = [MEAN, DEVIATION];
            let first = self.recipe.through_512.then_some(FIRST_SIDE);
            let values = pixel_values(&picture, self.seen as u32, first, norm);
            references.push((values, self.tokenizer.encode(word)?));
        }
        let [text, image, both] = self.recipe.dropout;
        let draw = rng.uniform();
        let (no_text, no_image) = (
            draw < text || (text + image..text + image + both).contains(&draw),
            (text..text + image + both).contains(&draw),
        );
        Ok(Sample {
            target: pair.target.clone(),
            tile,
            subject: if no_text {
                String::new()
            } else {
                pair.subject.clone()
            },
            slots: slots(references.len(), no_image, rng),
            references,
            level: self.recipe.level(rng),
            noise: rng.bits(),
        })
    }

    /// The latents of a target: the largest square in its middle.
    fn encode(&self, sample: &Sample) -> Result<Tensor<4>, SystemError> {
        let side = self.recipe.side as u32;
        let target = picture(&sample.target.image, sample.target.grid, sample.tile)?;
        let target = bicubic(&target.crop_square(), side, side);
        Ok(self.base.encode(&[target])?)
    }

    fn try_loss(&self, model: &Trained, batch: &[Sample]) -> Result<Tensor<1>, SystemError> {
        let plain = self.base.device();
        let size = [self.recipe.side; 2];
        let scheduler = self.base.scheduler(&Sampling {
            steps: LEVELS,
            ..schedule()
        });
        let mut noisy = Vec::new();
        let mut wanted = Vec::new();
        let mut contexts: Vec<Tensor<3>> = Vec::new();
        let mut added = Vec::new();
        let mut times = Vec::new();
        for sample in batch {
            let latents = self
                .latents
                .of(&sample.target, sample.tile, || self.encode(sample))?;
            let noise = self.base.noise(&[sample.noise], size);
            let level = sample
                .level
                .min(scheduler.timesteps().len().saturating_sub(1));
            noisy.push(scheduler.add_noise(latents.clone(), noise.clone(), level));
            times.push(scheduler.timesteps()[level]);
            wanted.push(match self.base.prediction() {
                Prediction::Epsilon => noise,
                // `α·ε − σ·x₀`.
                Prediction::VPrediction => scheduler.add_noise(noise, -latents, level),
                Prediction::Sample => latents,
            });
            let text = self
                .base
                .conditions(&sample.subject, None, false, 0, size)?;
            contexts.push(text.full.context);
            added.extend(text.full.added);
        }
        let lifted = |parts: Vec<Tensor<4>>| Tensor::cat(parts, 0).autodiff();
        let pooled = |part: fn(&AddedConditions) -> Tensor<2>| {
            Tensor::cat(added.iter().map(part).collect(), 0).autodiff()
        };
        // Texts that are too long for one reading are cut, as everybody trains.
        let shortest = contexts.iter().map(|it| it.dims()[1]).min();
        let shortest = shortest.unwrap_or_default();
        let contexts = contexts.into_iter().map(|it| it.narrow(1, 0, shortest));
        let context = Tensor::cat(contexts.collect(), 0).autodiff();
        let device = plain.clone().autodiff();
        let tokens = guide_tokens(model, batch, self.seen, &device)?;
        let count = tokens.dims()[1];
        let conditions = UnetConditions {
            context: Tensor::cat(vec![context, tokens], 1),
            added: (!added.is_empty()).then(|| AddedConditions {
                text_embeds: pooled(|it| it.text_embeds.clone()),
                time_ids: pooled(|it| it.time_ids.clone()),
            }),
            guidance: None,
        };
        let mut hooks = model.adapter.hooks(count, 1.0);
        let found = self
            .unet
            .forward(lifted(noisy), &times, &conditions, &mut hooks);
        Ok((found - lifted(wanted)).square().mean())
    }
}

/// Tokens of a batch's references.
fn guide_tokens(
    model: &Trained,
    batch: &[Sample],
    side: usize,
    device: &Device,
) -> Result<Tensor<3>, SystemError> {
    let mut values = Vec::new();
    let mut tags = Vec::new();
    let mut slots = Vec::new();
    for sample in batch {
        let from = tags.len();
        for (pixels, ids) in &sample.references {
            values.extend_from_slice(pixels);
            tags.push(ids.clone());
        }
        slots.push(
            sample
                .slots
                .iter()
                .map(|slot| slot.map(|at| from + at))
                .collect(),
        );
    }
    let pixels = TensorData::new(values, [tags.len(), 3, side, side]);
    let seen = model
        .qformer
        .see(Tensor::from_data(pixels, device))
        .map_err(SystemError::Input)?;
    let read = model.qformer.read(&seen.detach(), &tags);
    let features = read.map_err(SystemError::Input)?.features;
    Ok(model.adapter.image_proj.slots(features, &slots))
}

/// References in shuffled slots; none of them where they are left out.
pub fn slots(references: usize, left_out: bool, rng: &mut Rng) -> Vec<Option<usize>> {
    let filled = |at: usize| (at < references && !left_out).then_some(at);
    let mut slots: Vec<Option<usize>> = (0..SLOTS).map(filled).collect();
    rng.shuffle(&mut slots);
    slots
}

/// The training schedule: every level is one step of DDIM.
fn schedule() -> Sampling {
    Sampling {
        steps: LEVELS,
        sampler: SamplerKind::Ddim,
        karras: false,
        guidance: 1.0,
        guided: 1.0,
        rescale: 0.0,
    }
}

impl Task for PairTask<'_> {
    type Model = Trained;
    type Batch = Vec<Sample>;

    fn batch(&self, _: u64, rng: &mut Rng) -> Result<Vec<Sample>, TaskError> {
        (0..self.recipe.batch)
            .map(|_| self.sample(rng).map_err(TaskError::from))
            .collect()
    }

    fn loss(&self, model: &Trained, batch: Vec<Sample>) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        // What cannot be worked out leaves nothing to train on: the loop then says that the loss depends on no parameter.
        let device = self.base.device();
        let loss = self.try_loss(model, &batch);
        (
            loss.unwrap_or_else(|_| Tensor::zeros([1], device)),
            Vec::new(),
        )
    }

    fn samples(&self) -> usize {
        self.recipe.batch
    }
}
