//! Training: flow matching with frame replacement, image-condition dropout, text dropout and MaskDiT
//! (paper sections 3.2 and 3.4).

use std::sync::Arc;

use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};
use clap::ValueEnum;
use engine::diffusion::flow;
use engine::train::{Task, TaskError};
use serde::{Deserialize, Serialize};

use super::condition::replace_given;
use super::config::MICRO_CONDITIONS;
use super::model::{ForwardOptions, Stiv};
use super::text::{TextBatch, TextTower};

/// One training sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// `[channels, frames, height, width]`, in the codec's range (`[-1, 1]` for pixels).
    pub latents: Vec<f32>,
    /// What is to be seen.
    pub prompt: String,
    /// `[original height, original width, crop top, crop left, stride, frames]`.
    pub micro: [f32; MICRO_CONDITIONS],
}

/// A source of training samples, all of one size.
pub trait Examples: Send + Sync {
    /// `[channels, frames, height, width]` of every sample.
    fn shape(&self) -> [usize; 4];
    /// Draws a sample.
    fn draw(&self, rng: &mut Rng) -> Example;
}

/// Which frames a sample gives away when its image condition is not dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GivenPattern {
    /// None: text to picture or clip.
    #[default]
    None,
    /// The first (TI2V).
    First,
    /// The first this many (prediction).
    Leading(usize),
    /// Every second, from the first (temporal upsampling).
    Alternate,
    /// The first and the last (interpolation).
    Ends,
}

impl GivenPattern {
    /// True for each given frame.
    pub fn mask(self, frames: usize) -> Vec<bool> {
        (0..frames)
            .map(|frame| match self {
                Self::None => false,
                Self::First => frame == 0,
                Self::Leading(count) => frame < count,
                Self::Alternate => frame % 2 == 0,
                Self::Ends => frame == 0 || frame + 1 == frames,
            })
            .collect()
    }
}

/// How times are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeDraw {
    /// Uniform in `[0, 1)`.
    #[default]
    Uniform,
    /// `σ(z)`, `z` standard normal.
    LogitNormal,
    /// The square of a uniform draw: half of all times below 1/4, where what a picture shows is decided.
    Noisy,
}

/// What a training stage does to its samples. Defaults: the paper's dropouts, no given frames, no masking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recipe {
    /// Samples a step.
    pub batch: usize,
    /// Probability that the text is dropped.
    pub text_dropout: f32,
    /// Given frames; of several entries each sample takes one at random.
    pub given: Vec<GivenPattern>,
    /// Probability that the given frames are dropped, independent of the text.
    pub image_dropout: f32,
    /// Fraction of spatial patches masked (MaskDiT), the same in all frames.
    pub mask_ratio: f32,
    /// How times are drawn.
    pub time: TimeDraw,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            batch: 64,
            text_dropout: 0.1,
            given: vec![GivenPattern::None],
            image_dropout: 0.08,
            mask_ratio: 0.0,
            time: TimeDraw::Uniform,
        }
    }
}

/// A training stage of [`Stiv`].
pub struct StivTask {
    /// Where samples come from.
    pub examples: Arc<dyn Examples>,
    /// The frozen text tower.
    pub tower: Arc<dyn TextTower>,
    /// What is done to samples.
    pub recipe: Recipe,
    /// Height and width of a patch, for masking.
    pub spatial_patch: usize,
    /// Where the model trains (an autodiff device).
    pub device: Device,
}

/// Samples of one step, as plain numbers.
#[derive(Clone, Debug)]
pub struct StivBatch {
    data: Vec<f32>,
    noise: Vec<f32>,
    times: Vec<f32>,
    /// 1 at given frames, `[batch, frames]`.
    given: Vec<f32>,
    text: TextBatch,
    micro: Vec<[f32; MICRO_CONDITIONS]>,
    keep: Option<Vec<usize>>,
}

impl Task for StivTask {
    type Model = Stiv;
    type Batch = StivBatch;

    fn samples(&self) -> usize {
        self.recipe.batch
    }

    fn batch(&self, _step: u64, rng: &mut Rng) -> Result<StivBatch, TaskError> {
        let recipe = &self.recipe;
        let [_, frames, height, width] = self.examples.shape();
        let mut data = Vec::new();
        let mut prompts = Vec::new();
        let mut micro = Vec::new();
        let mut given = Vec::new();
        let mut times = Vec::new();
        for _ in 0..recipe.batch {
            let example = self.examples.draw(rng);
            data.extend(example.latents);
            prompts.push(if rng.chance(recipe.text_dropout) {
                String::new()
            } else {
                example.prompt
            });
            micro.push(example.micro);
            let pattern = recipe.given[rng.below(recipe.given.len())];
            let dropped = rng.chance(recipe.image_dropout);
            given.extend(
                pattern
                    .mask(frames)
                    .into_iter()
                    .map(|given| f32::from(u8::from(given && !dropped))),
            );
            times.push(match recipe.time {
                TimeDraw::Uniform => rng.uniform(),
                TimeDraw::LogitNormal => 1.0 / (1.0 + libm::expf(-rng.normal())),
                TimeDraw::Noisy => rng.uniform().powi(2),
            });
        }
        let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        Ok(StivBatch {
            noise: rng.normals(data.len()),
            text: self.tower.encode(&prompts),
            keep: self.draw_kept_places(height, width, rng),
            data,
            times,
            given,
            micro,
        })
    }

    fn loss(&self, model: &Stiv, batch: StivBatch) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let [channels, frames, height, width] = self.examples.shape();
        let size = batch.times.len();
        let shape = [size, channels, frames, height, width];
        let put = |values: Vec<f32>, shape: [usize; 5]| {
            Tensor::<5>::from_data(TensorData::new(values, shape), &self.device)
        };
        let data = put(batch.data, shape);
        let noise = put(batch.noise, shape);
        let t = put(batch.times.clone(), [size, 1, 1, 1, 1]);
        let given = put(batch.given, [size, 1, frames, 1, 1]);

        let x = flow::point(data.clone(), noise.clone(), t);
        let x = replace_given(x, data.clone(), given.clone());
        let condition = batch.text.condition(batch.micro, &self.device);
        let options = ForwardOptions {
            keep: batch.keep,
            ..ForwardOptions::default()
        };
        let v = model.forward(x, &batch.times, &condition, &options);
        let loss = masked_loss(v, flow::velocity(data, noise), given);
        (loss, Vec::new())
    }
}

impl StivTask {
    /// Places the main blocks see in this step, in raster order; none where nothing is hidden.
    fn draw_kept_places(&self, height: usize, width: usize, rng: &mut Rng) -> Option<Vec<usize>> {
        if self.recipe.mask_ratio <= 0.0 {
            return None;
        }
        let places = (height / self.spatial_patch) * (width / self.spatial_patch);
        let kept = ((places as f32 * (1.0 - self.recipe.mask_ratio)) as usize).max(1);
        let mut all: Vec<usize> = (0..places).collect();
        rng.shuffle(&mut all);
        all.truncate(kept);
        all.sort_unstable();
        Some(all)
    }
}

/// Mean squared error over the elements of frames that are not given. `given` is `[batch, 1, frames, 1, 1]`.
pub fn masked_loss(v: Tensor<5>, target: Tensor<5>, given: Tensor<5>) -> Tensor<1> {
    let [_, channels, _, height, width] = v.dims();
    let keep = given.neg() + 1.0;
    let count = keep.clone().sum() * (channels * height * width) as f32;
    ((v - target).square() * keep).sum() / count.clamp_min(1.0)
}
