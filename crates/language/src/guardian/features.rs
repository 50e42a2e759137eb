//! What a frozen language model makes of a message: the inputs of the small guard.
//!
//! Of the last message: the mean of its states half-way and late in the model, how surprising its tokens are after all that
//! came before, and the state at the most surprising one. Of the end of the prompt, where the model is about to answer: its
//! state late in the model and after the final norm, and the odds of yes.

use engine::models::decoder::{DecoderConfig, Output};

use super::language::surprisal;

/// Numbers beside the states.
const NUMBERS: usize = 8;
/// States of the width of the model.
const STATES: usize = 5;

/// Inputs of a classifier, `[5 · width + 8]`.
pub(super) struct Features(pub(super) Vec<f32>);

/// How many features a model of `width` gives.
pub fn count(width: usize) -> usize {
    STATES * width + NUMBERS
}

/// Gathers features while a prompt goes through a model.
pub(super) struct FeatureReader {
    width: usize,
    vocab: usize,
    /// Which residuals: half-way, three quarters, five sixths of the layers.
    layers: [usize; 3],
    half: Vec<f32>,
    late: Vec<f32>,
    worst: Vec<f32>,
    end: Vec<f32>,
    tokens: usize,
    surprisals: Vec<f32>,
    /// Logits of the last token of the chunk before.
    before: Vec<f32>,
}

impl FeatureReader {
    pub(super) fn new(config: &DecoderConfig) -> Self {
        let layers = config.layers;
        Self {
            width: config.width,
            vocab: config.vocab,
            layers: [layers / 2, layers * 3 / 4, layers * 5 / 6],
            half: vec![0.0; config.width],
            late: vec![0.0; config.width],
            worst: vec![0.0; config.width],
            end: Vec::new(),
            tokens: 0,
            surprisals: Vec::new(),
            before: Vec::new(),
        }
    }

    /// Takes in a chunk whose first token is number `at` of `ids`; the message begins at `start`.
    pub(super) fn message(&mut self, at: usize, start: usize, ids: &[u32], output: &Output) {
        let count = output.logits.len() / self.vocab;
        for index in 0..count {
            let row = |layer: usize| {
                let states = output.states.get(layer).map_or(&[][..], Vec::as_slice);
                normalised(
                    states
                        .get(index * self.width..(index + 1) * self.width)
                        .unwrap_or_default(),
                )
            };
            let id = ids.get(at + index).copied().unwrap_or_default();
            if at + index >= start && !self.before.is_empty() {
                let surprise = surprisal(&self.before, id);
                if self.surprisals.iter().all(|other| surprise > *other) {
                    self.worst = row(self.layers[1]);
                }
                self.surprisals.push(surprise);
                for (mean, layer) in [
                    (&mut self.half, self.layers[0]),
                    (&mut self.late, self.layers[2]),
                ] {
                    for (sum, value) in mean.iter_mut().zip(row(layer)) {
                        *sum += value;
                    }
                }
                self.tokens += 1;
            }
            let logits = &output.logits[index * self.vocab..(index + 1) * self.vocab];
            self.before.clear();
            self.before.extend_from_slice(logits);
        }
    }

    /// Takes in the end of the prompt.
    pub(super) fn end(&mut self, output: &Output) {
        let last = |values: &[f32]| {
            values
                .get(values.len().saturating_sub(self.width)..)
                .unwrap_or_default()
                .to_vec()
        };
        let state = output
            .states
            .get(self.layers[1])
            .map(|values| last(values))
            .unwrap_or_default();
        self.end = normalised(&state);
        self.end.extend(normalised(&last(&output.hidden)));
    }

    /// All features; `odds` is the logarithm of the odds of yes.
    pub(super) fn finish(mut self, odds: f32) -> Features {
        let count = self.tokens.max(1) as f32;
        for value in self.half.iter_mut().chain(&mut self.late) {
            *value /= count;
        }
        let mut sorted = self.surprisals.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len().max(1) as f32;
        let average = mean(&self.surprisals);
        let squares: Vec<f32> = self
            .surprisals
            .iter()
            .map(|s| (s - average).powi(2))
            .collect();
        let top = |n: usize| sorted.get(..n.min(sorted.len())).map_or(0.0, mean);
        let numbers = [
            average,
            top(1),
            top(3),
            sorted.get(1).copied().unwrap_or(0.0),
            mean(&squares).sqrt(),
            self.surprisals.first().copied().unwrap_or(0.0),
            (1.0 + self.tokens as f32).ln(),
            odds,
        ];
        let mut all = self.half;
        all.extend(self.late);
        all.extend(self.worst);
        all.extend(self.end);
        all.extend(numbers);
        Features(all)
    }
}

/// A state divided by its root mean square, as the model's own norms do.
fn normalised(state: &[f32]) -> Vec<f32> {
    let squares: f32 = state.iter().map(|x| x * x).sum();
    let scale = 1.0 / (squares / state.len().max(1) as f32 + 1e-6).sqrt();
    state.iter().map(|x| x * scale).collect()
}
