//! The toy's denoiser, a residual multi-layer perceptron, and its adapters.

use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use engine::nn::{Linear, LinearConfig};
use engine::ops::silu;
use engine::train::optim::{AdamWConfig, OptimizerConfig, step};

use super::sprites::{Sprite, VALUES};
use crate::lora_rar::FactorTensors;
use crate::lora_rar::distill::{Adapted, Update};

/// Width of the adapted layers.
pub(super) const WIDTH: usize = 64;
/// How many there are.
pub(super) const LAYERS: usize = 6;
/// Rank of the adapters.
pub(super) const RANK: usize = 4;
/// Values that tell the noise level.
const TIME: usize = 16;

/// Predicts the noise.
#[derive(Module, Debug)]
pub(super) struct Denoiser {
    input: Linear,
    layers: Vec<Linear>,
    output: Linear,
}

impl Denoiser {
    pub(super) fn new(rng: &mut Rng, device: &Device) -> Self {
        let mut linear = |input, output| LinearConfig::new(input, output).init(rng, device);
        Self {
            input: linear(VALUES + TIME, WIDTH),
            layers: (0..LAYERS).map(|_| linear(WIDTH, WIDTH)).collect(),
            output: linear(WIDTH, VALUES),
        }
    }
}

impl Adapted for Denoiser {
    /// `[rows, values + time]`.
    type Input = Tensor<2>;

    /// The noise, `[rows, values]`. Without updates the base speaks.
    fn predict(&self, input: &Tensor<2>, updates: &[Update]) -> Tensor<2> {
        let mut h = self.input.forward(input.clone());
        for (at, layer) in self.layers.iter().enumerate() {
            let mut inner = layer.forward(h.clone());
            if let Some(update) = updates.get(at) {
                inner = inner + update.apply(h.clone());
            }
            h = h + silu(inner);
        }
        self.output.forward(h)
    }
}

/// Noise levels and noise of a batch, which a pair of inputs shares.
#[derive(Clone, Debug)]
pub(super) struct Noise {
    levels: Vec<f32>,
    values: Vec<f32>,
}

impl Noise {
    pub(super) fn draw(rows: usize, rng: &mut Rng) -> Self {
        Self {
            levels: (0..rows).map(|_| 0.02 + 0.96 * rng.uniform()).collect(),
            values: rng.normals(rows * VALUES),
        }
    }

    /// Rows of the batch.
    pub(super) fn rows(&self) -> usize {
        self.levels.len()
    }

    /// The noise, `[rows, values]`.
    pub(super) fn tensor(&self, device: &Device) -> Tensor<2> {
        let data = TensorData::new(self.values.clone(), [self.levels.len(), VALUES]);
        Tensor::from_data(data, device)
    }
}

/// `cos(πt/2) · sprite + sin(πt/2) · noise` beside what tells `t`, `[rows, values + time]`.
pub(super) fn noisy(sprites: &[Sprite], noise: &Noise, device: &Device) -> Tensor<2> {
    let mut values = Vec::with_capacity(sprites.len() * (VALUES + TIME));
    let rows = sprites
        .iter()
        .zip(&noise.levels)
        .zip(noise.values.chunks_exact(VALUES));
    for ((sprite, level), noise) in rows {
        let angle = level * std::f32::consts::FRAC_PI_2;
        let (sigma, signal) = (libm::sinf(angle), libm::cosf(angle));
        values.extend(
            sprite
                .iter()
                .zip(noise)
                .map(|(x, e)| signal * x + sigma * e),
        );
        values.extend(level_embedding(*level));
    }
    Tensor::from_data(
        TensorData::new(values, [sprites.len(), VALUES + TIME]),
        device,
    )
}

fn level_embedding(level: f32) -> impl Iterator<Item = f32> {
    (0..TIME).map(move |at| {
        let phase = level * (1 + at / 2) as f32 * std::f32::consts::PI;
        if at % 2 == 0 {
            libm::sinf(phase)
        } else {
            libm::cosf(phase)
        }
    })
}

/// What one adapter is made of while it is trained.
#[derive(Module, Debug)]
struct Trained {
    down: Vec<Param<Tensor<2>>>,
    up: Vec<Param<Tensor<2>>>,
}

impl Trained {
    fn factors(&self) -> Vec<FactorTensors> {
        let pairs = self.down.iter().zip(&self.up);
        pairs
            .map(|(down, up)| FactorTensors {
                down: down.val(),
                up: up.val(),
            })
            .collect()
    }
}

/// Steps, samples of a step and learning rate.
pub(super) type Rhythm = (u64, usize, f64);

fn fit<M: Module>(
    mut model: M,
    (steps, rows, rate): Rhythm,
    rng: &Rng,
    device: &Device,
    picture: &dyn Fn(&mut Rng) -> Sprite,
    predict: &dyn Fn(&M, &Tensor<2>) -> Tensor<2>,
) -> M {
    let config = AdamWConfig {
        weight_decay: 0.0,
        ..AdamWConfig::default()
    };
    let mut optimizer = OptimizerConfig::AdamW(config).init();
    for at in 0..steps {
        let rng = &mut rng.item(at);
        let sprites: Vec<Sprite> = (0..rows).map(|_| picture(rng)).collect();
        let noise = Noise::draw(rows, rng);
        let found = predict(&model, &noisy(&sprites, &noise, device));
        let loss = (found - noise.tensor(device)).square().mean();
        // The last third cools down.
        let left = (steps - at) as f64 / steps as f64;
        let rate = rate * (3.0 * left).min(1.0);
        (model, _) = step(model, loss.backward(), optimizer.as_mut(), rate, Some(1.0));
    }
    model
}

/// A base trained on what `picture` draws; its weights stay as they are from then on.
pub(super) fn base(
    rhythm: Rhythm,
    rng: &Rng,
    device: &Device,
    picture: &dyn Fn(&mut Rng) -> Sprite,
) -> Denoiser {
    let fresh = Denoiser::new(&mut rng.child("weights"), device);
    let predict = |model: &Denoiser, input: &Tensor<2>| model.predict(input, &[]);
    fit(
        fresh,
        rhythm,
        &rng.child("steps"),
        device,
        picture,
        &predict,
    )
    .no_grad()
}

/// An adapter of `base` trained on what `picture` draws: its factors, layer by layer.
pub(super) fn adapter(
    base: &Denoiser,
    rhythm: Rhythm,
    rng: &Rng,
    device: &Device,
    picture: &dyn Fn(&mut Rng) -> Sprite,
) -> Vec<FactorTensors> {
    let mut weights = rng.child("weights");
    let mut drawn = || {
        let values = weights
            .normals(RANK * WIDTH)
            .iter()
            .map(|value| value / (WIDTH as f32).sqrt())
            .collect();
        Param::from_data(TensorData::new::<f32, _>(values, [RANK, WIDTH]), device)
    };
    let fresh = Trained {
        down: (0..LAYERS).map(|_| drawn()).collect(),
        up: (0..LAYERS)
            .map(|_| Param::from_data(TensorData::zeros::<f32, _>([WIDTH, RANK]), device))
            .collect(),
    };
    let predict = |model: &Trained, input: &Tensor<2>| {
        let factors = model.factors();
        let updates: Vec<Update> = factors.iter().map(Update::Single).collect();
        base.predict(input, &updates)
    };
    let trained = fit(
        fresh,
        rhythm,
        &rng.child("steps"),
        device,
        picture,
        &predict,
    );
    trained.no_grad().factors()
}

/// Sprites drawn from noise by `steps` of DDIM with one set of updates.
pub(super) fn sample(
    base: &Denoiser,
    updates: &[Update],
    start: &Noise,
    steps: usize,
    device: &Device,
) -> Vec<Sprite> {
    let rows = start.levels.len();
    let mut x = start.tensor(device);
    let level = |at: usize| 0.98 * (1.0 - at as f32 / steps as f32);
    let parts = |level: f32| {
        let angle = level * std::f32::consts::FRAC_PI_2;
        (libm::cosf(angle), libm::sinf(angle))
    };
    for at in 0..steps {
        let (signal, sigma) = parts(level(at));
        let time: Vec<f32> = (0..rows).flat_map(|_| level_embedding(level(at))).collect();
        let time = Tensor::from_data(TensorData::new(time, [rows, TIME]), device);
        let noise = base
            .predict(&Tensor::cat(vec![x.clone(), time], 1), updates)
            .detach();
        let clean = ((x - noise.clone() * sigma) / signal).clamp(-1.0, 1.0);
        let (signal, sigma) = parts(level(at + 1));
        x = clean * signal + noise * sigma;
    }
    let values: Vec<f32> = x
        .into_data()
        .convert::<f32>()
        .try_into_vec()
        .unwrap_or_default();
    values.chunks_exact(VALUES).map(<[f32]>::to_vec).collect()
}
