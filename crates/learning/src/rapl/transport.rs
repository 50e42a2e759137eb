//! Matching the frames of two videos: entropic optimal transport by Sinkhorn's iterations in the log domain, and the reward of
//! the match (paper, section on rewards; specification 2.2 and 9.1).

use base::numerics::assign;

use super::embeddings::{Embeddings, dot};
use super::ground::{Ground, Table};
use super::{LearningError, Result};

/// How strong the entropy term is.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Epsilon {
    /// This value.
    Absolute(f64),
    /// This share of the greatest cost.
    Relative(f64),
}

/// How transport is solved.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Transport {
    /// What a pair of frames costs.
    pub ground: Ground,
    /// How strong the entropy term is.
    pub epsilon: Epsilon,
    /// Most iterations.
    pub iterations: usize,
    /// The iterations end when no row of the plan misses its mass by more than this; 0 never ends them early.
    pub tolerance: f64,
    /// Weight of the squared difference of the frames' shares of their videos, added to the cost: above 0, order counts.
    pub position: f64,
    /// Whether each iteration settles the columns before the rows, so that rows are exact in the end (as POT does); else the other way
    /// round. Where the iterations converge both agree.
    pub columns_first: bool,
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            ground: Ground::Cosine,
            epsilon: Epsilon::Relative(0.01),
            iterations: 100,
            tolerance: 1e-6,
            position: 0.0,
            columns_first: false,
        }
    }
}

/// A match of two videos.
#[derive(Clone, Debug)]
pub struct Match {
    /// What pairs of frames cost, without the positional part.
    pub costs: Table,
    /// How much of each frame goes to each frame of the other video; sums to 1.
    pub plan: Table,
}

impl Match {
    /// The transport cost `Σ plan · cost`.
    pub fn cost(&self) -> f64 {
        self.plan.dot(&self.costs)
    }

    /// The reward of every frame of the first video, `−Σ_j cost · plan`.
    pub fn rewards(&self) -> Vec<f64> {
        (0..self.plan.rows)
            .map(|at| -dot(self.plan.row(at), self.costs.row(at)))
            .collect()
    }
}

impl Transport {
    /// Matches two videos.
    ///
    /// # Errors
    /// As [`Ground::costs`]; an epsilon that is not positive.
    pub fn solve(&self, x: &Embeddings, y: &Embeddings) -> Result<Match> {
        let costs = self.ground.costs(x, y)?;
        let turn = self.columns_first;
        let solved = self.sinkhorn(&self.positioned(&costs).turned(turn))?;
        Ok(Match {
            costs,
            plan: solved.plan.turned(turn),
        })
    }

    /// The costs with their positional part.
    fn positioned(&self, costs: &Table) -> Table {
        let mut costs = costs.clone();
        if self.position != 0.0 {
            let share = |at: usize, of: usize| (at as f64 + 0.5) / of as f64;
            for i in 0..costs.rows {
                for j in 0..costs.columns {
                    let off = share(i, costs.rows) - share(j, costs.columns);
                    costs.values[i * costs.columns + j] += self.position * off * off;
                }
            }
        }
        costs
    }

    fn epsilon(&self, costs: &Table) -> Result<f64> {
        let epsilon = match self.epsilon {
            Epsilon::Absolute(epsilon) => epsilon,
            // Costs that are all zero leave nothing to choose.
            Epsilon::Relative(share) => share * costs.greatest().max(1e-12),
        };
        match epsilon > 0.0 && epsilon.is_finite() {
            true => Ok(epsilon),
            false => Err(LearningError::invalid(format!(
                "epsilon is {epsilon}: give a number above 0"
            ))),
        }
    }

    /// Sinkhorn's iterations with uniform masses, rows first, potentials kept for each.
    fn sinkhorn(&self, costs: &Table) -> Result<Solved> {
        let epsilon = self.epsilon(costs)?;
        let (rows, columns) = (costs.rows, costs.columns);
        let (a, b) = (1.0 / rows as f64, 1.0 / columns as f64);
        let (log_a, log_b) = (libm::log(a), libm::log(b));
        let mut solved = Solved {
            epsilon,
            f: Vec::new(),
            g: Vec::new(),
            plan: costs.clone(),
        };
        let mut f = vec![0.0; rows];
        let mut g = vec![0.0; columns];
        for _ in 0..self.iterations.max(1) {
            for (i, f) in f.iter_mut().enumerate() {
                let costs = costs.row(i);
                let terms = || g.iter().zip(costs).map(|(g, c)| (g - c) / epsilon);
                *f = epsilon * (log_a - log_sum(terms));
            }
            for (j, g) in g.iter_mut().enumerate() {
                let column = || costs.values[j..].iter().step_by(columns);
                let terms = || f.iter().zip(column()).map(|(f, c)| (f - c) / epsilon);
                *g = epsilon * (log_b - log_sum(terms));
            }
            solved.f.push(f.clone());
            solved.g.push(g.clone());
            let mut worst: f64 = 0.0;
            for (i, f) in f.iter().enumerate() {
                let mut sum = 0.0;
                for (j, g) in g.iter().enumerate() {
                    let at = i * columns + j;
                    let mass = libm::exp((f + g - costs.values[at]) / epsilon);
                    solved.plan.values[at] = mass;
                    sum += mass;
                }
                worst = worst.max((sum - a).abs());
            }
            if worst < self.tolerance {
                break;
            }
        }
        Ok(solved)
    }

    /// The transport cost of two videos and its gradients for both. With `unroll` the gradient also runs through the iterations, else
    /// the plan counts as constant.
    ///
    /// # Errors
    /// As [`Transport::solve`].
    pub fn cost_with_gradients(
        &self,
        x: &Embeddings,
        y: &Embeddings,
        unroll: bool,
    ) -> Result<(f64, [Embeddings; 2])> {
        let costs = self.ground.costs(x, y)?;
        let turn = self.columns_first;
        let positioned = self.positioned(&costs).turned(turn);
        let solved = self.sinkhorn(&positioned)?;
        let plan = solved.plan.clone().turned(turn);
        let mut weights = plan.clone();
        if unroll {
            let worth = costs.clone().turned(turn);
            let through = solved.through_iterations(&positioned, &worth).turned(turn);
            for (weight, more) in weights.values.iter_mut().zip(&through.values) {
                *weight += more;
            }
        }
        let gradients = self.ground.gradients(x, y, &weights)?;
        Ok((plan.dot(&costs), gradients))
    }
}

/// A plan with the potentials of all iterations.
struct Solved {
    epsilon: f64,
    f: Vec<Vec<f64>>,
    g: Vec<Vec<f64>>,
    plan: Table,
}

impl Solved {
    /// The gradient of `Σ plan · worth` for the costs through plan and potentials; epsilon counts as constant.
    fn through_iterations(&self, costs: &Table, worth: &Table) -> Table {
        let (rows, columns, epsilon) = (costs.rows, costs.columns, self.epsilon);
        let mut out = Table {
            values: vec![0.0; rows * columns],
            ..*costs
        };
        let (mut df, mut dg) = (vec![0.0; rows], vec![0.0; columns]);
        for (i, df) in df.iter_mut().enumerate() {
            for (j, dg) in dg.iter_mut().enumerate() {
                let at = i * columns + j;
                let part = self.plan.values[at] * worth.values[at] / epsilon;
                out.values[at] -= part;
                *df += part;
                *dg += part;
            }
        }
        for step in (0..self.f.len()).rev() {
            let (f, g) = (&self.f[step], &self.g[step]);
            // g follows from f: its weights are the columns' shares.
            for j in 0..columns {
                for i in 0..rows {
                    let at = i * columns + j;
                    let share =
                        libm::exp((f[i] + g[j] - costs.values[at]) / epsilon) * columns as f64;
                    out.values[at] += dg[j] * share;
                    df[i] -= dg[j] * share;
                }
            }
            // f follows from the potentials of the iteration before.
            let before = step.checked_sub(1).map(|step| &self.g[step]);
            dg.fill(0.0);
            for i in 0..rows {
                for (j, dg) in dg.iter_mut().enumerate() {
                    let at = i * columns + j;
                    let g = before.map_or(0.0, |g| g[j]);
                    let share = libm::exp((f[i] + g - costs.values[at]) / epsilon) * rows as f64;
                    out.values[at] += df[i] * share;
                    *dg -= df[i] * share;
                }
            }
            df.fill(0.0);
        }
        out
    }
}

/// `log Σ exp` of terms that can be gone through twice.
fn log_sum<I: Iterator<Item = f64>>(terms: impl Fn() -> I) -> f64 {
    let greatest = terms().fold(f64::NEG_INFINITY, f64::max);
    greatest + libm::log(terms().map(|term| libm::exp(term - greatest)).sum())
}

/// The cost of optimal transport without entropy, for videos of at most a few dozen frames: every frame is cut into equal grains that
/// are assigned one to one.
///
/// # Errors
/// More than 2,000 grains, as for long videos of coprime lengths.
pub fn exact_cost(costs: &Table) -> Result<f64> {
    let (rows, columns) = (costs.rows, costs.columns);
    let common = greatest_divisor(rows, columns);
    let grains = rows / common * columns;
    if grains > 2000 {
        return Err(LearningError::invalid(format!(
            "videos of {rows} and {columns} frames need {grains} grains: shorten them"
        )));
    }
    let [per_row, per_column] = [grains / rows, grains / columns];
    let values: Vec<f64> = (0..grains * grains)
        .map(|at| {
            let (i, j) = (at / grains / per_row, at % grains / per_column);
            costs.values[i * columns + j]
        })
        .collect();
    let pairs = assign(&values, grains, grains);
    let sum: f64 = pairs.iter().map(|(i, j)| values[i * grains + j]).sum();
    Ok(sum / grains as f64)
}

fn greatest_divisor(a: usize, b: usize) -> usize {
    match b {
        0 => a,
        _ => greatest_divisor(b, a % b),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use base::rng::Rng;

    use super::*;

    fn random(frames: usize, width: usize, seed: u64) -> Embeddings {
        let values = Rng::new(seed).normals(frames * width);
        Embeddings::new(values.into_iter().map(f64::from).collect(), width).unwrap()
    }

    #[test]
    fn unrolled_gradients_are_those_of_differences() {
        for ground in [Ground::Cosine, Ground::SquaredEuclidean] {
            let transport = Transport {
                ground,
                epsilon: Epsilon::Absolute(0.3),
                iterations: 4,
                tolerance: 0.0,
                position: 0.2,
                columns_first: ground == Ground::Cosine,
            };
            let (x, y) = (random(5, 3, 1), random(4, 3, 2));
            let (_, [dx, dy]) = transport.cost_with_gradients(&x, &y, true).unwrap();
            let cost = |x: &Embeddings, y: &Embeddings| transport.solve(x, y).unwrap().cost();
            for (which, gradient) in [&dx, &dy].into_iter().enumerate() {
                for at in 0..gradient.values().len() {
                    let moved = |by: f64| {
                        let mut pair = [x.clone(), y.clone()];
                        let width = pair[which].width();
                        pair[which].row_mut(at / width)[at % width] += by;
                        cost(&pair[0], &pair[1])
                    };
                    let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                    assert!(
                        (slope - gradient.values()[at]).abs() < 1e-6,
                        "{ground:?} {which} {at}"
                    );
                }
            }
        }
    }

    #[test]
    fn order_counts_when_position_does() {
        let x = random(6, 4, 3);
        let rows: Vec<f64> = (0..6).rev().flat_map(|at| x.row(at).to_vec()).collect();
        let reversed = Embeddings::new(rows, 4).unwrap();
        let usual = Transport::default();
        let [same, back] = [&x, &reversed].map(|y| usual.solve(&x, y).unwrap().cost());
        assert!((same - back).abs() < 1e-9);
        let temporal = Transport {
            position: 10.0,
            ..usual
        };
        let [same, back] = [&x, &reversed].map(|y| temporal.solve(&x, y).unwrap().cost());
        assert!(back > same + 0.1);
    }
}
