//! Rotary positions (Su et al., 2021) and the ways to stretch them over longer contexts.

use std::f64::consts::TAU;

/// Rotary positions of a head.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Base of the frequencies.
    pub theta: f64,
    /// Values of a head that are turned, an even number; those behind stay.
    pub dims: usize,
    /// Neighbours are turned together, in place of values half of `dims` apart.
    pub interleaved: bool,
    /// Change of the frequencies.
    pub scaling: RopeScaling,
}

/// How frequencies are changed.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All divided by a factor (Chen et al., 2023).
    Linear(f64),
    /// Each divided by a factor of its own, as GGUF files give them.
    Factors(Vec<f64>),
    /// Low frequencies divided by `factor`, high ones kept (Llama 3.1).
    Llama3 {
        /// Of low frequencies.
        factor: f64,
        /// Wavelengths above `original / low` count as low.
        low: f64,
        /// Wavelengths below `original / high` count as high.
        high: f64,
        /// Positions of the first training.
        original: f64,
    },
    /// One set of factors up to `original` positions, another for longer contexts (LongRoPE, Ding et al., 2024).
    Long {
        /// Factors for contexts up to `original`.
        short: Vec<f64>,
        /// Factors for longer ones.
        long: Vec<f64>,
        /// Positions of the first training.
        original: usize,
        /// Cosines and sines are multiplied by it.
        attention: f64,
    },
    /// A ramp between divided and kept frequencies (YaRN, Peng et al., 2023).
    Yarn {
        /// Of low frequencies.
        factor: f64,
        /// Positions of the first training.
        original: f64,
        /// Turns over `original` positions from which frequencies are kept.
        fast: f64,
        /// Turns below which they are divided.
        slow: f64,
        /// Cosines and sines are multiplied by it.
        attention: f64,
    },
}

impl Rope {
    pub(super) fn check(&self, head: usize) -> Result<(), String> {
        let half = self.dims / 2;
        if self.dims == 0 || !self.dims.is_multiple_of(2) || self.dims > head {
            return Err(format!("{} of {head} values of a head turn", self.dims));
        }
        if !(self.theta.is_finite() && self.theta > 0.0) {
            return Err(format!("its rotary base is {}", self.theta));
        }
        let fits = |factors: &Vec<f64>| {
            factors.len() == half && factors.iter().all(|f| f.is_finite() && *f != 0.0)
        };
        let good = match &self.scaling {
            RopeScaling::None => true,
            RopeScaling::Linear(factor) => *factor > 0.0,
            RopeScaling::Factors(factors) => fits(factors),
            RopeScaling::Llama3 {
                factor, low, high, ..
            } => *factor > 0.0 && high > low && *low > 0.0,
            RopeScaling::Long { short, long, .. } => fits(short) && fits(long),
            RopeScaling::Yarn {
                factor, original, ..
            } => *factor > 0.0 && *original > 0.0,
        };
        good.then_some(())
            .ok_or_else(|| "its rotary scaling has wrong numbers of factors or sizes".into())
    }

    /// Angle of each pair for one position, for a context of up to `limit` positions, and what cosines and sines are
    /// multiplied by. Frequencies are f32, as the models were trained with.
    pub(super) fn frequencies(&self, limit: usize) -> (Vec<f32>, f32) {
        let half = self.dims / 2;
        let plain = |i: usize| 1.0 / self.theta.powf(2.0 * i as f64 / self.dims as f64);
        let divided = |factors: &[f64]| {
            let values = factors.iter().enumerate();
            values
                .map(|(i, factor)| (plain(i) / factor) as f32)
                .collect()
        };
        let all = |frequency: &dyn Fn(f64, usize) -> f64| {
            (0..half).map(|i| frequency(plain(i), i) as f32).collect()
        };
        match &self.scaling {
            RopeScaling::None => (all(&|f, _| f), 1.0),
            RopeScaling::Linear(factor) => (all(&|f, _| f / factor), 1.0),
            RopeScaling::Factors(factors) => (divided(factors), 1.0),
            RopeScaling::Llama3 {
                factor,
                low,
                high,
                original,
            } => {
                let frequency = |f: f64, _| {
                    let turns = original * f / TAU;
                    let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                    (1.0 - kept) * f / factor + kept * f
                };
                (all(&frequency), 1.0)
            }
            RopeScaling::Long {
                short,
                long,
                original,
                attention,
            } => {
                let factors = if limit > *original { long } else { short };
                (divided(factors), *attention as f32)
            }
            RopeScaling::Yarn {
                factor,
                original,
                fast,
                slow,
                attention,
            } => {
                // The pair that turns so many times over the original positions.
                let pair = |turns: f64| {
                    self.dims as f64 * (original / (turns * TAU)).ln() / (2.0 * self.theta.ln())
                };
                let first = pair(*fast).floor().max(0.0);
                let last = pair(*slow).ceil().min(self.dims as f64 - 1.0);
                let last = if first == last { last + 0.001 } else { last };
                let frequency = |f: f64, i: usize| {
                    let ramp = ((i as f64 - first) / (last - first)).clamp(0.0, 1.0);
                    f / factor * ramp + f * (1.0 - ramp)
                };
                (all(&frequency), *attention as f32)
            }
        }
    }

    /// The context beyond which another set of factors would be taken.
    pub(super) fn original(&self) -> Option<usize> {
        match &self.scaling {
            RopeScaling::Long { original, .. } => Some(*original),
            _ => None,
        }
    }
}

/// Cosines and sines of `positions`, appended `[positions, frequencies]`.
pub(super) fn angles(
    (frequencies, factor): &(Vec<f32>, f32),
    positions: std::ops::Range<usize>,
    cos: &mut Vec<f32>,
    sin: &mut Vec<f32>,
) {
    for position in positions {
        for frequency in frequencies {
            let angle = f64::from(position as f32 * frequency);
            cos.push(angle.cos() as f32 * factor);
            sin.push(angle.sin() as f32 * factor);
        }
    }
}
