//! How likely a score is by chance.

use statrs::function::beta::{beta_reg, ln_beta};
use statrs::function::gamma::ln_gamma;

/// ln P(cosine > `cosine`) for a fixed direction and a random one in `dimension` dimensions. One-sided.
///
/// The squared cosine has the distribution Beta(½, (d − 1)/2).
pub fn ln_chance(cosine: f64, dimension: usize) -> f64 {
    let [b, a] = [0.5, (dimension.max(2) - 1) as f64 / 2.0];
    let square = (cosine * cosine).min(1.0);
    let x = 1.0 - square;
    if cosine <= 0.0 {
        let tail = 0.5 * beta_reg(a, b, x);
        return (1.0 - tail).ln();
    }
    let tail = beta_reg(a, b, x);
    if tail > 1e-200 {
        return tail.ln() - std::f64::consts::LN_2;
    }
    if x <= 0.0 {
        return f64::NEG_INFINITY;
    }
    // I_x(a, b) = xᵃ(1−x)ᵇ / (a·B(a, b)) · Σ Π (a+b+k)/(a+1+k) xᵏ; so far out the series is short.
    let (mut sum, mut term, mut k) = (1.0, 1.0, 0.0);
    while term > 1e-16 * sum {
        term *= x * (a + b + k) / (a + 1.0 + k);
        sum += term;
        k += 1.0;
    }
    a * x.ln() + b * square.ln() - a.ln() - ln_beta(a, b) + sum.ln() - std::f64::consts::LN_2
}

/// ln of the chance that the best of `comparisons` independent random directions scores as much.
pub fn ln_family_chance(cosine: f64, dimension: usize, comparisons: f64) -> f64 {
    let one = ln_chance(cosine, dimension);
    let expected = one + comparisons.ln();
    match expected < -20.0 {
        true => expected,
        false => (-f64::exp_m1(comparisons * f64::ln_1p(-one.exp()))).ln(),
    }
}

/// The smallest cosine that none of `comparisons` random directions reaches but with the chance `alpha`.
pub fn threshold(alpha: f64, dimension: usize, comparisons: f64) -> f64 {
    let one = per_comparison(alpha, comparisons);
    let (mut low, mut high) = (0.0, 1.0);
    if one >= 0.5 {
        return 0.0;
    }
    let wanted = one.ln();
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        match ln_chance(middle, dimension) > wanted {
            true => low = middle,
            false => high = middle,
        }
    }
    high
}

/// The chance of one comparison that makes `alpha` for all: `1 − (1 − α)^(1/n)`.
pub fn per_comparison(alpha: f64, comparisons: f64) -> f64 {
    -f64::exp_m1(f64::ln_1p(-alpha) / comparisons)
}

/// [`threshold`] by the normal approximation `Φ⁻¹(1 − p)/√d`.
pub fn normal_threshold(alpha: f64, dimension: usize, comparisons: f64) -> f64 {
    let one = per_comparison(alpha, comparisons);
    let upper = |x: f64| 0.5 * libm::erfc(x * std::f64::consts::FRAC_1_SQRT_2);
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        match upper(middle) > one {
            true => low = middle,
            false => high = middle,
        }
    }
    high / (dimension as f64).sqrt()
}

/// ln of the noncentral χ² distribution function at `x`, with `df` degrees of freedom and noncentrality `nc`.
///
/// A Poisson mixture of central distributions, summed in logarithms, so that tails far below 1e-300 keep their digits.
pub fn ln_noncentral_chi2(x: f64, df: f64, nc: f64) -> f64 {
    if x <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let [half_x, half_nc] = [x / 2.0, nc.max(0.0) / 2.0];
    let most = match half_nc {
        0.0 => 0,
        mean => (mean + 14.0 * mean.sqrt() + 80.0) as usize,
    };
    // ln P(a, x), the lower incomplete gamma function, at the largest a by its series…
    let step = |a: f64| a * half_x.ln() - half_x - ln_gamma(a + 1.0);
    let top = df / 2.0 + most as f64;
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > 1e-17 * sum {
        term *= half_x / (top + k);
        sum += term;
        k += 1.0;
    }
    let mut lower = step(top) + f64::ln(sum);
    let mut total = f64::NEG_INFINITY;
    // …and downwards by P(a, x) = P(a + 1, x) + xᵃe⁻ˣ/Γ(a + 1).
    for j in (0..=most).rev() {
        let weight = match half_nc {
            0.0 => 0.0,
            mean => j as f64 * mean.ln() - mean - ln_gamma(j as f64 + 1.0),
        };
        total = ln_add(total, weight + lower.min(0.0));
        if j > 0 {
            lower = ln_add(lower, step(df / 2.0 + j as f64 - 1.0));
        }
    }
    total.min(0.0)
}

fn ln_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    match high {
        f64::NEG_INFINITY => high,
        _ => high + f64::ln_1p((low - high).exp()),
    }
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{Beta, ContinuousCDF};

    use super::*;

    #[test]
    fn both_formulas_of_the_tail_meet() {
        // Just where the code changes from one to the other.
        for dimension in [64usize, 3000, 16_384] {
            let mut last = ln_chance(0.0, dimension);
            assert!((last - 0.5f64.ln()).abs() < 1e-9);
            for step in 1..1000 {
                let now = ln_chance(f64::from(step) / 1000.0, dimension);
                assert!(now < last, "{dimension} {step}: {now} after {last}");
                last = now;
            }
        }
        let square = Beta::new(0.5, 49.5).map_or(f64::NAN, |beta| beta.inverse_cdf(0.5));
        let median = square.sqrt();
        assert!((ln_chance(median, 100) - 0.25f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn the_threshold_undoes_the_chance() {
        for (alpha, n) in [(1e-6, 1e5), (0.01, 32.0), (0.3, 1.0)] {
            let at = threshold(alpha, 5000, n);
            assert!((ln_family_chance(at, 5000, n) - f64::ln(alpha)).abs() < 1e-6);
        }
    }
}
