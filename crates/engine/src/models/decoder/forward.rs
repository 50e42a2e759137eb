//! The forward pass.

mod layer;

use std::ops::Range;

use kernels::{
    InputBits, Level, PartialSums, QuantRows, RowInput, RowProduct, ShapeError, Team,
    layer_norm_row, rms_norm_row, row_products,
};

use super::config::{DecoderConfig, Norm};
use super::experts::ExpertScratch;
use super::lora::Adapters;
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

fn norm_row(level: Level, config: &DecoderConfig, x: &[f32], weight: &[f32], out: &mut [f32]) {
    match config.norm {
        Norm::Rms => rms_norm_row(level, x, weight, 0.0, config.eps, out),
        Norm::RmsPlusOne => rms_norm_row(level, x, weight, 1.0, config.eps, out),
        Norm::Layer => layer_norm_row(level, x, weight, config.eps, out),
    }
}
