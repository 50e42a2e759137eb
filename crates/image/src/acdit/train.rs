//! Training on clean and noisy blocks in one pass (paper section 3.2).

use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};
use engine::diffusion::scheduler::SchedulerConfig;
use engine::train::{Task, TaskError};

use super::config::AcditConfig;
use super::model::Acdit;
use super::rope::Positions;

/// Share of labels that are dropped, for guidance.
pub const LABEL_DROPOUT: f32 = 0.1;

/// What the noisy blocks see of the blocks before them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Context {
    /// Clean blocks: the method.
    #[default]
    Clean,
    /// Blocks with the noise of their own timestep: the paper's ablation.
    Noisy,
}

/// Samples as blocks of tokens, with their classes.
pub trait Samples: Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the tokens of sample `index`, `blocks · block · values` numbers, to `out` and gives its class. `rng` serves
    /// augmentation.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, index: usize, rng: &mut Rng, out: &mut Vec<f32>) -> Result<usize, TaskError>;
}

/// The task of [`engine::train::train`].
pub struct AcditTask<'a, S> {
    /// Sizes.
    pub config: &'a AcditConfig,
    /// The data.
    pub samples: &'a S,
    /// Samples of a batch.
    pub batch: usize,
    /// What noisy blocks see.
    pub context: Context,
    /// Where the model is trained.
    pub device: Device,
    alphas_cumprod: Vec<f64>,
    positions: Positions,
}

/// One batch with all its draws.
#[derive(Debug)]
pub struct Batch {
    clean: Vec<f32>,
    noise: Vec<f32>,
    labels: Vec<usize>,
    timesteps: Vec<usize>,
}

impl<'a, S: Samples> AcditTask<'a, S> {
    /// A task.
    ///
    /// # Errors
    /// Where the sizes do not fit together, in words.
    pub fn new(
        config: &'a AcditConfig,
        samples: &'a S,
        batch: usize,
        context: Context,
        device: &Device,
    ) -> Result<Self, String> {
        Ok(Self {
            config,
            samples,
            batch,
            context,
            device: device.clone(),
            alphas_cumprod: SchedulerConfig::default().alphas_cumprod(),
            positions: Positions::new(config, config.ar_len, device)?,
        })
    }
}

/// `√ᾱ·clean + √(1−ᾱ)·noise` with a timestep for each block, `[batch, blocks, block, values]`.
pub fn noised(
    clean: Tensor<4>,
    noise: Tensor<4>,
    timesteps: &[usize],
    alphas_cumprod: &[f64],
) -> Tensor<4> {
    let [batch, blocks, ..] = clean.dims();
    let scale = |of: fn(f64) -> f64| {
        let values: Vec<f32> = timesteps
            .iter()
            .map(|&t| of(alphas_cumprod[t]).sqrt() as f32)
            .collect();
        Tensor::<4>::from_data(
            TensorData::new(values, [batch, blocks, 1, 1]),
            &clean.device(),
        )
    };
    let [signal, sigma] = [scale(|bar| bar), scale(|bar| 1.0 - bar)];
    clean * signal + noise * sigma
}

/// The mean squared error of the predicted noise over all noisy tokens, `[1]`.
pub fn loss(
    model: &Acdit,
    [clean, noisy, noise]: [Tensor<4>; 3],
    timesteps: &[usize],
    labels: &[usize],
    positions: &Positions,
) -> Tensor<1> {
    let t: Vec<f32> = timesteps.iter().map(|&t| t as f32).collect();
    let predicted = model.forward_train(clean, noisy, &t, labels, positions);
    (predicted - noise).square().mean()
}

impl<S: Samples> Task for AcditTask<'_, S> {
    type Model = Acdit;
    type Batch = Batch;

    fn batch(&self, _: u64, rng: &mut Rng) -> Result<Batch, TaskError> {
        let mut batch = Batch {
            clean: Vec::with_capacity(self.batch * self.config.tokens() * self.config.latent_size),
            noise: Vec::new(),
            labels: Vec::with_capacity(self.batch),
            timesteps: Vec::new(),
        };
        for _ in 0..self.batch {
            let index = rng.below(self.samples.len());
            let label = self.samples.read(index, rng, &mut batch.clean)?;
            let dropped = rng.uniform() < LABEL_DROPOUT;
            batch.labels.push(if dropped {
                self.config.num_classes
            } else {
                label
            });
        }
        batch.timesteps = (0..self.batch * self.config.ar_len)
            .map(|_| rng.below(self.alphas_cumprod.len()))
            .collect();
        batch.noise = rng.normals(batch.clean.len());
        Ok(batch)
    }

    fn loss(&self, model: &Acdit, batch: Batch) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let config = self.config;
        let shape = [
            self.batch,
            config.ar_len,
            config.block_size,
            config.latent_size,
        ];
        let [clean, noise] = [batch.clean, batch.noise]
            .map(|values| Tensor::<4>::from_data(TensorData::new(values, shape), &self.device));
        let noisy = noised(
            clean.clone(),
            noise.clone(),
            &batch.timesteps,
            &self.alphas_cumprod,
        );
        let context = match self.context {
            Context::Clean => clean,
            Context::Noisy => noisy.clone(),
        };
        let loss = loss(
            model,
            [context, noisy, noise],
            &batch.timesteps,
            &batch.labels,
            &self.positions,
        );
        (loss, Vec::new())
    }

    fn samples(&self) -> usize {
        self.batch
    }
}
