//! A mixture of experts in place of a feed-forward layer.

use kernels::{QuantRows, RowInput, RowProduct, ShapeError, add_row, gate_row, row_products};

use super::config::{DecoderConfig, Experts};
use super::error::DecoderError;
use super::forward::Machine;
use super::weight::{Loader, Weight};

/// Weights of a mixture.
pub(super) struct Mixture {
    /// `[experts, width]`.
    router: Weight,
    /// Gate, up and down of each expert.
    experts: Vec<[Weight; 3]>,
    used: usize,
}

/// Working memory, kept from call to call.
#[derive(Default)]
pub(super) struct ExpertScratch {
    scores: Vec<f32>,
    all: Vec<ExpertRows>,
}

/// The rows of one expert.
#[derive(Default)]
struct ExpertRows {
    /// Rows of the batch and their shares.
    rows: Vec<(usize, f32)>,
    x: Vec<f32>,
    rounded: QuantRows,
    gate: Vec<f32>,
    up: Vec<f32>,
    hidden: QuantRows,
    out: Vec<f32>,
}

impl Mixture {
    pub(super) fn load(
        loader: &mut Loader<'_>,
        config: &DecoderConfig,
        Experts { count, used }: Experts,
        [router, gate, up, down]: &[String; 4],
    ) -> Result<Self, DecoderError> {
        let (width, ffn) = (config.width, config.ffn);
        // One tensor holds the gate rows of an expert, then its up rows; or there is one for each.
        let (all, start) = match gate == up {
            true => (2 * ffn, ffn),
            false => (ffn, 0),
        };
        let mut part = |name: &str, shape: [usize; 3], from: usize, rows: usize| {
            let order: Vec<usize> = (from..from + rows).collect();
            loader.matrix(name, &shape, Some(&order))
        };
        let mut experts = Vec::new();
        for e in 0..count {
            experts.push([
                part(gate, [count, all, width], e * all, ffn)?,
                part(up, [count, all, width], e * all + start, ffn)?,
                part(down, [count, width, ffn], e * width, width)?,
            ]);
        }
        Ok(Self {
            router: loader.matrix(router, &[count, width], None)?,
            experts,
            used,
        })
    }

    /// Whether inputs are rounded for the router.
    pub(super) fn quantised(&self) -> bool {
        self.router.quantised()
    }

    /// Writes the results for the rows of `input` to `out` `[rows, width]`: a weighted sum over the best experts of
    /// each row, with a softmax over their scores, added up from the best one on.
    pub(super) fn run(
        &self,
        machine: &Machine<'_>,
        config: &DecoderConfig,
        input: RowInput<'_>,
        scratch: &mut ExpertScratch,
        out: &mut [f32],
    ) -> Result<(), ShapeError> {
        let Machine { team, level, bits } = *machine;
        let (width, ffn) = (config.width, config.ffn);
        let ExpertScratch { scores, all } = scratch;
        scores.resize(input.rows * self.experts.len(), 0.0);
        let router = RowProduct {
            input,
            weight: self.router.rows()?,
            out: scores,
        };
        row_products(team, level, &mut [router])?;
        all.resize_with(self.experts.len(), ExpertRows::default);
        for rows in all.iter_mut() {
            rows.rows.clear();
        }
        let chosen: Vec<Vec<(usize, usize, f32)>> = scores
            .chunks_exact(self.experts.len())
            .enumerate()
            .map(|(row, scores)| {
                let best = best(scores, self.used);
                best.into_iter()
                    .map(|(expert, share)| {
                        all[expert].rows.push((row, share));
                        (expert, all[expert].rows.len() - 1, share)
                    })
                    .collect()
            })
            .collect();
        for (rows, weights) in all.iter_mut().zip(&self.experts) {
            let count = rows.rows.len();
            rows.x.clear();
            for (row, _) in &rows.rows {
                rows.x
                    .extend_from_slice(&input.values[row * width..][..width]);
            }
            rows.gate.resize(count * ffn, 0.0);
            rows.up.resize(count * ffn, 0.0);
            rows.out.resize(count * width, 0.0);
            if weights[0].quantised() || weights[1].quantised() {
                rows.rounded.round(team, level, &rows.x, count, bits)?;
            }
        }
        let mut products = Vec::new();
        for (rows, [gate, up, _]) in all.iter_mut().zip(&self.experts) {
            let input = RowInput {
                values: &rows.x,
                rounded: &rows.rounded,
                rows: rows.rows.len(),
            };
            for (weight, out) in [(gate, &mut rows.gate), (up, &mut rows.up)] {
                products.push(RowProduct {
                    input,
                    weight: weight.rows()?,
                    out,
                });
            }
        }
        products.retain(|product| product.input.rows > 0);
        row_products(team, level, &mut products)?;
        for (rows, weights) in all.iter_mut().zip(&self.experts) {
            let up = &rows.up;
            team.rows(&mut rows.gate, ffn, |row, gate| {
                gate_row(level, config.activation, gate, &up[row * ffn..][..ffn]);
            });
            if weights[2].quantised() {
                rows.hidden
                    .round(team, level, &rows.gate, rows.rows.len(), bits)?;
            }
        }
        let mut products = Vec::new();
        for (rows, [_, _, down]) in all.iter_mut().zip(&self.experts) {
            products.push(RowProduct {
                input: RowInput {
                    values: &rows.gate,
                    rounded: &rows.hidden,
                    rows: rows.rows.len(),
                },
                weight: down.rows()?,
                out: &mut rows.out,
            });
        }
        products.retain(|product| product.input.rows > 0);
        row_products(team, level, &mut products)?;
        team.rows(out, width, |row, out| {
            out.fill(0.0);
            for &(expert, place, share) in &chosen[row] {
                add_row(
                    level,
                    out,
                    &all[expert].out[place * width..][..width],
                    share,
                );
            }
        });
        Ok(())
    }
}

/// The best scores, highest first and earlier ones before equal later ones, with their shares.
fn best(scores: &[f32], count: usize) -> Vec<(usize, f32)> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order.truncate(count);
    let highest = order.first().map_or(0.0, |&best| scores[best]);
    let parts: Vec<f32> = order.iter().map(|&i| (scores[i] - highest).exp()).collect();
    let total: f32 = parts.iter().sum();
    order
        .into_iter()
        .zip(parts)
        .map(|(expert, part)| (expert, part / total))
        .collect()
}
