//! The forward pass.

use std::ops::Range;

use kernels::{
    CachedAttention, InputBits, Level, PartialSums, QuantRows, Queries, RowInput, RowProduct,
    ShapeError, Team, add_row, attention_weights, cached_attention, gate_row, layer_norm_row,
    rms_norm_row, rotate_row, row_products,
};

use super::config::{DecoderConfig, Norm};
use super::experts::ExpertScratch;
use super::layers::{FeedForward, Layer, Linear};
use super::lora::Adapters;
use super::names::Slot;
use super::output::{Input, Logits, Output, Request, Segment};
use super::rope::{Rope, angles};
use super::{Decoder, DecoderError};

/// Tokens that are computed together; longer inputs are cut, which changes no result.
const TOKENS: usize = 512;
/// Rows of logits that are computed together.
const LOGITS: usize = 32;

/// Threads and their instructions.
#[derive(Clone, Copy)]
pub(super) struct Machine<'a> {
    pub(super) team: &'a Team<'a>,
    pub(super) level: Level,
    /// To how many bits inputs of quantised weights are rounded.
    pub(super) bits: InputBits,
}

/// Working memory, kept from call to call. All `[tokens, ..]`.
#[derive(Default)]
pub(super) struct Scratch {
    /// The residual.
    x: Vec<f32>,
    normed: Vec<f32>,
    rounded: QuantRows,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    /// What attention or feed-forward adds to the residual.
    update: Vec<f32>,
    second: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    logits: Vec<f32>,
    partial: PartialSums,
    experts: ExpertScratch,
    low: [Vec<f32>; 2],
}

/// Some tokens of one segment, as rows of the working memory.
struct Part<'a> {
    segment: usize,
    /// Its first token in the segment.
    token: usize,
    /// Position of that in the sequence.
    first: usize,
    rows: Range<usize>,
    /// Whether its last token is the segment's.
    last: bool,
    adapters: Adapters<'a>,
}

/// Cosines and sines of all rows, `[rows, frequencies]`.
struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
    width: usize,
    interleaved: bool,
}

impl Decoder {
    /// Runs the new tokens of all sequences through the model and appends them to their caches. Gives one result for each
    /// sequence.
    ///
    /// # Errors
    /// [`DecoderError`]; what can be wrong with a request is found before anything is computed.
    pub fn forward(
        &self,
        batch: &mut [Segment<'_>],
        request: &Request<'_>,
    ) -> Result<Vec<Output>, DecoderError> {
        request.check(&self.config, batch)?;
        for segment in batch.iter() {
            if let Input::Ids(ids) = segment.input {
                self.check_ids(ids)?;
            }
        }
        let mut outputs = vec![Output::default(); batch.len()];
        for output in &mut outputs {
            let states = if request.states {
                self.config.layers + 1
            } else {
                0
            };
            output.states.resize(states, Vec::new());
            output.attention.resize(request.attention.len(), Vec::new());
        }
        let kept = self.scratch.lock().map(|mut kept| kept.pop());
        let mut scratch = kept.ok().flatten().unwrap_or_default();
        let result = Team::gather(|team| {
            let machine = Machine {
                team,
                level: Level::best(),
                bits: self.bits,
            };
            let lengths: Vec<usize> = batch.iter().map(|s| s.tokens(self.config.width)).collect();
            let mut at = (0, 0);
            while let Some(parts) = next_parts(batch, &lengths, &mut at) {
                let mut pass = Pass {
                    model: self,
                    machine,
                    request,
                    scratch: &mut scratch,
                    parts,
                };
                pass.run(batch, &mut outputs)?;
            }
            Ok(())
        });
        if let Ok(mut kept) = self.scratch.lock() {
            kept.push(scratch);
        }
        result.map(|()| outputs)
    }
}

/// The next tokens from segment and token `at` on.
fn next_parts<'a>(
    batch: &[Segment<'a>],
    lengths: &[usize],
    at: &mut (usize, usize),
) -> Option<Vec<Part<'a>>> {
    let mut parts = Vec::new();
    let mut rows = 0;
    while rows < TOKENS && at.0 < batch.len() {
        let (segment, token) = *at;
        let count = (lengths[segment] - token).min(TOKENS - rows);
        let last = token + count == lengths[segment];
        parts.push(Part {
            segment,
            token,
            first: batch[segment].cache.len(),
            rows: rows..rows + count,
            last,
            adapters: batch[segment].adapters,
        });
        rows += count;
        *at = match last {
            true => (segment + 1, 0),
            false => (segment, token + count),
        };
    }
    (!parts.is_empty()).then_some(parts)
}

/// One pass of as many tokens as are computed together.
struct Pass<'a> {
    model: &'a Decoder,
    machine: Machine<'a>,
    request: &'a Request<'a>,
    scratch: &'a mut Scratch,
    parts: Vec<Part<'a>>,
}

impl Pass<'_> {
    fn run(
        &mut self,
        batch: &mut [Segment<'_>],
        outputs: &mut [Output],
    ) -> Result<(), DecoderError> {
        let config = &self.model.config;
        self.embed(batch);
        let usual = self.angles(&config.rope, batch);
        let windowed = config.window_rope.as_ref();
        let windowed = windowed.map(|rope| self.angles(rope, batch));
        for (number, layer) in self.model.layers.iter().enumerate() {
            self.keep_states(number, outputs);
            let angles = match (&windowed, config.windows[number]) {
                (Some(angles), Some(_)) => angles,
                _ => &usual,
            };
            self.attention(number, layer, angles, batch, outputs)?;
            self.feed_forward(number, layer)?;
            self.hooks(number);
        }
        self.keep_states(config.layers, outputs);
        for part in &self.parts {
            batch[part.segment].cache.advance(part.rows.len());
        }
        self.finish(outputs)?;
        Ok(())
    }

    fn rows(&self) -> usize {
        self.parts.last().map_or(0, |part| part.rows.end)
    }

    fn embed(&mut self, batch: &[Segment<'_>]) {
        let (rows, config) = (self.rows(), &self.model.config);
        let (width, scale) = (config.width, config.embedding_scale);
        let mut x = std::mem::take(&mut self.scratch.x);
        x.resize(rows * width, 0.0);
        let (parts, table) = (&self.parts, &self.model.embedding);
        let inputs: Vec<Input<'_>> = batch.iter().map(|segment| segment.input).collect();
        self.machine.team.rows(&mut x, width, |row, x| {
            let part = &parts[parts.partition_point(|part| part.rows.end <= row)];
            let token = part.token + row - part.rows.start;
            match inputs[part.segment] {
                Input::Ids(ids) => table.row(ids[token] as usize, x),
                Input::Embeddings(values) => x.copy_from_slice(&values[token * width..][..width]),
            }
            if scale != 1.0 {
                x.iter_mut().for_each(|x| *x *= scale);
            }
        });
        self.scratch.x = x;
    }

    fn angles(&self, rope: &Rope, batch: &[Segment<'_>]) -> Angles {
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for part in &self.parts {
            let frequencies = rope.frequencies(batch[part.segment].cache.limit());
            let positions = part.first..part.first + part.rows.len();
            angles(&frequencies, positions, &mut cos, &mut sin);
        }
        Angles {
            cos,
            sin,
            width: rope.dims / 2,
            interleaved: rope.interleaved,
        }
    }

    fn keep_states(&self, number: usize, outputs: &mut [Output]) {
        if self.request.states {
            let width = self.model.config.width;
            for part in &self.parts {
                let rows = part.rows.start * width..part.rows.end * width;
                outputs[part.segment].states[number].extend_from_slice(&self.scratch.x[rows]);
            }
        }
    }

    fn hooks(&mut self, layer: usize) {
        let width = self.model.config.width;
        for hook in self.request.hooks.iter().filter(|hook| hook.layer == layer) {
            for part in &self.parts {
                if hook.segment.is_some_and(|segment| segment != part.segment) {
                    continue;
                }
                let rows = &mut self.scratch.x[part.rows.start * width..part.rows.end * width];
                for (i, x) in rows.chunks_exact_mut(width).enumerate() {
                    hook.action.apply(part.token + i, x);
                }
            }
        }
    }

    /// `x += attention(norm(x))`.
    fn attention(
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
    fn feed_forward(&mut self, number: usize, layer: &Layer) -> Result<(), ShapeError> {
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

    /// Hidden states and logits.
    fn finish(&mut self, outputs: &mut [Output]) -> Result<(), ShapeError> {
        let (config, Machine { team, level, bits }) = (&self.model.config, self.machine);
        let (width, vocab) = (config.width, config.vocab);
        let head = self.model.head.as_ref().unwrap_or(&self.model.embedding);
        for i in 0..self.parts.len() {
            let part = &self.parts[i];
            let output = &mut outputs[part.segment];
            let logits = match self.request.logits {
                Logits::None => part.rows.end..part.rows.end,
                Logits::Last if part.last => part.rows.end - 1..part.rows.end,
                Logits::Last => part.rows.end..part.rows.end,
                Logits::All => part.rows.clone(),
            };
            let needed = match self.request.hidden {
                true => part.rows.clone(),
                false => logits.clone(),
            };
            let Scratch {
                x,
                normed,
                rounded,
                logits: values,
                ..
            } = &mut *self.scratch;
            normed.resize(needed.len() * width, 0.0);
            team.rows(normed, width, |row, out| {
                let x = &x[(needed.start + row) * width..][..width];
                norm_row(level, config, x, &self.model.norm, out);
            });
            if self.request.hidden {
                output.hidden.extend_from_slice(normed);
            }
            for first in logits.clone().step_by(LOGITS) {
                let count = LOGITS.min(logits.end - first);
                let rows = &normed[(first - needed.start) * width..][..count * width];
                values.resize(count * vocab, 0.0);
                if head.quantised() {
                    rounded.round(team, level, rows, count, bits)?;
                }
                let product = RowProduct {
                    input: RowInput {
                        values: rows,
                        rounded,
                        rows: count,
                    },
                    weight: head.rows()?,
                    out: values,
                };
                row_products(team, level, &mut [product])?;
                for value in values.iter_mut() {
                    *value *= config.logit_scale;
                }
                if let Some(cap) = config.logit_cap {
                    for value in values.iter_mut() {
                        *value = cap * (*value / cap).tanh();
                    }
                }
                output.logits.extend_from_slice(values);
            }
        }
        Ok(())
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

fn norm_row(level: Level, config: &DecoderConfig, x: &[f32], weight: &[f32], out: &mut [f32]) {
    match config.norm {
        Norm::Rms => rms_norm_row(level, x, weight, 0.0, config.eps, out),
        Norm::RmsPlusOne => rms_norm_row(level, x, weight, 1.0, config.eps, out),
        Norm::Layer => layer_norm_row(level, x, weight, config.eps, out),
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
