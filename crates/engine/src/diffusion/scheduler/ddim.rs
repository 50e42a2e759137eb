//! DDIM (Song et al. 2021) without added noise, and its inverse.

use burn::tensor::Tensor;

use super::{Noise, Scheduler, SchedulerConfig, split};

/// Deterministic DDIM.
#[derive(Clone, Debug)]
pub struct Ddim {
    config: SchedulerConfig,
    timesteps: Vec<f64>,
    /// ᾱ before and after each step.
    bars: Vec<[f64; 2]>,
}

/// DDIM run backwards: from data to the noise that it came from.
#[derive(Clone, Debug)]
pub struct DdimInverse(Ddim);

/// ᾱ at `t`; below zero what `set_alpha_to_one` says.
pub(super) fn bar_at(config: &SchedulerConfig, bars: &[f64], t: f64) -> f64 {
    let first = bars.first().copied().unwrap_or(1.0);
    match t {
        t if t >= 0.0 => bars.get(t as usize).copied().unwrap_or(first),
        _ if config.set_alpha_to_one => 1.0,
        _ => first,
    }
}

impl Ddim {
    /// `steps` steps.
    pub fn new(config: SchedulerConfig, steps: usize) -> Self {
        let mut timesteps = config.spaced(steps, steps);
        timesteps.iter_mut().for_each(|t| *t = t.round_ties_even());
        Self::over(config, timesteps, steps)
    }

    /// Over the timesteps of another scheduler, the noisiest first; a step goes back by an `intervals`-th of the training
    /// timesteps.
    pub fn over(config: SchedulerConfig, timesteps: Vec<f64>, intervals: usize) -> Self {
        let bars = config.alphas_cumprod();
        let stride = (config.num_train_timesteps / intervals.max(1)) as f64;
        let bars = timesteps
            .iter()
            .map(|&t| {
                [
                    bar_at(&config, &bars, t),
                    bar_at(&config, &bars, t - stride),
                ]
            })
            .collect();
        Self {
            config,
            timesteps,
            bars,
        }
    }

    /// The inverse over the same timesteps.
    pub fn inverse(config: SchedulerConfig, steps: usize) -> DdimInverse {
        Self::new(config, steps).inverted()
    }

    /// The inverse of these steps.
    pub fn inverted(self) -> DdimInverse {
        let Self {
            config,
            mut timesteps,
            mut bars,
        } = self;
        timesteps.reverse();
        bars.reverse();
        bars.iter_mut().for_each(|pair| pair.swap(0, 1));
        DdimInverse(Self {
            config,
            timesteps,
            bars,
        })
    }

    fn follow<const D: usize>(&self, output: Tensor<D>, i: usize, x: Tensor<D>) -> Tensor<D> {
        let [from, to] = self.bars[i];
        let [x0, noise] = split(
            self.config.prediction_type,
            output,
            x,
            [from.sqrt(), (1.0 - from).sqrt()],
        );
        x0 * to.sqrt() + noise * (1.0 - to).sqrt()
    }
}

impl<const D: usize> Scheduler<D> for Ddim {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn step(&mut self, output: Tensor<D>, i: usize, x: Tensor<D>, _: Noise<'_, D>) -> Tensor<D> {
        self.follow(output, i, x)
    }

    fn add_noise(&self, x0: Tensor<D>, noise: Tensor<D>, i: usize) -> Tensor<D> {
        let [bar, _] = self.bars[i];
        x0 * bar.sqrt() + noise * (1.0 - bar).sqrt()
    }
}

impl<const D: usize> Scheduler<D> for DdimInverse {
    fn timesteps(&self) -> &[f64] {
        &self.0.timesteps
    }

    fn step(&mut self, output: Tensor<D>, i: usize, x: Tensor<D>, _: Noise<'_, D>) -> Tensor<D> {
        self.0.follow(output, i, x)
    }

    fn add_noise(&self, x0: Tensor<D>, noise: Tensor<D>, i: usize) -> Tensor<D> {
        let [_, bar] = self.0.bars[i];
        x0 * bar.sqrt() + noise * (1.0 - bar).sqrt()
    }
}
