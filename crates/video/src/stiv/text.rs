//! Text towers: anything that turns prompts into a token sequence and a pooled vector (paper section 3.1).
//!
//! The published model uses a CLIP text tower. The embedded models use [`WordTower`]: an embedding for each word
//! of eleven languages, trained to tell subjects apart, frozen before the transformer is trained.

use std::collections::HashMap;

use burn::tensor::{Bool, Device, Tensor, TensorData};
use engine::data::lexicon::Vocabulary;

use super::condition::{Condition, Texts};
use super::config::MICRO_CONDITIONS;

/// Prompts as numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct TextBatch {
    /// `[batch, keys, width]`.
    pub tokens: Vec<f32>,
    /// `[batch, keys]`, true where `tokens` holds a token; at least one for each prompt.
    pub mask: Vec<bool>,
    /// `[batch, width]`.
    pub pooled: Vec<f32>,
    /// Number of prompts.
    pub batch: usize,
    /// Tokens of a prompt, padding included.
    pub keys: usize,
    /// Width of a token.
    pub width: usize,
}

impl TextBatch {
    /// `batch` prompts that say nothing.
    pub fn empty(batch: usize, keys: usize, width: usize) -> Self {
        let mut mask = vec![false; batch * keys];
        mask.iter_mut()
            .step_by(keys)
            .for_each(|first| *first = true);
        Self {
            tokens: vec![0.0; batch * keys * width],
            mask,
            pooled: vec![0.0; batch * width],
            batch,
            keys,
            width,
        }
    }

    /// Conditions for the guidance branches of `prompts`: all of it, its style alone, and nothing at all.
    pub fn texts(
        tower: &dyn TextTower,
        prompts: &[&str],
        micro: [f32; MICRO_CONDITIONS],
        device: &Device,
    ) -> Texts {
        let count = prompts.len();
        let condition = |text: Self| text.condition(vec![micro; count], device);
        let full = tower.encode(prompts);
        Texts {
            null: condition(Self::empty(count, full.keys, full.width)),
            style: tower.encode_style(prompts).map(condition),
            full: condition(full),
        }
    }

    /// The condition that these prompts make together with the micro-conditions of each sample.
    pub fn condition(self, micro: Vec<[f32; MICRO_CONDITIONS]>, device: &Device) -> Condition {
        let [batch, keys, width] = [self.batch, self.keys, self.width];
        Condition {
            text: Tensor::from_data(TensorData::new(self.tokens, [batch, keys, width]), device),
            text_mask: Some(Tensor::<2, Bool>::from_data(
                TensorData::new(self.mask, [batch, keys]),
                device,
            )),
            pooled: Tensor::from_data(TensorData::new(self.pooled, [batch, width]), device),
            micro,
        }
    }
}

/// Turns prompts into conditions.
pub trait TextTower: Send + Sync {
    /// Width of tokens and pooled vectors.
    fn width(&self) -> usize;
    /// Tokens that every prompt is padded to.
    fn keys(&self) -> usize;
    /// Encodes prompts; an empty prompt says nothing.
    fn encode(&self, prompts: &[&str]) -> TextBatch;
    /// Encodes what prompts say of the style, and nothing else; none where the tower knows no styles.
    fn encode_style(&self, _prompts: &[&str]) -> Option<TextBatch> {
        None
    }
}

/// Word tokens that follow the subject and style tokens.
const WORD_TOKENS: usize = 6;

/// A tower of word embeddings with one vector a subject and one a style.
#[derive(Clone, Debug)]
pub struct WordTower {
    /// Words of all languages, emoji among them.
    pub vocabulary: Vocabulary,
    /// `[words, width]`: what a word says of the subjects.
    pub words: Vec<f32>,
    /// Codes of the subjects, as in the pack.
    pub codes: Vec<String>,
    /// `[subjects, width]`: the subjects as the transformer sees them, each of RMS 1.
    pub subjects: Vec<f32>,
    /// Style names, and the vectors they stand for (`[styles, width]`, each of RMS 1).
    pub styles: Vec<String>,
    /// See `styles`.
    pub style_vectors: Vec<f32>,
    /// Width of a vector.
    pub width: usize,
    style_ids: HashMap<String, usize>,
}

/// What a tower makes of one prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Understood {
    /// Known words, in order.
    pub words: Vec<u32>,
    /// Words that no subject has.
    pub unknown: Vec<String>,
    /// The style asked for in words.
    pub style: Option<usize>,
    /// Probability of each subject; uniform without a known word.
    pub subjects: Vec<f32>,
}

impl WordTower {
    /// A tower out of its parts, which are taken as they are: a tower that was written and read again must be the same
    /// to the last bit, or a resumed training would differ.
    pub fn new(
        vocabulary: Vocabulary,
        words: Vec<f32>,
        codes: Vec<String>,
        subjects: Vec<f32>,
        styles: Vec<String>,
        style_vectors: Vec<f32>,
        width: usize,
    ) -> Self {
        let style_ids = styles.iter().cloned().zip(0..).collect();
        Self {
            vocabulary,
            words,
            codes,
            subjects,
            styles,
            style_vectors,
            width,
            style_ids,
        }
    }

    /// Reads one prompt.
    pub fn understand(&self, prompt: &str) -> Understood {
        let mut words = Vec::new();
        let mut unknown = Vec::new();
        let mut style = None;
        for word in self.vocabulary.tokens(prompt) {
            if let Some(&id) = self.style_ids.get(&word) {
                style = Some(id);
            } else if let Some(id) = self.vocabulary.id(&word) {
                words.push(id);
            } else {
                unknown.push(word);
            }
        }
        let subjects = self.posterior(&words);
        Understood {
            words,
            unknown,
            style,
            subjects,
        }
    }

    /// Probability of each subject given words: softmax of the summed word vectors against the subjects.
    fn posterior(&self, words: &[u32]) -> Vec<f32> {
        let sum = self.sum(words);
        let logits: Vec<f32> = self
            .subjects
            .chunks_exact(self.width)
            .map(|subject| subject.iter().zip(&sum).map(|(a, b)| a * b).sum())
            .collect();
        let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f32> = logits.iter().map(|l| libm::expf(l - top)).collect();
        let total: f32 = weights.iter().sum();
        weights.iter().map(|w| w / total).collect()
    }

    /// The vector of the subject of a code.
    pub fn subject(&self, code: &str) -> Option<&[f32]> {
        let at = self.codes.iter().position(|known| known == code)?;
        self.subjects.get(at * self.width..(at + 1) * self.width)
    }

    fn sum(&self, words: &[u32]) -> Vec<f32> {
        let mut sum = vec![0.0; self.width];
        for &word in words {
            add(&mut sum, self.word(word), 1.0);
        }
        sum
    }

    fn word(&self, id: u32) -> &[f32] {
        &self.words[id as usize * self.width..][..self.width]
    }
}

impl TextTower for WordTower {
    fn width(&self) -> usize {
        self.width
    }

    fn keys(&self) -> usize {
        2 + WORD_TOKENS
    }

    fn encode(&self, prompts: &[&str]) -> TextBatch {
        let understood = prompts.iter().map(|prompt| self.understand(prompt));
        self.encode_all(understood)
    }

    fn encode_style(&self, prompts: &[&str]) -> Option<TextBatch> {
        let styles = prompts.iter().map(|prompt| Understood {
            words: Vec::new(),
            ..self.understand(prompt)
        });
        Some(self.encode_all(styles))
    }
}

impl WordTower {
    /// Tokens: the expected subject, the style, then up to six words. Pooled: subject plus style.
    fn encode_all(&self, prompts: impl ExactSizeIterator<Item = Understood>) -> TextBatch {
        let (keys, width) = (self.keys(), self.width);
        let mut batch = TextBatch::empty(prompts.len(), keys, width);
        for (i, understood) in prompts.enumerate() {
            let tokens = &mut batch.tokens[i * keys * width..][..keys * width];
            let mask = &mut batch.mask[i * keys..][..keys];
            let pooled = &mut batch.pooled[i * width..][..width];
            if !understood.words.is_empty() {
                let subject = &mut tokens[..width];
                for (vector, &p) in self.subjects.chunks_exact(width).zip(&understood.subjects) {
                    add(subject, vector, p);
                }
                unit_rms(subject);
                add(pooled, subject, 1.0);
            }
            if let Some(style) = understood.style {
                let vector = &self.style_vectors[style * width..][..width];
                add(&mut tokens[width..2 * width], vector, 1.0);
                mask[1] = true;
                add(pooled, vector, 1.0);
            }
            for (at, &word) in understood.words.iter().take(WORD_TOKENS).enumerate() {
                let token = &mut tokens[(2 + at) * width..][..width];
                token.copy_from_slice(self.word(word));
                unit_rms(token);
                mask[2 + at] = true;
            }
        }
        batch
    }
}

fn add(sum: &mut [f32], vector: &[f32], weight: f32) {
    sum.iter_mut()
        .zip(vector)
        .for_each(|(sum, value)| *sum += weight * value);
}

/// Scales to a root mean square of 1; leaves zeros alone.
pub(super) fn unit_rms(vector: &mut [f32]) {
    let mean_square = vector.iter().map(|v| v * v).sum::<f32>() / vector.len() as f32;
    if mean_square > 0.0 {
        let scale = 1.0 / libm::sqrtf(mean_square);
        vector.iter_mut().for_each(|v| *v *= scale);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::TextTower;
    use crate::stiv::embedded;

    #[test]
    fn a_style_said_beside_a_subject_is_the_style_said_alone() {
        let tower = embedded::tower().unwrap();
        let alone = tower.encode(&["noto", "", "twemoji"]);
        let said = tower.encode_style(&["red apple noto", "red apple", "twemoji 여우"]);
        assert_eq!(said.unwrap(), alone);
    }
}
