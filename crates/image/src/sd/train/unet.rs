//! Training the U-Net together with the text encoder: the velocity of noised latents under a prompt.

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use clap::ValueEnum;
use engine::diffusion::scheduler::SchedulerConfig;
use engine::models::clip_text::ClipText;
use engine::models::unet2d::{Depths, PerBlock, Unet2d, Unet2dConfig, UnetConditions};
use engine::text::Tokenizer;
use engine::train::{Task, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::data::{Grid, Pair};
use super::{prompts, text};

/// Probability that a prompt is dropped, for guidance.
const TEXT_DROPOUT: f32 = 0.1;
/// Draws a pair is measured with.
const MEASURED: usize = 4;

/// How timesteps are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeDraw {
    /// All as often
    Uniform,
    /// Half of them from the noisiest quarter, where what a picture shows is decided
    #[default]
    Noisy,
}

/// A U-Net over latents of `side`, with transformers at all resolutions from `attention` on (0 is the finest).
pub fn config(
    channels: &[usize],
    layers: usize,
    attention: usize,
    [latents, side, context]: [usize; 3],
) -> Unet2dConfig {
    let kind = |level: usize, way: &str| match level >= attention {
        true => format!("CrossAttn{way}Block2D"),
        false => format!("{way}Block2D"),
    };
    let levels = 0..channels.len();
    Unet2dConfig {
        in_channels: latents,
        out_channels: latents,
        sample_size: Some(side),
        down_block_types: levels.clone().map(|at| kind(at, "Down")).collect(),
        up_block_types: levels.rev().map(|at| kind(at, "Up")).collect(),
        block_out_channels: channels.to_vec(),
        layers_per_block: PerBlock::Same(layers),
        norm_num_groups: 16,
        cross_attention_dim: PerBlock::Same(context),
        attention_head_dim: PerBlock::Each(channels.iter().map(|c| (c / 32).max(1)).collect()),
        transformer_layers_per_block: Depths::Same(1),
        use_linear_projection: true,
        ..Unet2dConfig::default()
    }
}

/// The `config.json` that diffusers reads.
pub fn json_of(config: &Unet2dConfig) -> Result<Value, serde_json::Error> {
    let mut all = serde_json::to_value(config)?;
    if let Some(all) = all.as_object_mut() {
        all.retain(|_, value| !value.is_null());
        all.insert("_class_name".into(), "UNet2DConditionModel".into());
    }
    Ok(all)
}

/// The noise schedule: the squared cosine, velocity, and sampling from pure noise.
pub fn scheduler() -> Value {
    json!({
        "_class_name": "DPMSolverMultistepScheduler", "num_train_timesteps": 1000, "beta_schedule": "squaredcos_cap_v2",
        "prediction_type": "v_prediction", "timestep_spacing": "trailing", "set_alpha_to_one": true,
    })
}

/// What is trained.
#[derive(Module, Debug)]
pub struct Draws {
    pub unet: Unet2d,
    pub tower: ClipText,
}

/// The task of [`engine::train::train`].
pub struct UnetTask<'a> {
    pub grid: &'a Grid,
    pub tokenizer: &'a Tokenizer,
    /// Begin and end of a prompt.
    pub ends: [u32; 2],
    /// What is trained on.
    pub pairs: Vec<Pair>,
    /// Means and logarithms of variances of the latents of each.
    pub latents: [Vec<f32>; 2],
    /// Channels, height and width of latents.
    pub shape: [usize; 3],
    pub times: TimeDraw,
    pub batch: usize,
    /// ᾱ of each timestep.
    pub bars: Vec<f64>,
    pub device: Device,
}

/// One batch with all its draws.
pub struct Batch {
    noisy: Vec<f32>,
    wanted: Vec<f32>,
    times: Vec<f64>,
    rows: Vec<Vec<u32>>,
}

/// ᾱ of the schedule of [`scheduler`].
pub fn bars() -> Result<Vec<f64>, serde_json::Error> {
    let config: SchedulerConfig = serde_json::from_value(scheduler())?;
    Ok(config.alphas_cumprod())
}

impl UnetTask<'_> {
    /// Adds latents with the noise of timestep `t`, and their velocity `α·ε − σ·x₀`.
    fn noise(&self, x0: impl Iterator<Item = f32>, t: usize, rng: &mut Rng, batch: &mut Batch) {
        let bar = self.bars[t];
        let [alpha, sigma] = [bar.sqrt() as f32, (1.0 - bar).sqrt() as f32];
        for x0 in x0 {
            let noise = rng.normal();
            batch.noisy.push(alpha * x0 + sigma * noise);
            batch.wanted.push(alpha * noise - sigma * x0);
        }
        batch.times.push(t as f64);
    }

    /// Squared errors of each sample, `[batch]`.
    fn errors(&self, model: &Draws, batch: Batch) -> Result<Tensor<1>, String> {
        let [channels, height, width] = self.shape;
        let count = batch.times.len();
        let [noisy, wanted] = [batch.noisy, batch.wanted].map(|values| {
            let data = TensorData::new(values, [count, channels, height, width]);
            Tensor::<4>::from_data(data, &self.device)
        });
        let context = model.tower.forward(&batch.rows)?.last;
        let conditions = UnetConditions::text(context);
        let out = model
            .unet
            .forward(noisy, &batch.times, &conditions, &mut ());
        let off = (out - wanted).square();
        let all = off.reshape([count, channels * height * width]);
        Ok(all.mean_dim(1).squeeze_dim(1))
    }

    /// The mean squared error of the velocity of `pairs` under their plainest prompts, at timesteps spread over all, always with
    /// the same noise: `latents` are their means.
    ///
    /// # Errors
    /// When a prompt cannot be written in the vocabulary.
    pub fn measure(&self, model: &Draws, pairs: &[Pair], latents: &[f32]) -> Result<f64, String> {
        let size = self.shape.iter().product::<usize>();
        let mut sum = 0.0;
        for (from, some) in pairs.chunks(self.batch).enumerate() {
            let mut batch = Batch::new();
            for (at, pair) in some.iter().enumerate() {
                let place = from * self.batch + at;
                let prompt = prompts::plain(&self.grid.subjects[pair.subject], pair.style);
                let row = text::row(self.tokenizer, &prompt, self.ends);
                let row = row.map_err(|error| error.to_string())?;
                for draw in 0..MEASURED {
                    let mut rng = Rng::new(0)
                        .child("measure")
                        .item((place * MEASURED + draw) as u64);
                    let t = (2 * draw + 1) * self.bars.len() / (2 * MEASURED);
                    let x0 = latents[place * size..(place + 1) * size].iter().copied();
                    self.noise(x0, t, &mut rng, &mut batch);
                    batch.rows.push(row.clone());
                }
            }
            let errors = self.errors(model, batch)?.into_data();
            sum += errors.iter::<f32>().map(f64::from).sum::<f64>();
        }
        Ok(sum / (pairs.len() * MEASURED).max(1) as f64)
    }
}

impl Batch {
    fn new() -> Self {
        Self {
            noisy: Vec::new(),
            wanted: Vec::new(),
            times: Vec::new(),
            rows: Vec::new(),
        }
    }
}

impl Task for UnetTask<'_> {
    type Model = Draws;
    type Batch = Batch;

    fn batch(&self, _: u64, rng: &mut Rng) -> Result<Batch, TaskError> {
        let size = self.shape.iter().product::<usize>();
        let mut batch = Batch::new();
        for _ in 0..self.batch {
            let at = rng.below(self.pairs.len());
            let pair = self.pairs[at];
            let prompt = match rng.chance(TEXT_DROPOUT) {
                true => String::new(),
                false => prompts::prompt(&self.grid.subjects[pair.subject], pair.style, rng),
            };
            batch
                .rows
                .push(text::row(self.tokenizer, &prompt, self.ends)?);
            let uniform = rng.uniform();
            let share = match self.times {
                TimeDraw::Uniform => uniform,
                TimeDraw::Noisy => 1.0 - uniform * uniform,
            };
            let last = self.bars.len() - 1;
            let t = ((share * self.bars.len() as f32) as usize).min(last);
            let [means, logs] = &self.latents;
            let place = at * size..(at + 1) * size;
            let spread = logs[place.clone()].iter().map(|log| libm::expf(0.5 * log));
            let x0: Vec<f32> = means[place]
                .iter()
                .zip(spread)
                .map(|(mean, spread)| mean + spread * rng.normal())
                .collect();
            self.noise(x0.into_iter(), t, rng, &mut batch);
        }
        Ok(batch)
    }

    fn loss(&self, model: &Draws, batch: Batch) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        match self.errors(model, batch) {
            Ok(errors) => (errors.mean(), Vec::new()),
            // The rows fit by construction; the loop says that nothing is learnt.
            Err(_) => (Tensor::zeros([1], &self.device), Vec::new()),
        }
    }

    fn samples(&self) -> usize {
        self.batch
    }
}
