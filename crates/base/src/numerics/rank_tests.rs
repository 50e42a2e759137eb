//! Tests that look at ranks only.

use super::ranks::{above, mid_ranks, ties};

/// A statistic and its two-sided p.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankTest {
    /// Mann–Whitney: U of the first sample. Wilcoxon: the smaller of both rank sums.
    pub statistic: f64,
    /// In `[0, 1]`; 1 where all values are equal.
    pub p: f64,
}

/// The Mann–Whitney test of two independent samples: mean ranks, variance corrected for ties, continuity correction of ½,
/// normal approximation (SciPy's `mannwhitneyu(method="asymptotic")`). None where a sample is empty.
pub fn mann_whitney(a: &[f64], b: &[f64]) -> Option<RankTest> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let both = [a, b].concat();
    let (n, m, all) = (a.len() as f64, b.len() as f64, both.len() as f64);
    let sum: f64 = mid_ranks(&both)[..a.len()].iter().sum();
    let statistic = sum - n * (n + 1.0) / 2.0;
    let tied: f64 = ties(&both).iter().map(|t| t * t * t - t).sum();
    let variance = n * m / 12.0 * ((all + 1.0) - tied / (all * (all - 1.0)));
    let distance = statistic.max(n * m - statistic) - n * m / 2.0 - 0.5;
    let p = match variance > 0.0 {
        true => (2.0 * above(distance / variance.sqrt())).min(1.0),
        false => 1.0,
    };
    Some(RankTest { statistic, p })
}

/// The Wilcoxon signed-rank test of differences: zeros are dropped, mean ranks, variance corrected for ties, no continuity
/// correction, normal approximation (SciPy's `wilcoxon(method="approx")`). None where no difference is left.
pub fn wilcoxon(differences: &[f64]) -> Option<RankTest> {
    let kept: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    if kept.is_empty() {
        return None;
    }
    let sizes: Vec<f64> = kept.iter().map(|d| d.abs()).collect();
    let n = kept.len() as f64;
    let ranks = mid_ranks(&sizes);
    let positive = kept.iter().zip(&ranks).filter(|(d, _)| **d > 0.0);
    let up: f64 = positive.map(|(_, rank)| rank).sum();
    let statistic = up.min(n * (n + 1.0) / 2.0 - up);
    let tied: f64 = ties(&sizes).iter().map(|t| t * t * t - t).sum();
    let variance = (n * (n + 1.0) * (2.0 * n + 1.0) - tied / 2.0) / 24.0;
    let z = (statistic - n * (n + 1.0) / 4.0) / variance.sqrt();
    Some(RankTest {
        statistic,
        p: (2.0 * above(z.abs())).min(1.0),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn separated_samples() {
        // U counts the pairs of which the first is larger: all 9.
        let test = mann_whitney(&[4.0, 5.0, 6.0], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!(test.statistic, 9.0);
        // z = (9 − 4.5 − 0.5)/√(9·7/12).
        assert!((test.p - 2.0 * above(4.0 / 5.25_f64.sqrt())).abs() < 1e-12);
        assert_eq!(mann_whitney(&[1.0, 1.0], &[1.0]).unwrap().p, 1.0);
        assert_eq!(mann_whitney(&[], &[1.0]), None);
    }

    #[test]
    fn signed_ranks() {
        // Ranks of |1|, |−2|, |3|: sums 4 and 2.
        let test = wilcoxon(&[1.0, -2.0, 0.0, 3.0]).unwrap();
        assert_eq!(test.statistic, 2.0);
        assert!((test.p - 2.0 * above(1.0 / 3.5_f64.sqrt())).abs() < 1e-12);
        assert_eq!(wilcoxon(&[0.0, 0.0]), None);
    }
}
