//! Drawing many samples at once: every experiment goes through here.

use std::sync::atomic::{AtomicBool, Ordering};

use base::command::{Failure, Stopped};
use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};

use crate::stiv::clips::{FRAMES, clip_micro};
use crate::stiv::config::MICRO_CONDITIONS;
use crate::stiv::data::{SIZE, image_micro};
use crate::stiv::model::Stiv;
use crate::stiv::pipeline::StivPipeline;
use crate::stiv::sample::{Given, SampleConfig, sample};
use crate::stiv::text::{TextBatch, TextTower};

/// A model, and how it draws.
pub(super) struct Canvas<'a> {
    pub model: &'a Stiv,
    pub tower: &'a dyn TextTower,
    /// `[channels, frames, height, width]` of a sample.
    pub shape: [usize; 4],
    pub micro: [f32; MICRO_CONDITIONS],
    /// Samples that go through the network together.
    pub batch: usize,
    pub device: &'a Device,
    pub stop: &'a AtomicBool,
}

/// What came out.
pub(super) struct Drawn {
    /// `[channels, frames, height, width]` each, in about `[-1, 1]`.
    pub samples: Vec<Vec<f32>>,
    /// Passes through the network for one sample.
    pub passes: usize,
}

impl<'a> Canvas<'a> {
    /// Images, or clips of 16 frames, of a model with its tower.
    pub fn of(pipeline: &'a StivPipeline, device: &'a Device, stop: &'a AtomicBool) -> Self {
        let (frames, micro, batch) = match pipeline.config.temporal_patch {
            1 => (1, image_micro(0.0, 0.0), 64),
            _ => (FRAMES, clip_micro(), 8),
        };
        Self {
            model: &pipeline.model,
            tower: &pipeline.tower,
            shape: [3, frames, SIZE, SIZE],
            micro,
            batch,
            device,
            stop,
        }
    }

    /// One sample for each prompt; `first` gives the first frame of each, as a sample whose other frames are ignored.
    ///
    /// The noise of sample `i` depends on `seed` and `i` alone, so that arms see the same.
    ///
    /// # Errors
    /// [`Failure::Interrupted`].
    pub fn draw(
        &self,
        prompts: &[String],
        first: Option<&[Vec<f32>]>,
        config: &SampleConfig,
        seed: u64,
    ) -> Result<Drawn, Failure> {
        let rng = Rng::new(seed);
        let (noises, size) = (rng.child("noise"), self.shape.iter().product());
        let mut drawn = Drawn {
            samples: Vec::with_capacity(prompts.len()),
            passes: 0,
        };
        for (at, prompts) in prompts.chunks(self.batch).enumerate() {
            let (from, count) = (at * self.batch, prompts.len());
            let noise: Vec<Vec<f32>> = (from..from + count)
                .map(|i| noises.item(i as u64).normals(size))
                .collect();
            let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
            let texts = TextBatch::texts(self.tower, &prompts, self.micro, self.device);
            let given = first.map(|first| Given {
                latents: self.put(&first[from..from + count]),
                frames: (0..self.shape[1]).map(|frame| frame == 0).collect(),
            });
            let sampled = sample(
                self.model,
                self.put(&noise),
                given.as_ref(),
                &texts,
                config,
                &mut rng.child("solver").item(at as u64),
                &mut |_, _| !self.stopped(),
            );
            let sampled = sampled.ok_or(Stopped::resumable())?;
            let values: Vec<f32> = sampled.latents.into_data().iter::<f32>().collect();
            drawn
                .samples
                .extend(values.chunks_exact(size).map(<[f32]>::to_vec));
            drawn.passes = sampled.passes;
        }
        Ok(drawn)
    }

    fn put(&self, samples: &[Vec<f32>]) -> Tensor<5> {
        let [channels, frames, height, width] = self.shape;
        let shape = [samples.len(), channels, frames, height, width];
        Tensor::from_data(TensorData::new(samples.concat(), shape), self.device)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Frame `frame` of a sample `[channels, frames, height, width]`, as `[channels, height, width]`.
pub(super) fn frame(sample: &[f32], shape: [usize; 4], frame: usize) -> Vec<f32> {
    let [_, frames, height, width] = shape;
    let area = height * width;
    sample
        .chunks_exact(frames * area)
        .flat_map(|plane| plane[frame * area..(frame + 1) * area].iter().copied())
        .collect()
}
