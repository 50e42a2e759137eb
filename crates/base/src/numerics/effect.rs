//! Effect sizes, and p-values of several tests at once.

use super::statistics::{Interval, Z, mean};

/// Cohen's d of `a` against `b` with the pooled standard deviation, and its normal 95 % interval, standard error
/// `√((n+m)/(nm) + d²/(2(n+m)))`. None below two values a sample or without any spread.
pub fn cohens_d(a: &[f64], b: &[f64]) -> Option<(f64, Interval)> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let (n, m) = (a.len() as f64, b.len() as f64);
    let squares = |values: &[f64]| {
        let mean = mean(values);
        values.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
    };
    let pooled = ((squares(a) + squares(b)) / (n + m - 2.0)).sqrt();
    if pooled == 0.0 {
        return None;
    }
    let d = (mean(a) - mean(b)) / pooled;
    let error = ((n + m) / (n * m) + d * d / (2.0 * (n + m))).sqrt();
    let (low, high) = (d - Z * error, d + Z * error);
    Some((d, Interval { low, high }))
}

/// Cliff's delta: the share of pairs in which `a` is larger, minus the share in which it is smaller. None where a sample is
/// empty.
pub fn cliffs_delta(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
    let sum: i64 = pairs
        .map(|(a, b)| i64::from(a > b) - i64::from(a < b))
        .sum();
    Some(sum as f64 / (a.len() * b.len()) as f64)
}

/// Holm's step-down correction of p-values, in their order.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let order = ascending(p);
    let mut corrected = vec![0.0; p.len()];
    let mut least = 0.0_f64;
    for (before, at) in order.into_iter().enumerate() {
        least = least.max(p[at] * (p.len() - before) as f64).min(1.0);
        corrected[at] = least;
    }
    corrected
}

/// Benjamini's and Hochberg's correction of p-values for the false discovery rate, in their order.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let order = ascending(p);
    let mut corrected = vec![0.0; p.len()];
    let mut most = 1.0_f64;
    for (before, at) in order.into_iter().enumerate().rev() {
        most = most.min(p[at] * p.len() as f64 / (before + 1) as f64);
        corrected[at] = most;
    }
    corrected
}

fn ascending(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    order
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn effects_by_hand() {
        // Means 3 and 1, both variances 2.
        let (d, interval) = cohens_d(&[2.0, 4.0], &[0.0, 2.0]).unwrap();
        assert!((d - 2.0 / 2.0_f64.sqrt()).abs() < 1e-12);
        assert!(interval.holds(d));
        assert_eq!(
            cliffs_delta(&[2.0, 4.0], &[0.0, 2.0]),
            Some((3.0 - 0.0) / 4.0)
        );
        assert_eq!(cohens_d(&[1.0, 1.0], &[1.0, 1.0]), None);
    }

    #[test]
    fn corrections_by_hand() {
        let p = [0.01, 0.04, 0.03];
        let near = |found: Vec<f64>, wanted: [f64; 3]| {
            let pairs = found.iter().zip(wanted);
            pairs.for_each(|(a, b)| assert!((a - b).abs() < 1e-12, "{found:?}"));
        };
        near(holm(&p), [0.03, 0.06, 0.06]);
        near(benjamini_hochberg(&p), [0.03, 0.04, 0.04]);
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }
}
