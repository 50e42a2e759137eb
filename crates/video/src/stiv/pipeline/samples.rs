//! Samples in batches: one prompt and its seeds in, 32×32 images and clips out.

use base::media::{Clip, Image, MediaError};
use base::rng::Rng;
use burn::tensor::{Tensor, TensorData};
use engine::data::pack::Style;
use engine::diffusion::Solver;

use super::StivPipeline;
use crate::stiv::clips::{FRAMES, clip_micro, clip_to_unit};
use crate::stiv::data::{SIZE, image_micro};
use crate::stiv::generation_params::GivenFrame;
use crate::stiv::sample::{Given, SampleConfig, sample};
use crate::stiv::text::TextBatch;

/// Milliseconds that a frame of a made clip is shown: every third frame at 24 a second.
const DELAY_MS: u32 = 125;
/// Milliseconds of the one frame of an image.
const STILL_MS: u32 = 100;
/// Most samples that go through the network together.
const LARGEST_BATCH: usize = 8;

/// Called after each step of each batch with the steps done and to do; false stops the work.
pub type EachStep<'a> = &'a mut dyn FnMut(usize, usize) -> bool;

/// What to draw.
#[derive(Clone, Copy, Debug)]
pub struct SampleRequest<'a> {
    /// What the text tower encodes.
    pub prompt: &'a str,
    /// A style that the prompt does not name itself.
    pub style: Option<Style>,
    /// How many samples.
    pub count: usize,
    /// Seed of the first sample; the next ones count on.
    pub seed: u64,
    /// How to sample.
    pub config: &'a SampleConfig,
    /// Frames that clips go through.
    pub given: &'a [GivenFrame],
}

impl StivPipeline {
    /// One clip a sample: of 16 frames by a clip model, of one by an image model. Fewer come where `each_step` ended the
    /// work.
    ///
    /// # Errors
    /// When the network's output is not an image (damaged weights).
    pub fn samples(
        &self,
        request: &SampleRequest,
        each_step: EachStep,
    ) -> Result<Vec<Clip>, MediaError> {
        let (frames, micro) = match self.config.temporal_patch {
            1 => (1, image_micro(0.0, 0.0)),
            _ => (FRAMES, clip_micro()),
        };
        let steps = request.config.steps;
        let prompt = match request.style {
            Some(style) => format!("{} {style}", request.prompt),
            None => request.prompt.to_owned(),
        };
        let texts = TextBatch::texts(&self.tower, &[&prompt], micro, &self.device);
        let given = (!request.given.is_empty()).then(|| self.given(request.given, frames));
        let noise_of = |i: usize| {
            let seed = request.seed.wrapping_add(i as u64);
            Rng::new(seed).child("noise").item(0)
        };
        let size = 3 * frames * SIZE * SIZE;
        // A batch shares the draws of the stochastic solver: there every sample is a batch.
        let together = match request.config.solver {
            Solver::Euler => LARGEST_BATCH,
            Solver::Sde => 1,
        };
        let total = request.count.div_ceil(together) * steps;
        let mut clips = Vec::new();
        for (batch, first) in (0..request.count).step_by(together).enumerate() {
            let count = together.min(request.count - first);
            let noise: Vec<f32> = (first..first + count)
                .flat_map(|i| noise_of(i).normals(size))
                .collect();
            let shape = [count, 3, frames, SIZE, SIZE];
            let noise = Tensor::from_data(TensorData::new(noise, shape), &self.device);
            let sampled = sample(
                &self.model,
                noise,
                given.as_ref().map(|given| given.repeat(count)).as_ref(),
                &texts.repeat(count),
                request.config,
                &mut noise_of(first).child("solver"),
                &mut |step, _| each_step(batch * steps + step + 1, total),
            );
            let Some(sampled) = sampled else { break };
            let values: Vec<f32> = sampled.latents.into_data().iter::<f32>().collect();
            if !values.iter().all(|value| value.is_finite()) {
                let cause = "the network's output is not finite: its weights are damaged";
                return Err(MediaError::Encode(cause.into()));
            }
            for sample in values.chunks_exact(size) {
                clips.push(clip(sample, frames)?);
            }
        }
        Ok(clips)
    }

    /// Given frames as the sampler takes them, for one sample.
    fn given(&self, given: &[GivenFrame], frames: usize) -> Given {
        let white = Image::filled(SIZE as u32, SIZE as u32, [255; 3]);
        let mut pictures = vec![white; frames];
        let mut mask = vec![false; frames];
        for frame in given.iter().filter(|frame| frame.at() < frames) {
            pictures[frame.at()] = frame.image().clone();
            mask[frame.at()] = true;
        }
        let values = TensorData::new(clip_to_unit(&pictures), [1, 3, frames, SIZE, SIZE]);
        Given {
            latents: Tensor::from_data(values, &self.device),
            frames: mask,
        }
    }
}

/// The clip of a sample `[3, frames, 32, 32]`.
fn clip(sample: &[f32], frames: usize) -> Result<Clip, MediaError> {
    let delay_ms = if frames == 1 { STILL_MS } else { DELAY_MS };
    let frame = |at| Image::from_unit(&frame_of(sample, at), SIZE as u32, SIZE as u32);
    Clip::new((0..frames).map(frame).collect::<Result<_, _>>()?, delay_ms)
}

/// One frame `[3, 32, 32]` of `[3, frames, 32, 32]`.
fn frame_of(sample: &[f32], frame: usize) -> Vec<f32> {
    let area = SIZE * SIZE;
    sample
        .chunks_exact(sample.len() / 3)
        .flat_map(|plane| plane[frame * area..(frame + 1) * area].iter().copied())
        .collect()
}
