//! Linear mixed models with random intercepts.

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

use super::ranks::above;

/// A coefficient of a fixed effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coefficient {
    /// Its estimate.
    pub estimate: f64,
    /// Its standard error.
    pub error: f64,
    /// Two-sided p of Wald's z-test.
    pub p: f64,
}

/// A fitted model `y = Xβ + Σ intercepts + noise`.
#[derive(Clone, Debug, PartialEq)]
pub struct MixedModel {
    /// A coefficient for each column.
    pub fixed: Vec<Coefficient>,
    /// The variance of the intercepts of each factor.
    pub intercepts: Vec<f64>,
    /// The variance of the noise.
    pub residual: f64,
}

/// Range of log λ, the logarithm of the ratio of an intercept's variance to the noise's.
const RANGE: [f64; 2] = [-12.0, 10.0];
/// Rounds over the factors.
const ROUNDS: usize = 60;

/// Fits a mixed model by restricted maximum likelihood (REML), profiled to the variance ratios: one golden-section search on
/// log λ for each factor in turn. `x` is `[rows, columns]`; each of `factors` gives every row's group, numbered from 0.
/// Crossed factors are fine: all sums go through a matrix of as many rows as there are groups.
///
/// None where rows do not fit, there are no more rows than columns, columns depend on each other, or `y` is explained without
/// any noise.
pub fn mixed_model(
    x: &[f64],
    columns: usize,
    y: &[f64],
    factors: &[&[usize]],
) -> Option<MixedModel> {
    let rows = y.len();
    let fits = columns > 0 && x.len() == rows * columns && rows > columns;
    if !fits || factors.iter().any(|groups| groups.len() != rows) {
        return None;
    }
    let sums = Sums::new(x, columns, y, factors);
    let mut ratios = vec![1.0_f64; factors.len()];
    sums.fit(&ratios)?;
    for round in 0..ROUNDS {
        let before = ratios.clone();
        for at in 0..ratios.len() {
            ratios[at] = best_ratio(&sums, &ratios, at, round == 0);
        }
        let moved = ratios
            .iter()
            .zip(&before)
            .map(|(a, b)| (a - b).abs() / (1.0 + b));
        if factors.len() < 2 || moved.fold(0.0, f64::max) < 1e-8 {
            break;
        }
    }
    let fit = sums.fit(&ratios)?;
    let fixed = (0..columns).map(|at| {
        let (estimate, error) = (
            fit.beta[at],
            (fit.residual * fit.covariance[(at, at)]).sqrt(),
        );
        Coefficient {
            estimate,
            error,
            p: (2.0 * above((estimate / error).abs())).min(1.0),
        }
    });
    Some(MixedModel {
        fixed: fixed.collect(),
        intercepts: ratios.iter().map(|ratio| ratio * fit.residual).collect(),
        residual: fit.residual,
    })
}

/// The ratio of factor `at` that makes the likelihood largest, the others as they are.
fn best_ratio(sums: &Sums, ratios: &[f64], at: usize, first: bool) -> f64 {
    let mut trial = ratios.to_vec();
    let mut value = |log: f64| {
        trial[at] = log.exp();
        sums.fit(&trial)
            .map_or(f64::NEG_INFINITY, |fit| fit.likelihood)
    };
    let (mut low, mut high) = match first || ratios[at] == 0.0 {
        true => {
            // The best of a coarse grid, and its neighbours.
            let steps = 22;
            let width = (RANGE[1] - RANGE[0]) / f64::from(steps);
            let grid = (0..=steps).map(|step| RANGE[0] + width * f64::from(step));
            let values = grid.map(|log| (log, value(log)));
            let best = values.max_by(|a, b| a.1.total_cmp(&b.1));
            let (best, _) = best.unwrap_or((0.0, 0.0));
            (best - width, best + width)
        }
        false => (ratios[at].ln() - 0.5, ratios[at].ln() + 0.5),
    };
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    let inner = |low: f64, high: f64| [high - golden * (high - low), low + golden * (high - low)];
    let [mut left, mut right] = inner(low, high);
    let (mut at_left, mut at_right) = (value(left), value(right));
    while high - low > 1e-8 {
        if at_left > at_right {
            (high, right, at_right) = (right, left, at_left);
            left = inner(low, high)[0];
            at_left = value(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = inner(low, high)[1];
            at_right = value(right);
        }
    }
    let log = (low + high) / 2.0;
    // No variance at all is the end of the scale.
    let mut none = ratios.to_vec();
    none[at] = 0.0;
    let without = sums
        .fit(&none)
        .map_or(f64::NEG_INFINITY, |fit| fit.likelihood);
    if without >= value(log) {
        0.0
    } else {
        log.exp()
    }
}

/// Products of the columns, the groups and the values, of which every likelihood is made.
struct Sums {
    rows: f64,
    /// Groups of each factor.
    groups: Vec<usize>,
    zz: DMatrix<f64>,
    zx: DMatrix<f64>,
    zy: DVector<f64>,
    xx: DMatrix<f64>,
    xy: DVector<f64>,
    yy: f64,
}

struct Fit {
    beta: DVector<f64>,
    /// `(XᵀV⁻¹X)⁻¹`.
    covariance: DMatrix<f64>,
    residual: f64,
    likelihood: f64,
}

impl Sums {
    fn new(x: &[f64], columns: usize, y: &[f64], factors: &[&[usize]]) -> Self {
        let count = |groups: &&[usize]| groups.iter().max().map_or(0, |most| most + 1);
        let groups: Vec<usize> = factors.iter().map(count).collect();
        let all = groups.iter().sum();
        let x = DMatrix::from_row_slice(y.len(), columns, x);
        let y = DVector::from_column_slice(y);
        let mut zz = DMatrix::zeros(all, all);
        let mut zx = DMatrix::zeros(all, columns);
        let mut zy = DVector::zeros(all);
        for row in 0..y.len() {
            let mut begin = 0;
            let mut members = Vec::with_capacity(factors.len());
            for (factor, size) in factors.iter().zip(&groups) {
                members.push(begin + factor[row]);
                begin += size;
            }
            for &a in &members {
                members.iter().for_each(|&b| zz[(a, b)] += 1.0);
                (0..columns).for_each(|column| zx[(a, column)] += x[(row, column)]);
                zy[a] += y[row];
            }
        }
        Self {
            rows: y.len() as f64,
            groups,
            zz,
            zx,
            zy,
            xx: x.tr_mul(&x),
            xy: x.tr_mul(&y),
            yy: y.norm_squared(),
        }
    }

    /// The best fixed effects at variance ratios λ: with `S = √λ` on the diagonal and `M = I + S ZᵀZ S`,
    /// `aᵀV⁻¹b = aᵀb − aᵀZ S M⁻¹ S Zᵀb` and `log|V| = log|M|`.
    fn fit(&self, ratios: &[f64]) -> Option<Fit> {
        let pairs = ratios.iter().zip(&self.groups);
        let scales: Vec<f64> = pairs
            .flat_map(|(ratio, &size)| std::iter::repeat_n(ratio.sqrt(), size))
            .collect();
        let mut m = self.zz.clone();
        for (column, mut values) in m.column_iter_mut().enumerate() {
            for (row, value) in values.iter_mut().enumerate() {
                *value *= scales[row] * scales[column];
            }
            values[column] += 1.0;
        }
        let m: Cholesky<f64, Dyn> = Cholesky::new(m)?;
        let mut sx = self.zx.clone();
        let mut sy = self.zy.clone();
        for (row, scale) in scales.iter().enumerate() {
            sx.row_mut(row).scale_mut(*scale);
            sy[row] *= scale;
        }
        let (solved_x, solved_y) = (m.solve(&sx), m.solve(&sy));
        let x_v_x = Cholesky::new(&self.xx - sx.tr_mul(&solved_x))?;
        let pivots = x_v_x.l_dirty().diagonal();
        if pivots.min() < 1e-7 * pivots.max() {
            return None;
        }
        let x_v_y = &self.xy - sx.tr_mul(&solved_y);
        let beta = x_v_x.solve(&x_v_y);
        let squares = self.yy - sy.dot(&solved_y) - beta.dot(&x_v_y);
        let freedom = self.rows - beta.len() as f64;
        let residual = squares / freedom;
        if residual <= 1e-14 * self.yy {
            return None;
        }
        let likelihood =
            -0.5 * (freedom * residual.ln() + log_determinant(&m) + log_determinant(&x_v_x));
        Some(Fit {
            covariance: x_v_x.inverse(),
            beta,
            residual,
            likelihood,
        })
    }
}

fn log_determinant(matrix: &Cholesky<f64, Dyn>) -> f64 {
    let diagonal = matrix.l_dirty().diagonal();
    2.0 * diagonal.iter().map(|value| value.ln()).sum::<f64>()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_balanced_design_has_the_answer_of_the_analysis_of_variance() {
        // Three groups of two: means 1.5, 5.5, 9.5; within 0.5 = (1/2), between 2·16 = 32.
        let y = [1.0, 2.0, 5.0, 6.0, 9.0, 10.0];
        let model = mixed_model(&[1.0; 6], 1, &y, &[&[0, 0, 1, 1, 2, 2]]).unwrap();
        assert!((model.fixed[0].estimate - 5.5).abs() < 1e-9);
        assert!((model.residual - 0.5).abs() < 1e-6, "{model:?}");
        assert!(
            (model.intercepts[0] - (32.0 - 0.5) / 2.0).abs() < 1e-4,
            "{model:?}"
        );
    }

    #[test]
    fn groups_that_do_not_differ_have_no_variance() {
        let y = [1.0, 9.0, 9.0, 1.0, 5.0, 5.0];
        let model = mixed_model(&[1.0; 6], 1, &y, &[&[0, 0, 1, 1, 2, 2]]).unwrap();
        assert_eq!(model.intercepts, [0.0]);
        assert_eq!(mixed_model(&[1.0; 2], 1, &[3.0, 3.0], &[&[0, 1]]), None);
        // Twice the same column.
        assert_eq!(mixed_model(&[1.0; 12], 2, &y, &[&[0, 0, 1, 1, 2, 2]]), None);
    }
}
