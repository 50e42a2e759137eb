//! A trained model with its text tower: prompts in, pictures and clips out.

use std::path::Path;

use base::hash::{FNV_START, fnv1a};
use base::media::{Clip, MediaError, Picture};
use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};
use engine::data::pack::Style;
use engine::diffusion::Solver;
use engine::weights::{self, Precision, TensorFile, Weights, WeightsError};

use super::checkpoint::{self, CONFIG_KEY};
use super::clips::{FRAMES, clip_micro, clip_to_unit};
use super::config::StivConfig;
use super::data::{SIZE, picture_micro};
use super::model::Stiv;
use super::sample::{Given, SampleConfig, sample};
use super::text::{TextBatch, Understood, WordTower};
use super::tower;

/// Metadata keys of a trained file beside the config.
pub const NOTES: [&str; 3] = ["orrery.command", "orrery.seed", "orrery.data"];
/// Metadata key of the fingerprint by which a picture names the weights that made it.
const ID_KEY: &str = "orrery.id";
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
    /// Fingerprint of the weights; empty where the file has none.
    pub id: String,
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
    /// Seed of the first sample; the next ones count on.
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
        checkpoint::check_sizes(weights, &config)?;
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
            id: weights.metadata().get(ID_KEY).cloned().unwrap_or_default(),
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
        file.note(
            CONFIG_KEY,
            serde_json::to_string(config).unwrap_or_default(),
        );
        weights::collect(model, &checkpoint::key_map(), precision, &mut file)?;
        tower::write(tower, &mut file, precision)?;
        file.note(ID_KEY, fingerprint(&file.to_bytes()));
        for (key, value) in notes {
            file.note(*key, *value);
        }
        file.write(path)
    }

    /// What the tower makes of a prompt.
    pub fn understand(&self, prompt: &str) -> Understood {
        self.tower.understand(prompt)
    }

    /// Why this model cannot draw pictures (or clips), if it cannot.
    pub fn problem(&self, clips: bool) -> Option<String> {
        let StivConfig {
            channels,
            temporal_patch,
            spatial_patch,
            ..
        } = self.config;
        if channels != 3 {
            return Some(format!("it makes {channels} channels, not RGB"));
        }
        if !SIZE.is_multiple_of(spatial_patch) {
            return Some(format!(
                "its patch of {spatial_patch} does not divide {SIZE}"
            ));
        }
        match (clips, temporal_patch) {
            (false, 1) => None,
            (false, _) => Some("it is a clip model: use a picture model, or ask for a clip".into()),
            (true, 1) => {
                Some("it is a picture model: use a clip model, or ask for a picture".into())
            }
            (true, patch) if !FRAMES.is_multiple_of(patch) => Some(format!(
                "its patch of {patch} frames does not divide {FRAMES}"
            )),
            (true, _) => None,
        }
    }

    /// Draws pictures, `count` of them, 32×32; picture `i` is what the seed `order.seed + i` alone would give. The model
    /// must be a picture model (one frame a patch).
    ///
    /// # Errors
    /// When the network's output is no picture (damaged weights).
    pub fn pictures(&self, order: &Order, each_step: EachStep) -> Result<Vec<Picture>, MediaError> {
        let micro = picture_micro(0.0, 0.0);
        let samples = self.draw(order, 1, micro, &[], each_step)?;
        samples.iter().map(|sample| picture(sample)).collect()
    }

    /// Draws clips of 16 frames, 32×32, that go through `known` frames; clip `i` is what the seed `order.seed + i` alone
    /// would give. The model must be a clip model.
    ///
    /// # Errors
    /// When the network's output is no clip (damaged weights).
    pub fn clips(
        &self,
        order: &Order,
        known: &[(usize, Picture)],
        each_step: EachStep,
    ) -> Result<Vec<Clip>, MediaError> {
        let samples = self.draw(order, FRAMES, clip_micro(), known, each_step)?;
        samples.iter().map(|sample| clip(sample)).collect()
    }

    /// Samples as `[3, frames, 32, 32]` in about `[-1, 1]`.
    fn draw(
        &self,
        order: &Order,
        frames: usize,
        micro: [f32; 6],
        known: &[(usize, Picture)],
        each_step: EachStep,
    ) -> Result<Vec<Vec<f32>>, MediaError> {
        let prompt = self.full_prompt(order);
        let noise_of = |i: usize| {
            let seed = order.seed.wrapping_add(i as u64);
            Rng::new(seed).child("noise").item(0)
        };
        let size = 3 * frames * SIZE * SIZE;
        // A batch shares the draws of the stochastic solver: there every sample walks alone.
        let together = match order.sample.solver {
            Solver::Euler => LARGEST_BATCH,
            Solver::Sde => 1,
        };
        let batches = order.count.div_ceil(together);
        let total = batches * order.sample.steps;
        let mut samples = Vec::new();
        for batch in 0..batches {
            let first = batch * together;
            let count = together.min(order.count - first);
            let shape = [count, 3, frames, SIZE, SIZE];
            let noise: Vec<f32> = (first..first + count)
                .flat_map(|i| noise_of(i).normals(size))
                .collect();
            let noise = Tensor::from_data(TensorData::new(noise, shape), &self.device);
            let prompts = vec![prompt.as_str(); count];
            let texts = TextBatch::texts(&self.tower, &prompts, micro, &self.device);
            let given = (!known.is_empty()).then(|| self.given(known, frames, count));
            let mut more = true;
            let sampled = sample(
                &self.model,
                noise,
                given.as_ref(),
                &texts,
                &order.sample,
                &mut noise_of(first).child("solver"),
                &mut |step, _| {
                    more = each_step(batch * order.sample.steps + step + 1, total);
                    more
                },
            );
            let values: Vec<f32> = sampled.latents.into_data().iter::<f32>().collect();
            if !values.iter().all(|value| value.is_finite()) {
                let cause = "the network's output is not finite: its weights are damaged";
                return Err(MediaError::Encode(cause.into()));
            }
            samples.extend(values.chunks_exact(size).map(<[f32]>::to_vec));
            if !more {
                break;
            }
        }
        Ok(samples)
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

fn picture(sample: &[f32]) -> Result<Picture, MediaError> {
    Picture::from_unit(sample, SIZE as u32, SIZE as u32)
}

fn clip(sample: &[f32]) -> Result<Clip, MediaError> {
    let frames = (0..FRAMES).map(|frame| picture(&frame_of(sample, frame)));
    Clip::new(frames.collect::<Result<_, _>>()?, DELAY_MS)
}

/// One frame `[3, 32, 32]` of `[3, frames, 32, 32]`.
fn frame_of(sample: &[f32], frame: usize) -> Vec<f32> {
    let area = SIZE * SIZE;
    sample
        .chunks_exact(sample.len() / 3)
        .flat_map(|plane| plane[frame * area..(frame + 1) * area].iter().copied())
        .collect()
}

/// 16 hexadecimal digits that tell weights apart.
fn fingerprint(bytes: &[u8]) -> String {
    format!("{:016x}", fnv1a(FNV_START, bytes.iter().copied()))
}
