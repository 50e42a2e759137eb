//! Means, shares and their 95 % intervals.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The two-sided 95 % quantile of the normal distribution.
pub(super) const Z: f64 = 1.959_963_984_540_054;
/// Probability below the upper end of a two-sided 95 % interval.
const UPPER: f64 = 0.975;

/// A 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether `value` lies inside, ends included.
    pub fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// The mean; NaN of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation of the population that `values` were drawn from; none below two values.
pub fn deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() as f64 - 1.0)).sqrt())
}

/// Student's 95 % interval of the mean; none below two values.
pub fn student(values: &[f64]) -> Option<Interval> {
    let count = values.len() as f64;
    let error = deviation(values)? / count.sqrt();
    let quantile = StudentsT::new(0.0, 1.0, count - 1.0)
        .ok()?
        .inverse_cdf(UPPER);
    let mean = mean(values);
    Some(Interval {
        low: mean - quantile * error,
        high: mean + quantile * error,
    })
}

/// Wilson's 95 % interval of a share of `hits` in `of` independent trials; none without trials.
pub fn wilson(hits: usize, of: usize) -> Option<Interval> {
    if of == 0 {
        return None;
    }
    let (n, share) = (of as f64, hits as f64 / of as f64);
    let middle = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let reach = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some(Interval {
        low: (middle - reach).max(0.0),
        high: (middle + reach).min(1.0),
    })
}

/// Newcombe's 95 % interval of the difference `a − b` of two independent shares (his method 10, from two Wilson
/// intervals); none without trials.
pub fn newcombe(a: (usize, usize), b: (usize, usize)) -> Option<Interval> {
    let share = |(hits, of): (usize, usize)| hits as f64 / of as f64;
    let (interval_a, interval_b) = (wilson(a.0, a.1)?, wilson(b.0, b.1)?);
    let (share_a, share_b) = (share(a), share(b));
    let down = (share_a - interval_a.low).hypot(interval_b.high - share_b);
    let up = (interval_a.high - share_a).hypot(share_b - interval_b.low);
    let difference = share_a - share_b;
    Some(Interval {
        low: difference - down,
        high: difference + up,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 5e-5
    }

    #[test]
    fn students_interval_of_three_values() {
        // t(2) is 4.30265; deviation 1, error 1/√3.
        let interval = student(&[1.0, 2.0, 3.0]).unwrap();
        assert!(close(interval.low, 2.0 - 2.48414), "{interval:?}");
        assert!(close(interval.high, 2.0 + 2.48414), "{interval:?}");
        assert_eq!(student(&[1.0]), None);
        assert_eq!(deviation(&[2.0, 4.0]), Some(2.0_f64.sqrt()));
    }

    #[test]
    fn wilsons_interval_as_in_newcombes_tables() {
        // Newcombe 1998, Statistics in Medicine 17:857, method 3: 81/263, 15/148, 0/20, 1/29.
        let cases = [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ];
        for (hits, of, low, high) in cases {
            let interval = wilson(hits, of).unwrap();
            assert!(close(interval.low, low), "{hits}/{of}: {interval:?}");
            assert!(close(interval.high, high), "{hits}/{of}: {interval:?}");
        }
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn newcombes_interval_as_in_his_table() {
        // Newcombe 1998, Statistics in Medicine 17:873, method 10: 56/70 − 48/80 and 10/10 − 0/20.
        let interval = newcombe((56, 70), (48, 80)).unwrap();
        assert!(
            close(interval.low, 0.0524) && close(interval.high, 0.3339),
            "{interval:?}"
        );
        let interval = newcombe((10, 10), (0, 20)).unwrap();
        assert!(
            close(interval.low, 0.6791) && close(interval.high, 1.0),
            "{interval:?}"
        );
    }
}
