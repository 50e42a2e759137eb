//! The two halves of a layer.

use kernels::{
    CachedAttention, Level, QuantRows, Queries, RowInput, RowProduct, ShapeError, Team, add_row,
    attention_weights, cached_attention, gate_row, rotate_row, row_products,
};

use super::super::config::DecoderConfig;
use super::super::layers::{FeedForward, Layer, Linear};
use super::super::names::Slot;
use super::super::output::{Output, Segment};
use super::{Angles, Machine, Part, Pass, Scratch, norm_row};

impl Pass<'_> {
    /// `x += attention(norm(x))`.
    pub(super) fn attention(
        &mut self,
        number: usize,
        layer: &Layer,
        angles: &Angles,
        batch: &mut [Segment<'_>],
        outputs: &mut [Output],
    ) -> Result<(), ShapeError> {
        let config = &self.model.config;
        let (rows, Machine { team, level, bits }) = (self.rows(), self.machine);
        let [queries, keys] = config.projections();
        self.normalise(&layer.norm);
        let Scratch {
            normed,
            rounded,
            q,
            k,
            v,
            update,
            second,
            partial,
            low,
            ..
        } = &mut *self.scratch;
        q.resize(rows * queries, 0.0);
        k.resize(rows * keys, 0.0);
        v.resize(rows * keys, 0.0);
        let [wq, wk, wv] = &layer.qkv;
        let products = Products {
            machine: self.machine,
            parts: &self.parts,
            layer: number,
        };
        products.run(
            normed,
            rounded,
            &mut [(Slot::Q, wq, q), (Slot::K, wk, k), (Slot::V, wv, v)],
            low,
        )?;
        let norms = layer.head_norms.as_ref();
        turn(
            team,
            level,
            config,
            norms.map(|n| &n[0][..]),
            angles,
            q,
            queries,
        );
        turn(
            team,
            level,
            config,
            norms.map(|n| &n[1][..]),
            angles,
            k,
            keys,
        );
        for part in &self.parts {
            let rows = part.rows.start * keys..part.rows.end * keys;
            let cache = &mut *batch[part.segment].cache;
            cache.store(team, number, &k[rows.clone()], &v[rows])?;
        }
        let attention = CachedAttention {
            dims: config.cache_dims(),
            scale: config.attention_scale,
            soft_cap: config.attention_cap,
            window: config.windows[number],
        };
        let sequences: Vec<_> = self
            .parts
            .iter()
            .map(|part| {
                let pages = batch[part.segment].cache.layer(number);
                Queries {
                    q: &q[part.rows.start * queries..part.rows.end * queries],
                    first: part.first,
                    pages: &pages.pages,
                    skipped: pages.skipped,
                }
            })
            .collect();
        second.resize(rows * queries, 0.0);
        cached_attention(team, level, &attention, &sequences, partial, second)?;
        let asked = self.request.attention.iter().enumerate();
        for (i, _) in asked.filter(|(_, asked)| **asked == number) {
            for (part, queries) in self.parts.iter().zip(&sequences) {
                let tokens = 0..part.rows.len();
                let weights = tokens.map(|token| attention_weights(&attention, queries, token));
                outputs[part.segment].attention[i].extend(weights);
            }
        }
        update.resize(rows * config.width, 0.0);
        if layer.output.weight.quantised() {
            rounded.round(team, level, second, rows, bits)?;
        }
        products.run(
            second,
            rounded,
            &mut [(Slot::O, &layer.output, update)],
            low,
        )?;
        if config.parallel {
            // The feed-forward layer reads the same residual: it adds both.
            return Ok(());
        }
        self.add_update(layer.after_attention.as_deref());
        Ok(())
    }

    /// `x += feed_forward(norm(x))`.
    pub(super) fn feed_forward(&mut self, number: usize, layer: &Layer) -> Result<(), ShapeError> {
        let config = &self.model.config;
        let (rows, Machine { team, level, bits }) = (self.rows(), self.machine);
        match &layer.ffn_norm {
            Some(norm) => self.normalise(norm),
            None => {
                // The attention's update first; `normed` still holds what both read.
                let rounds = self.scratch.normed.len() / config.width.max(1);
                debug_assert_eq!(rounds, rows);
                self.add_update(None);
                if quantised(&layer.ffn) {
                    let Scratch {
                        rounded, normed, ..
                    } = &mut *self.scratch;
                    rounded.round(team, level, normed, rows, bits)?;
                }
            }
        }
        let Scratch {
            normed,
            rounded,
            update,
            gate,
            up,
            experts,
            low,
            ..
        } = &mut *self.scratch;
        match &layer.ffn {
            FeedForward::Dense(linears) => {
                let [w_gate, w_up, w_down] = &**linears;
                let ffn = config.ffn;
                gate.resize(rows * ffn, 0.0);
                up.resize(rows * ffn, 0.0);
                let products = Products {
                    machine: self.machine,
                    parts: &self.parts,
                    layer: number,
                };
                let mut both = [(Slot::Gate, w_gate, gate), (Slot::Up, w_up, up)];
                products.run(normed, rounded, &mut both, low)?;
                let [(_, _, gate), (_, _, up)] = both;
                team.rows(gate, ffn, |row, gate| {
                    gate_row(level, config.activation, gate, &up[row * ffn..][..ffn]);
                });
                if w_down.weight.quantised() {
                    rounded.round(team, level, gate, rows, bits)?;
                }
                products.run(gate, rounded, &mut [(Slot::Down, w_down, update)], low)?;
            }
            FeedForward::Experts(mixture) => {
                let input = RowInput {
                    values: normed,
                    rounded,
                    rows,
                };
                mixture.run(&self.machine, config, input, experts, update)?;
            }
        }
        self.add_update(layer.after_ffn.as_deref());
        Ok(())
    }

    /// `normed = norm(x)`, rounded too where the model has quantised weights.
    fn normalise(&mut self, weight: &[f32]) {
        let (config, Machine { team, level, bits }) = (&self.model.config, self.machine);
        let (rows, width) = (self.rows(), config.width);
        let Scratch {
            x, normed, rounded, ..
        } = &mut *self.scratch;
        normed.resize(rows * width, 0.0);
        team.rows(normed, width, |row, out| {
            norm_row(level, config, &x[row * width..][..width], weight, out);
        });
        if self.model.quantised && width.is_multiple_of(32) {
            // Lengths fit by the line above.
            let rounded = rounded.round(team, level, normed, rows, bits);
            debug_assert!(rounded.is_ok());
        }
    }

    /// `x += scale · update`, normalised first where `norm`.
    fn add_update(&mut self, norm: Option<&[f32]>) {
        let (config, Machine { team, level, .. }) = (&self.model.config, self.machine);
        let width = config.width;
        let Scratch {
            x, update, second, ..
        } = &mut *self.scratch;
        let update = match norm {
            None => update,
            Some(norm) => {
                second.resize(update.len(), 0.0);
                team.rows(second, width, |row, out| {
                    norm_row(level, config, &update[row * width..][..width], norm, out);
                });
                second
            }
        };
        team.rows(x, width, |row, x| {
            add_row(
                level,
                x,
                &update[row * width..][..width],
                config.residual_scale,
            );
        });
    }
}

fn quantised(ffn: &FeedForward) -> bool {
    match ffn {
        FeedForward::Dense(linears) => {
            let [gate, up, _] = &**linears;
            gate.weight.quantised() || up.weight.quantised()
        }
        FeedForward::Experts(mixture) => mixture.quantised(),
    }
}

/// Normalises the heads of all rows where `norm`, and turns them.
fn turn(
    team: &Team<'_>,
    level: Level,
    config: &DecoderConfig,
    norm: Option<&[f32]>,
    angles: &Angles,
    values: &mut [f32],
    width: usize,
) {
    let (head, count) = (config.head_dim, angles.width);
    team.rows(values, width, |row, values| {
        let (cos, sin) = (
            &angles.cos[row * count..][..count],
            &angles.sin[row * count..][..count],
        );
        for (h, values) in values.chunks_exact_mut(head).enumerate() {
            if let Some(norm) = norm {
                let norm = if norm.len() == head {
                    norm
                } else {
                    &norm[h * head..][..head]
                };
                let copy = values.to_vec();
                norm_row(level, config, &copy, norm, values);
            }
            rotate_row(level, values, cos, sin, angles.interleaved);
        }
    });
}

/// Products of the same rows with weights of a layer, their biases and adapters.
struct Products<'a> {
    machine: Machine<'a>,
    parts: &'a [Part<'a>],
    layer: usize,
}

impl Products<'_> {
    fn run(
        &self,
        values: &[f32],
        rounded: &QuantRows,
        targets: &mut [(Slot, &Linear, &mut Vec<f32>)],
        low: &mut [Vec<f32>; 2],
    ) -> Result<(), ShapeError> {
        let Machine { team, level, .. } = self.machine;
        let rows = self.parts.last().map_or(0, |part| part.rows.end);
        let input = RowInput {
            values,
            rounded,
            rows,
        };
        let mut products = Vec::with_capacity(targets.len());
        for (_, linear, out) in targets.iter_mut() {
            products.push(RowProduct {
                input,
                weight: linear.weight.rows()?,
                out,
            });
        }
        row_products(team, level, &mut products)?;
        drop(products);
        for (slot, linear, out) in targets {
            if let Some(bias) = &linear.bias {
                team.rows(out, bias.len(), |_, out| add_row(level, out, bias, 1.0));
            }
            let [outputs, inputs] = linear.weight.shape();
            for part in self.parts {
                let x = &values[part.rows.start * inputs..part.rows.end * inputs];
                let out = &mut out[part.rows.start * outputs..part.rows.end * outputs];
                for (lora, factor) in part.adapters {
                    let machine = (team, level);
                    lora.add(machine, self.layer, *slot, *factor, x, out, low)?;
                }
            }
        }
        Ok(())
    }
}
