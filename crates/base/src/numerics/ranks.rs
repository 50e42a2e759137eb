//! Ranks and rank correlations.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Up to so many values without ties, Kendall's p is exact (as in SciPy's `kendalltau`).
const EXACT: usize = 33;

/// A rank correlation and the two-sided p of no correlation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// In `[-1, 1]`.
    pub value: f64,
    /// In `[0, 1]`.
    pub p: f64,
}

/// Ranks from 1 on; equal values share the mean of their ranks.
pub fn mid_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut begin = 0;
    for tie in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = begin as f64 + (tie.len() as f64 + 1.0) / 2.0;
        tie.iter().for_each(|&at| ranks[at] = rank);
        begin += tie.len();
    }
    ranks
}

/// Sizes of the groups of equal values, 1 where a value is alone.
pub(super) fn ties(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let groups = sorted.chunk_by(|a, b| a == b);
    groups.map(|group| group.len() as f64).collect()
}

/// The standard normal's probability above `z`.
pub(super) fn above(z: f64) -> f64 {
    Normal::standard().sf(z)
}

/// Spearman's ρ: the correlation of mean ranks; p from Student's t with `n − 2` degrees of freedom. None below three pairs or
/// where one list is constant.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<Correlation> {
    if a.len() != b.len() || a.len() < 3 {
        return None;
    }
    let (a, b) = (mid_ranks(a), mid_ranks(b));
    let middle = (a.len() as f64 + 1.0) / 2.0;
    let sum = |x: &[f64], y: &[f64]| -> f64 {
        let products = x.iter().zip(y);
        products.map(|(x, y)| (x - middle) * (y - middle)).sum()
    };
    let spread = (sum(&a, &a) * sum(&b, &b)).sqrt();
    if spread == 0.0 {
        return None;
    }
    let value = (sum(&a, &b) / spread).clamp(-1.0, 1.0);
    let freedom = a.len() as f64 - 2.0;
    let t = value.abs() * (freedom / (1.0 - value * value)).sqrt();
    let p = match t.is_finite() {
        true => 2.0 * StudentsT::new(0.0, 1.0, freedom).ok()?.sf(t),
        false => 0.0,
    };
    Some(Correlation { value, p })
}

/// Kendall's τ-b. Without ties and up to 33 pairs p is exact, else from the normal approximation with tied variance and
/// without continuity correction. None below two pairs or where one list is constant.
pub fn kendall(a: &[f64], b: &[f64]) -> Option<Correlation> {
    let n = a.len();
    if n != b.len() || n < 2 {
        return None;
    }
    let (mut concordant, mut discordant) = (0_u64, 0_u64);
    for i in 0..n {
        for j in 0..i {
            let sign = (a[i] - a[j]).signum() * (b[i] - b[j]).signum();
            if a[i] == a[j] || b[i] == b[j] {
                continue;
            }
            match sign > 0.0 {
                true => concordant += 1,
                false => discordant += 1,
            }
        }
    }
    let count = n as f64;
    let pairs = count * (count - 1.0) / 2.0;
    let sums = |values: &[f64]| {
        let ties = ties(values);
        let sum = |f: fn(f64) -> f64| ties.iter().map(|&t| f(t)).sum::<f64>();
        [
            sum(|t| t * (t - 1.0) / 2.0),
            sum(|t| t * (t - 1.0) * (t - 2.0)),
            sum(|t| t * (t - 1.0) * (2.0 * t + 5.0)),
        ]
    };
    let ([tied_a, a0, a1], [tied_b, b0, b1]) = (sums(a), sums(b));
    let scale = ((pairs - tied_a) * (pairs - tied_b)).sqrt();
    if scale == 0.0 {
        return None;
    }
    let surplus = concordant as f64 - discordant as f64;
    let value = (surplus / scale).clamp(-1.0, 1.0);
    let p = if tied_a == 0.0 && tied_b == 0.0 && n <= EXACT {
        exact(n, concordant.min(discordant) as usize)
    } else {
        let m = 2.0 * pairs;
        let third = match n {
            2 => 0.0,
            _ => a0 * b0 / (9.0 * m * (count - 2.0)),
        };
        let variance =
            (m * (2.0 * count + 5.0) - a1 - b1) / 18.0 + 2.0 * tied_a * tied_b / m + third;
        (2.0 * above(surplus.abs() / variance.sqrt())).min(1.0)
    };
    Some(Correlation { value, p })
}

/// Twice the share of permutations of `n` with at most `inversions` inversions.
fn exact(n: usize, inversions: usize) -> f64 {
    // Shares of the permutations of 1, 2, … by their number of inversions.
    let mut shares = vec![1.0_f64];
    for size in 2..=n {
        let next = (0..=inversions).map(|k| {
            let from = (k + 1).saturating_sub(size);
            let sum: f64 = (from..=k).filter_map(|at| shares.get(at)).sum();
            sum / size as f64
        });
        shares = next.collect();
    }
    (2.0 * shares.iter().sum::<f64>()).min(1.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_their_ranks() {
        assert_eq!(mid_ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        assert_eq!(ties(&[3.0, 1.0, 3.0]), [1.0, 2.0]);
    }

    #[test]
    fn spearman_with_ties() {
        let value = |a: &[f64], b: &[f64]| spearman(a, b).map(|it| it.value);
        assert_eq!(value(&[1.0, 2.0, 9.0], &[0.1, 0.2, 0.3]), Some(1.0));
        // Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5/√(4.5·5).
        let tied = value(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]);
        assert!(tied.is_some_and(|rho| (rho - 4.5 / 22.5_f64.sqrt()).abs() < 1e-12));
        assert_eq!(value(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]), None);
    }

    #[test]
    fn kendalls_p_counts_permutations() {
        // Of 3! orders, one has no inversion and two have one.
        let all = kendall(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]).unwrap();
        assert!((all.value - 1.0).abs() < 1e-12 && (all.p - 2.0 / 6.0).abs() < 1e-12);
        let one = kendall(&[1.0, 2.0, 3.0], &[2.0, 1.0, 3.0]).unwrap();
        assert!((one.value - 1.0 / 3.0).abs() < 1e-12 && one.p == 1.0);
        assert_eq!(kendall(&[1.0, 1.0], &[1.0, 2.0]), None);
    }
}
