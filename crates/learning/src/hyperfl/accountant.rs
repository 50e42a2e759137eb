//! The noise that DP-SGD needs for a privacy target: Rényi differential privacy of the subsampled Gaussian mechanism
//! (Mironov, Talwar, Zhang, arXiv 1908.10530), which assumes Poisson sampling.

use std::f64::consts::{PI, SQRT_2};

use crate::error::{LearningError, Result};

/// How far below the target the search may stop.
const TOLERANCE: f64 = 0.01;

/// The noise multiplier σ for which `epochs` over data sampled at `rate` are (`epsilon`, `delta`)-private: doubled from 20,
/// then bisected; the upper end.
///
/// # Errors
/// For a target that is not a target, or that no noise below 10⁶ reaches.
pub fn noise_multiplier(epsilon: f64, delta: f64, rate: f64, epochs: f64) -> Result<f64> {
    let sane = epsilon > 0.0 && delta > 0.0 && delta < 1.0 && rate > 0.0 && rate <= 1.0;
    if !(sane && epochs > 0.0 && epochs.is_finite()) {
        return Err(LearningError::invalid(format!(
            "no noise for ε {epsilon}, δ {delta}, rate {rate}, {epochs} epochs: give ε > 0, 0 < δ < 1, 0 < rate ≤ 1 and at least one epoch"
        )));
    }
    let steps = (epochs / rate).floor();
    let (mut low, mut high) = (0.0, 10.0);
    let mut reached = f64::INFINITY;
    while reached > epsilon {
        high *= 2.0;
        reached = spent(high, rate, steps, delta);
        if high > 1e6 {
            return Err(LearningError::invalid(format!(
                "no noise reaches ε {epsilon} with δ {delta} in {steps} steps: train for fewer rounds or allow a larger ε"
            )));
        }
    }
    while epsilon - reached > TOLERANCE {
        let middle = (low + high) / 2.0;
        let found = spent(middle, rate, steps, delta);
        if found < epsilon {
            (high, reached) = (middle, found);
        } else {
            low = middle;
        }
        if high - low < 1e-9 {
            break;
        }
    }
    Ok(high)
}

/// ε after `steps` steps with noise multiplier `sigma` at sampling `rate`.
pub fn spent(sigma: f64, rate: f64, steps: f64, delta: f64) -> f64 {
    let orders = (1..100).map(|i| 1.0 + f64::from(i) / 10.0);
    orders
        .chain((12..64).map(f64::from))
        .map(|order| {
            let rdp = log_moment(sigma, rate, order) / (order - 1.0) * steps;
            rdp + ((order - 1.0) / order).ln() - (delta.ln() + order.ln()) / (order - 1.0)
        })
        .filter(|epsilon| !epsilon.is_nan())
        .fold(f64::INFINITY, f64::min)
        .max(0.0)
}

/// Logarithm of the moment of this order of the privacy loss of one step.
fn log_moment(sigma: f64, rate: f64, order: f64) -> f64 {
    if sigma <= 0.0 {
        return f64::INFINITY;
    }
    let gauss = |i: f64| (i * i - i) / (2.0 * sigma * sigma);
    if rate >= 1.0 {
        return gauss(order);
    }
    let weight =
        |i: f64, log_binomial: f64| log_binomial + i * rate.ln() + (order - i) * (-rate).ln_1p();
    if order.fract() == 0.0 {
        let mut log_binomial = 0.0;
        let mut sum = f64::NEG_INFINITY;
        for i in 0..=order as u32 {
            let i = f64::from(i);
            sum = log_add(sum, weight(i, log_binomial) + gauss(i));
            log_binomial += ((order - i) / (i + 1.0)).ln();
        }
        return sum;
    }
    // Two series, each over one side of the place where the two densities are equal.
    let middle = sigma * sigma * (1.0 / rate - 1.0).ln() + 0.5;
    let (mut log_binomial, mut positive) = (0.0, true);
    let mut sums = [f64::NEG_INFINITY; 2];
    for i in 0..100_000 {
        let i = f64::from(i);
        let j = order - i;
        let half = |x: f64| 0.5f64.ln() + log_erfc(x / (SQRT_2 * sigma));
        let below = weight(i, log_binomial) + gauss(i) + half(i - middle);
        let above = weight(j, log_binomial) + gauss(j) + half(middle - j);
        let sum = &mut sums[usize::from(!positive)];
        *sum = log_add(*sum, log_add(below, above));
        if below.max(above) < -30.0 {
            break;
        }
        let factor = (order - i) / (i + 1.0);
        log_binomial += factor.abs().ln();
        positive ^= factor < 0.0;
    }
    // The negative terms are the smaller part.
    sums[0] + (-(sums[1] - sums[0]).exp()).ln_1p()
}

fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = (a.min(b), a.max(b));
    match low == f64::NEG_INFINITY {
        true => high,
        false => high + (low - high).exp().ln_1p(),
    }
}

fn log_erfc(x: f64) -> f64 {
    if x < 20.0 {
        return libm::erfc(x).ln();
    }
    let y = 1.0 / (2.0 * x * x);
    -x * x - (x * PI.sqrt()).ln() + (1.0 - y + 3.0 * y * y - 15.0 * y * y * y).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractional_orders_lie_between_whole_ones() {
        for (sigma, rate) in [(0.7, 0.01), (2.0, 0.1), (5.0, 0.5), (10.0, 0.08)] {
            for order in 2..10 {
                let at = |order: f64| log_moment(sigma, rate, order) / (order - 1.0);
                let [low, middle, high] = [0.0, 0.5, 1.0].map(|part| at(f64::from(order) + part));
                assert!(low < middle && middle < high, "{low} {middle} {high}");
            }
        }
    }

    #[test]
    fn less_noise_costs_more_privacy() {
        let [a, b] = [1.0, 2.0].map(|sigma| spent(sigma, 0.1, 100.0, 1e-5));
        assert!(a > b && b > 0.0);
        assert!(noise_multiplier(0.0, 1e-5, 0.1, 1.0).is_err());
    }
}
