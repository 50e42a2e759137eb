//! How strongly hidden states express a concept.

use std::borrow::Borrow;

use super::frame::Frame;
use super::linalg::dot;

/// Which way of probing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeKind {
    /// The running sum of the projections of the windows that begin at each token: the official code.
    #[default]
    Cumulative,
    /// The projection of the window that ends with the token: the paper's text.
    Window,
}

/// Projections of hidden states `[tokens, width]` on a concept of `K` columns: for each token `t`,
/// `Σⱼ ⟨h(t+j), sⱼ⟩ / √(r(Hₜ) r(S))` over the window `Hₜ` of the states from `t` to `t + K − 1`. It ends with the text, and
/// `r(Hₜ)` counts the states that are there.
pub fn projections(hidden: &[f32], concept: &Frame) -> Vec<f64> {
    let width = concept.width();
    let states: Vec<&[f32]> = hidden.chunks_exact(width).collect();
    let there: Vec<bool> = states.iter().map(|h| h.iter().any(|x| *x != 0.0)).collect();
    let rank = concept.rank();
    (0..states.len())
        .map(|t| {
            let window = t..(t + concept.columns()).min(states.len());
            let sum: f64 = window
                .clone()
                .zip(0..)
                .map(|(at, column)| dot(states[at], concept.column(column)))
                .sum();
            let present = there[window].iter().filter(|there| **there).count();
            sum / ((present * rank) as f64).sqrt()
        })
        .collect()
}

/// The probe at every token of hidden states `[tokens, width]`.
pub fn probe(hidden: &[f32], concept: &Frame, kind: ProbeKind) -> Vec<f64> {
    match kind {
        ProbeKind::Cumulative => running_sum(&projections(hidden, concept)),
        ProbeKind::Window => {
            let width = concept.width();
            let tokens = hidden.len() / width.max(1);
            (0..tokens)
                .map(|t| {
                    let first = (t + 1).saturating_sub(concept.columns());
                    projections(&hidden[first * width..(t + 1) * width], concept)[0]
                })
                .collect()
        }
    }
}

/// Sums of all values up to each one.
pub fn running_sum(values: &[f64]) -> Vec<f64> {
    let add = |sum: &mut f64, value: &f64| {
        *sum += value;
        Some(*sum)
    };
    values.iter().scan(0.0, add).collect()
}

/// The frame `G` of `columns` columns for which the cumulative probe of the last token on any concept `S` is
/// `Σⱼ ⟨gⱼ, sⱼ⟩ / √r(S)`: sums of hidden states `[tokens, width]`. One product then probes a text of any length.
pub fn summed(hidden: &[f32], width: usize, columns: usize) -> Frame {
    let states: Vec<&[f32]> = hidden.chunks_exact(width).collect();
    let there: Vec<bool> = states.iter().map(|h| h.iter().any(|x| *x != 0.0)).collect();
    let mut sums = vec![0.0_f64; width * columns];
    for t in 0..states.len() {
        let window = t..(t + columns).min(states.len());
        let present = there[window.clone()].iter().filter(|there| **there).count();
        if present == 0 {
            continue;
        }
        let scale = 1.0 / (present as f64).sqrt();
        for (at, sums) in window.zip(sums.chunks_exact_mut(width)) {
            for (sum, x) in sums.iter_mut().zip(states[at]) {
                *sum += scale * f64::from(*x);
            }
        }
    }
    Frame::from_columns(width, sums.into_iter().map(|x| x as f32).collect())
}

/// The cumulative probe of a text that grows: windows that a new token does not change are summed once.
#[derive(Clone, Debug)]
pub struct GrowingProbe<F> {
    concept: F,
    /// Projections of the windows that are whole.
    settled: Vec<f64>,
    total: f64,
    /// The last `K − 1` states, fewer at first.
    tail: Vec<f32>,
}

impl<F: Borrow<Frame>> GrowingProbe<F> {
    /// A probe of a text with hidden states `[tokens, width]`.
    pub fn new(concept: F, hidden: &[f32]) -> Self {
        let width = concept.borrow().width();
        let mut probe = Self {
            concept,
            settled: Vec::new(),
            total: 0.0,
            tail: Vec::new(),
        };
        for state in hidden.chunks_exact(width.max(1)) {
            probe.push(state);
        }
        probe
    }

    /// Projections of the windows that hold the new state.
    fn open(&self, state: &[f32]) -> Vec<f64> {
        projections(&[&self.tail, state].concat(), self.concept.borrow())
    }

    /// The cumulative probe at the token of `state`, were it the next one.
    pub fn with(&self, state: &[f32]) -> f64 {
        self.total + self.open(state).iter().sum::<f64>()
    }

    /// The cumulative probe at every token, were the one of `state` the next.
    pub fn all_with(&self, state: &[f32]) -> Vec<f64> {
        let mut all = self.settled.clone();
        all.extend(self.open(state));
        running_sum(&all)
    }

    /// Goes on by a token.
    pub fn push(&mut self, state: &[f32]) {
        let width = self.concept.borrow().width();
        if self.tail.len() / width + 1 == self.concept.borrow().columns() {
            let whole = self.open(state)[0];
            self.settled.push(whole);
            self.total += whole;
            self.tail.drain(..width.min(self.tail.len()));
        }
        if self.concept.borrow().columns() > 1 {
            self.tail.extend_from_slice(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 37 % 23) as f32 - 11.0) / 7.0)
            .collect()
    }

    #[test]
    fn growing_and_summed_probes_equal_the_whole_one() {
        let width = 5;
        for columns in [1, 2, 3] {
            let concept = Frame::from_columns(width, numbers(width * columns));
            for tokens in [1, 2, 6] {
                let hidden = numbers(width * tokens);
                let whole = probe(&hidden, &concept, ProbeKind::Cumulative);
                let last = (tokens - 1) * width;
                let growing = GrowingProbe::new(&concept, &hidden[..last]);
                let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-5, "{a} {b}");
                close(growing.with(&hidden[last..]), whole[tokens - 1]);
                let all = growing.all_with(&hidden[last..]);
                assert_eq!(all.len(), tokens);
                all.iter().zip(&whole).for_each(|(a, b)| close(*a, *b));
                let summed = summed(&hidden, width, columns);
                let products = (0..columns).map(|j| dot(summed.column(j), concept.column(j)));
                close(
                    products.sum::<f64>() / (concept.rank() as f64).sqrt(),
                    whole[tokens - 1],
                );
            }
        }
    }

    #[test]
    fn windows_end_with_their_token() {
        let concept = Frame::from_columns(1, vec![1.0, 10.0]);
        let found = probe(&[1.0, 2.0, 3.0], &concept, ProbeKind::Window);
        let expected = [1.0 / 2.0_f64.sqrt(), 21.0 / 2.0, 32.0 / 2.0];
        assert!(
            found
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-12),
            "{found:?}"
        );
    }
}
