//! Inverting Gradients: signed Adam on the pictures, total variation, a box.

use std::ops::Range;

use base::rng::Rng;

use super::cost::total_variation;
use super::observation::{Guess, Observation};
use crate::error::Result;
use crate::hyperfl::loss::Targets;

/// Settings; those of the published attack by default.
#[derive(Clone, Debug, PartialEq)]
pub struct InvertConfig {
    /// Steps of Adam.
    pub iterations: usize,
    /// Learning rate of the pictures; a tenth after 3/8, 5/8 and 7/8 of the steps.
    pub lr: f32,
    /// Learning rate of unknown parameters, which are stepped by plain Adam.
    pub params_lr: f32,
    /// Weight of the total variation.
    pub tv: f64,
    /// Whether Adam sees only the sign of the pictures' gradient.
    pub signed: bool,
    /// Values that a pixel can have.
    pub range: [f32; 2],
    /// Channels, rows, columns.
    pub shape: [usize; 3],
    /// Places of the parameters that are unknown and varied too.
    pub unknown: Vec<Range<usize>>,
}

impl InvertConfig {
    /// The published settings for pictures of `shape`.
    pub fn new(shape: [usize; 3]) -> Self {
        Self {
            iterations: 4800,
            lr: 0.1,
            params_lr: 0.01,
            tv: 0.1,
            signed: true,
            range: [0.0, 1.0],
            shape,
            unknown: Vec::new(),
        }
    }
}

/// What an attack found.
#[derive(Clone, Debug)]
pub struct Reconstruction {
    /// The guess.
    pub guess: Guess,
    /// Distance, with the total variation, before each step.
    pub trace: Vec<f64>,
    /// Cosine reached between what the guess would have sent and what was seen.
    pub cosine: f64,
}

/// State of Adam for a list of values.
struct Adam {
    mean: Vec<f32>,
    square: Vec<f32>,
}

impl Adam {
    fn new(len: usize) -> Self {
        let zeros = || vec![0.0; len];
        Self {
            mean: zeros(),
            square: zeros(),
        }
    }

    fn step(&mut self, values: &mut [f32], grad: impl Iterator<Item = f32>, lr: f32, at: usize) {
        let [b1, b2] = [0.9f64, 0.999];
        let count = at as i32 + 1;
        let [c1, c2] = [1.0 - b1.powi(count), 1.0 - b2.powi(count)];
        let state = self.mean.iter_mut().zip(&mut self.square);
        for ((value, (mean, square)), grad) in values.iter_mut().zip(state).zip(grad) {
            *mean = 0.9 * *mean + 0.1 * grad;
            *square = 0.999 * *square + 0.001 * grad * grad;
            let spread = (f64::from(*square) / c2).sqrt() + 1e-8;
            *value -= lr * (f64::from(*mean) / c1 / spread) as f32;
        }
    }
}

/// Makes the distance of `start` small; `watch` gets each step's number and the guess after it, and can stop the attack.
///
/// # Errors
/// Where lengths do not fit the model; what `watch` says.
pub fn invert(
    observation: &dyn Observation,
    start: Guess,
    config: &InvertConfig,
    watch: &mut dyn FnMut(usize, &Guess) -> Result<()>,
) -> Result<Reconstruction> {
    let mut guess = start;
    let mut trace = Vec::with_capacity(config.iterations);
    let mut adam = Adam::new(guess.pictures.len());
    let mut others: Vec<Adam> = config.unknown.iter().map(|r| Adam::new(r.len())).collect();
    let milestones = [2.667, 1.6, 1.142].map(|part| (config.iterations as f64 / part) as usize);
    for at in 0..config.iterations {
        let passed = milestones
            .iter()
            .filter(|milestone| at >= **milestone)
            .count();
        let fade = 0.1f32.powi(passed as i32);
        let compared = observation.compare(&guess)?;
        let (smooth, of_smooth) = total_variation(&guess.pictures, config.shape);
        trace.push(compared.cost + config.tv * smooth);
        let grad = compared
            .pictures
            .iter()
            .zip(&of_smooth)
            .map(|(cost, smooth)| {
                let grad = cost + config.tv as f32 * smooth;
                match config.signed {
                    true if grad == 0.0 || grad.is_nan() => 0.0,
                    true => grad.signum(),
                    false => grad,
                }
            });
        adam.step(&mut guess.pictures, grad, config.lr * fade, at);
        for value in &mut guess.pictures {
            *value = value.clamp(config.range[0], config.range[1]);
        }
        for (range, adam) in config.unknown.iter().zip(&mut others) {
            let grad = compared.params[range.clone()].iter().copied();
            let values = &mut guess.params[range.clone()];
            adam.step(values, grad, config.params_lr * fade, at);
        }
        watch(at, &guess)?;
    }
    let cosine = observation.cosine(&guess)?;
    Ok(Reconstruction {
        guess,
        trace,
        cosine,
    })
}

/// Several attacks from drawn pictures; that with the smallest distance comes first.
///
/// # Errors
/// As [`invert`].
pub fn invert_best(
    observation: &dyn Observation,
    (params, targets): (&[f32], &Targets),
    count: usize,
    config: &InvertConfig,
    restarts: usize,
    rng: &Rng,
    watch: &mut dyn FnMut(usize, &Guess) -> Result<()>,
) -> Result<Vec<Reconstruction>> {
    let size: usize = count * config.shape.iter().product::<usize>();
    let mut found = Vec::with_capacity(restarts);
    for restart in 0..restarts.max(1) {
        let start = Guess {
            pictures: rng.item(restart as u64).normals(size),
            targets: targets.clone(),
            params: params.to_vec(),
        };
        let mut each = |at: usize, guess: &Guess| watch(restart * config.iterations + at, guess);
        found.push(invert(observation, start, config, &mut each)?);
    }
    let last = |it: &Reconstruction| it.trace.last().copied().unwrap_or(f64::INFINITY);
    found.sort_by(|a, b| last(a).total_cmp(&last(b)));
    Ok(found)
}
