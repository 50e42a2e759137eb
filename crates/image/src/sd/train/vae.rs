//! Training the autoencoder: pictures as they are, small differences between neighbours, and little more than what latents need.

use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};
use engine::models::autoencoder_kl::{AutoencoderKl, AutoencoderKlConfig};
use engine::train::{Task, TaskError};
use serde_json::{Value, json};

use super::data::{CHANNELS, Grid, Moved, Pair, SIDE};

/// Probability that the encoder sees a picture on white, as files without transparency hold it; it learns to guess the rest.
const OPAQUE: f32 = 0.3;
/// Largest shift of a picture in pixels.
const LARGEST_SHIFT: usize = 3;
/// Pictures that are encoded at once.
pub const AT_ONCE: usize = 32;

/// An autoencoder for pictures with transparency.
pub fn config(channels: &[usize], layers: usize, latents: usize) -> AutoencoderKlConfig {
    AutoencoderKlConfig {
        in_channels: CHANNELS,
        out_channels: CHANNELS,
        latent_channels: latents,
        block_out_channels: channels.to_vec(),
        layers_per_block: layers,
        norm_num_groups: 8,
        // Latents have deviation 1 by themselves.
        scaling_factor: 1.0,
    }
}

/// The `config.json` that diffusers reads.
pub fn json_of(config: &AutoencoderKlConfig) -> Value {
    let levels = config.block_out_channels.len();
    json!({
        "_class_name": "AutoencoderKL", "act_fn": "silu", "sample_size": SIDE,
        "in_channels": config.in_channels, "out_channels": config.out_channels,
        "latent_channels": config.latent_channels, "block_out_channels": config.block_out_channels,
        "layers_per_block": config.layers_per_block, "norm_num_groups": config.norm_num_groups,
        "scaling_factor": config.scaling_factor,
        "down_block_types": vec!["DownEncoderBlock2D"; levels], "up_block_types": vec!["UpDecoderBlock2D"; levels],
    })
}

/// The task of [`engine::train::train`].
pub struct VaeTask<'a> {
    pub grid: &'a Grid,
    /// What is trained on.
    pub pairs: Vec<Pair>,
    pub batch: usize,
    /// Weight of the divergence from a standard normal.
    pub kl: f32,
    pub config: &'a AutoencoderKlConfig,
    pub device: Device,
}

/// One batch with all its draws.
pub struct Batch {
    seen: Vec<f32>,
    wanted: Vec<f32>,
    noise: Vec<f32>,
}

fn tensor(values: Vec<f32>, shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

impl VaeTask<'_> {
    fn latents(&self) -> [usize; 3] {
        let side = SIDE >> (self.config.block_out_channels.len() - 1);
        [self.config.latent_channels, side, side]
    }
}

impl Task for VaeTask<'_> {
    type Model = AutoencoderKl;
    type Batch = Batch;

    fn batch(&self, _: u64, rng: &mut Rng) -> Result<Batch, TaskError> {
        let mut wanted = Vec::with_capacity(self.batch * CHANNELS * SIDE * SIDE);
        let mut seen = Vec::with_capacity(wanted.capacity());
        for _ in 0..self.batch {
            let pair = self.pairs[rng.below(self.pairs.len())];
            let span = 2 * LARGEST_SHIFT + 1;
            let by = [0; 2].map(|_: isize| rng.below(span) as isize - LARGEST_SHIFT as isize);
            let moved = Moved {
                by,
                mirrored: rng.chance(0.5),
            };
            let from = wanted.len();
            self.grid.values(pair, moved, &mut wanted);
            seen.extend_from_slice(&wanted[from..]);
            if rng.chance(OPAQUE) {
                seen[from + 3 * SIDE * SIDE..].fill(1.0);
            }
        }
        let count = self.batch * self.latents().iter().product::<usize>();
        Ok(Batch {
            seen,
            wanted,
            noise: rng.normals(count),
        })
    }

    fn loss(&self, model: &AutoencoderKl, batch: Batch) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let shape = [self.batch, CHANNELS, SIDE, SIDE];
        let [seen, wanted] =
            [batch.seen, batch.wanted].map(|values| tensor(values, shape, &self.device));
        let [channels, height, width] = self.latents();
        let shape = [self.batch, channels, height, width];
        let posterior = model.encode(seen);
        let noise = tensor(batch.noise, shape, &self.device);
        let off = model.decode(posterior.sample(noise)) - wanted;
        let along = |dim: usize| {
            let last = SIDE - 1;
            (off.clone().narrow(dim, 1, last) - off.clone().narrow(dim, 0, last))
                .abs()
                .mean()
        };
        let edges = along(2) + along(3);
        let pixels = off.abs().mean();
        let (mean, log) = (posterior.mean, posterior.logvar);
        let kl = ((mean.square() + log.clone().exp() - log - 1.0) * 0.5).mean();
        let figures = [&pixels, &edges, &kl].map(|figure| figure.clone().into_scalar::<f32>());
        let loss = pixels + edges + kl * self.kl;
        let names = ["pixels", "edges", "kl"];
        (loss, names.into_iter().zip(figures).collect())
    }

    fn samples(&self) -> usize {
        self.batch
    }
}

/// What the encoder says of pairs: means and logarithms of variances, each `[pairs · channels · height · width]`. `watch` hears
/// of pairs done and in all.
pub fn encode(
    model: &AutoencoderKl,
    grid: &Grid,
    pairs: &[Pair],
    device: &Device,
    watch: &mut dyn FnMut(usize, usize),
) -> [Vec<f32>; 2] {
    let mut out = [Vec::new(), Vec::new()];
    for (at, some) in pairs.chunks(AT_ONCE).enumerate() {
        watch(at * AT_ONCE, pairs.len());
        let mut values = Vec::new();
        for pair in some {
            grid.values(*pair, Moved::default(), &mut values);
        }
        let shape = [some.len(), CHANNELS, SIDE, SIDE];
        let posterior = model.encode(tensor(values, shape, device));
        for (out, tensor) in out.iter_mut().zip([posterior.mean, posterior.logvar]) {
            out.extend(tensor.into_data().iter::<f32>());
        }
    }
    out
}

/// The autoencoder with latents of mean 0 and deviation 1 over `pairs`, channel by channel.
pub fn standardised(
    model: AutoencoderKl,
    config: &AutoencoderKlConfig,
    grid: &Grid,
    pairs: &[Pair],
    device: &Device,
) -> AutoencoderKl {
    let [means, logs] = encode(&model, grid, pairs, device, &mut |_, _| {});
    let channels = config.latent_channels;
    let plane = means.len() / (pairs.len() * channels).max(1);
    let mut sums = vec![[0.0f64; 3]; channels];
    for (at, (mean, log)) in means.iter().zip(&logs).enumerate() {
        let sum = &mut sums[at / plane % channels];
        let mean = f64::from(*mean);
        sum[0] += mean;
        sum[1] += mean * mean;
        sum[2] += libm::exp(f64::from(*log));
    }
    let count = (pairs.len() * plane).max(1) as f64;
    let mean: Vec<f32> = sums.iter().map(|it| (it[0] / count) as f32).collect();
    let deviation = |it: &[f64; 3]| {
        let mean = it[0] / count;
        let spread = it[1] / count - mean * mean + it[2] / count;
        spread.max(1e-12).sqrt() as f32
    };
    let deviation: Vec<f32> = sums.iter().map(deviation).collect();
    model.standardised(&mean, &deviation)
}

/// The mean of the peak signal-to-noise ratios, in decibels, of pairs that went through the autoencoder: colours on white, and
/// how much is covered.
pub fn fidelity(model: &AutoencoderKl, grid: &Grid, pairs: &[Pair], device: &Device) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for some in pairs.chunks(AT_ONCE) {
        let mut values = Vec::new();
        for pair in some {
            grid.values(*pair, Moved::default(), &mut values);
        }
        let shape = [some.len(), CHANNELS, SIDE, SIDE];
        let mean = model.encode(tensor(values.clone(), shape, device)).mean;
        let made: Vec<f32> = model.decode(mean).into_data().iter::<f32>().collect();
        let size = CHANNELS * SIDE * SIDE;
        for (made, real) in made.chunks(size).zip(values.chunks(size)) {
            let (colours, cover) = (0..3 * SIDE * SIDE, 3 * SIDE * SIDE..size);
            for (sum, part) in sums.iter_mut().zip([colours, cover]) {
                let pairs = made[part.clone()].iter().zip(&real[part.clone()]);
                let off = pairs.map(|(a, b)| f64::from(a.clamp(-1.0, 1.0) - b).powi(2));
                let mean = off.sum::<f64>() / part.len() as f64;
                *sum += 10.0 * libm::log10(4.0 / mean.max(1e-8));
            }
        }
    }
    sums.map(|sum| sum / pairs.len().max(1) as f64)
}
