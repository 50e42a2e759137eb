//! A trained model with its text tower: prompts in, pictures and clips out.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use engine::data::pack::Style;
use engine::media::{Clip, MediaError, Picture};
use engine::rng::Rng;
use engine::weights::{self, Precision, TensorFile, Weights, WeightsError};

use super::checkpoint::{self, CONFIG_KEY};
use super::config::StivConfig;
use super::data::{FRAMES, SIZE, clip_micro, clip_to_unit, picture_micro};
use super::model::Stiv;
use super::sample::{Given, SampleConfig, sample};
use super::text::{TextBatch, TextTower, Understood, WordTower};
use super::tower;

/// Metadata keys of a trained file beside the config.
pub const NOTES: [&str; 3] = ["orrery.command", "orrery.seed", "orrery.data"];
/// Milliseconds that a frame of a made clip is shown: every third frame at 24 a second.
const DELAY_MS: u32 = 125;
/// Most samples that walk through the network together.
const LARGEST_BATCH: usize = 8;

/// A trained model that draws.
pub struct Studio {
    /// The transformer.
    pub model: Stiv,
    /// Its shape.
    pub config: StivConfig,
    /// Its text tower.
    pub tower: WordTower,
    /// Where the weights came from.
    pub origin: String,
    device: Device,
}

/// What to draw.
#[derive(Clone, Debug)]
pub struct Order {
    /// What is to be seen.
    pub prompt: String,
    /// In whose style; a style named in the prompt wins.
    pub style: Option<Style>,
    /// How many samples.
    pub count: usize,
    /// Sample `i` depends on `seed` and `i` only.
    pub seed: u64,
    /// How to sample.
    pub sample: SampleConfig,
}

/// Frames that a clip starts from: `(index, picture)`, indices below 16.
pub type KnownFrames = Vec<(usize, Picture)>;

/// Called after each step of each batch with the steps done and to do; false stops the work.
pub type EachStep<'a> = &'a mut dyn FnMut(usize, usize) -> bool;

impl Studio {
    /// Reads a file that `orrery stiv train` wrote.
    ///
    /// # Errors
    /// When the file is no whole checkpoint with a text tower, or its parts do not fit.
    pub fn open(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        let config = checkpoint::read_config(weights)?;
        let model = config.init(&mut Rng::new(0), device);
        let keys = checkpoint::key_map().ignore("text.");
        let model = weights::load(model, weights, &keys)?;
        let tower = tower::read(weights)?;
        if tower.width != config.context {
            return Err(weights.unfit(format!(
                "its text tower is {} wide, its model expects {}",
                tower.width, config.context
            )));
        }
        Ok(Self {
            model,
            config,
            tower,
            origin: weights.origin().to_owned(),
            device: device.clone(),
        })
    }

    /// Writes model and tower as one file; `notes` go to the metadata.
    ///
    /// # Errors
    /// When a value does not fit `precision`, or the file cannot be written.
    pub fn save(
        model: &Stiv,
        config: &StivConfig,
        tower: &WordTower,
        notes: &[(&str, &str)],
        precision: Precision,
        path: &Path,
    ) -> Result<(), WeightsError> {
        let mut file = TensorFile::new();
        for (key, value) in notes {
            file.note(*key, *value);
        }
        file.note(
            CONFIG_KEY,
            serde_json::to_string(config).unwrap_or_default(),
        );
        weights::collect(model, &checkpoint::key_map(), precision, &mut file)?;
        tower::write(tower, &mut file, precision)?;
        file.write(path)
    }

    /// What the tower makes of a prompt.
    pub fn understand(&self, prompt: &str) -> Understood {
        self.tower.understand(prompt)
    }

    /// Draws pictures, `count` of them, 32×32. The model must be a picture model (one frame a patch).
    ///
    /// # Errors
    /// When the network's output is no picture (damaged weights).
    pub fn pictures(&self, order: &Order, each_step: EachStep) -> Result<Vec<Picture>, MediaError> {
        let samples = self.draw(order, 1, picture_micro(0.0, 0.0), &[], each_step);
        samples
            .iter()
            .map(|sample| Picture::from_unit(sample, SIZE as u32, SIZE as u32))
            .collect()
    }

    /// Draws clips of 16 frames, 32×32, that go through `known` frames. The model must be a clip model.
    ///
    /// # Errors
    /// When the network's output is no clip (damaged weights).
    pub fn clips(
        &self,
        order: &Order,
        known: &[(usize, Picture)],
        each_step: EachStep,
    ) -> Result<Vec<Clip>, MediaError> {
        let samples = self.draw(order, FRAMES, clip_micro(), known, each_step);
        samples
            .iter()
            .map(|sample| {
                let frames = (0..FRAMES)
                    .map(|frame| {
                        Picture::from_unit(&frame_of(sample, frame), SIZE as u32, SIZE as u32)
                    })
                    .collect::<Result<_, _>>()?;
                Clip::new(frames, DELAY_MS)
            })
            .collect()
    }

    /// Samples as `[3, frames, 32, 32]` in about `[-1, 1]`.
    fn draw(
        &self,
        order: &Order,
        frames: usize,
        micro: [f32; 6],
        known: &[(usize, Picture)],
        each_step: EachStep,
    ) -> Vec<Vec<f32>> {
        let draws = Rng::new(order.seed).child("noise");
        let prompt = self.full_prompt(order);
        let size = 3 * frames * SIZE * SIZE;
        let batches = order.count.div_ceil(LARGEST_BATCH);
        let total = batches * order.sample.steps;
        let mut samples = Vec::new();
        for batch in 0..batches {
            let first = batch * LARGEST_BATCH;
            let count = LARGEST_BATCH.min(order.count - first);
            let shape = [count, 3, frames, SIZE, SIZE];
            let noise: Vec<f32> = (first..first + count)
                .flat_map(|i| draws.item(i as u64).normals(size))
                .collect();
            let noise = Tensor::from_data(TensorData::new(noise, shape), &self.device);
            let text = self.tower.encode(&vec![prompt.as_str(); count]);
            let nothing = TextBatch::empty(count, text.keys, text.width);
            let condition = text.condition(vec![micro; count], &self.device);
            let null = nothing.condition(vec![micro; count], &self.device);
            let given = (!known.is_empty()).then(|| self.given(known, frames, count));
            let mut more = true;
            let sampled = sample(
                &self.model,
                noise,
                given.as_ref(),
                &condition,
                &null,
                &order.sample,
                &mut draws.child("solver").item(batch as u64),
                &mut |step, _| {
                    more = each_step(batch * order.sample.steps + step + 1, total);
                    more
                },
            );
            let values: Vec<f32> = sampled.latents.into_data().iter::<f32>().collect();
            samples.extend(values.chunks_exact(size).map(<[f32]>::to_vec));
            if !more {
                break;
            }
        }
        samples
    }

    /// The prompt with the order's style, unless the prompt names one.
    fn full_prompt(&self, order: &Order) -> String {
        match (self.understand(&order.prompt).style, order.style) {
            (None, Some(style)) => format!("{} {style}", order.prompt),
            _ => order.prompt.clone(),
        }
    }

    /// Known frames for `count` samples.
    fn given(&self, known: &[(usize, Picture)], frames: usize, count: usize) -> Given {
        let white = Picture::filled(SIZE as u32, SIZE as u32, [255; 3]);
        let mut strip = vec![white; frames];
        let mut mask = vec![false; frames];
        for (at, picture) in known.iter().filter(|(at, _)| *at < frames) {
            strip[*at] = picture.resize_square(SIZE as u32);
            mask[*at] = true;
        }
        let values = clip_to_unit(&strip);
        let shape = [1, 3, frames, SIZE, SIZE];
        let latents = Tensor::<5>::from_data(TensorData::new(values, shape), &self.device);
        Given {
            latents: latents.repeat_dim(0, count),
            frames: mask,
        }
    }
}

/// One frame `[3, 32, 32]` of `[3, frames, 32, 32]`.
fn frame_of(sample: &[f32], frame: usize) -> Vec<f32> {
    let area = SIZE * SIZE;
    sample
        .chunks_exact(sample.len() / 3)
        .flat_map(|plane| plane[frame * area..(frame + 1) * area].iter().copied())
        .collect()
}
