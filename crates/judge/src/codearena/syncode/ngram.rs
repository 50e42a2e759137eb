//! A linear classifier over hashed n-grams in the manner of fastText: the mean of the n-grams' vectors, one linear layer,
//! softmax. 2¹⁸ buckets of 16 numbers [ours].

use std::path::Path;

use base::rng::Rng;
use base::tensor_file::{Precision, TensorFile, Weights, WeightsError};

/// Buckets that n-grams are hashed into; a power of two.
const BUCKETS: usize = 1 << 18;
/// Numbers a bucket.
const WIDTH: usize = 16;
/// Longest text that is looked at, in characters.
const LONGEST: usize = 20_000;

/// What the n-grams are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grams {
    /// Single words and pairs, in lower case.
    Words,
    /// One to four characters.
    Characters,
}

impl Grams {
    fn name(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Characters => "characters",
        }
    }

    /// Buckets of a text's n-grams.
    fn buckets(self, text: &str) -> Vec<usize> {
        let text: String = text.chars().take(LONGEST).collect();
        let hash = |parts: &[&str]| super::super::fingerprint(parts) as usize & (BUCKETS - 1);
        match self {
            Self::Words => {
                let text = text.to_lowercase();
                let words: Vec<&str> = text
                    .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .filter(|word| !word.is_empty())
                    .collect();
                let single = words.iter().map(|word| hash(&[word]));
                let pairs = words.windows(2).map(hash);
                single.chain(pairs).collect()
            }
            Self::Characters => {
                let starts: Vec<usize> = text
                    .char_indices()
                    .map(|(at, _)| at)
                    .chain([text.len()])
                    .collect();
                let gram =
                    |window: &[usize]| Some(hash(&[text.get(*window.first()?..*window.last()?)?]));
                (2..=5)
                    .flat_map(|size| starts.windows(size).filter_map(gram))
                    .collect()
            }
        }
    }
}

/// A trained classifier.
#[derive(Clone, Debug)]
pub struct Classifier {
    grams: Grams,
    labels: Vec<String>,
    input: Vec<f32>,
    output: Vec<f32>,
}

impl Classifier {
    /// Trains on texts with the numbers of their labels, `passes` times over all, with a falling learning rate.
    pub fn train(
        grams: Grams,
        labels: &[String],
        samples: &[(&str, usize)],
        passes: usize,
        rng: &Rng,
    ) -> Self {
        let mut start = rng.child("start");
        let mut model = Self {
            grams,
            labels: labels.to_vec(),
            input: (0..BUCKETS * WIDTH)
                .map(|_| (start.uniform() - 0.5) / WIDTH as f32)
                .collect(),
            output: vec![0.0; labels.len() * WIDTH],
        };
        let buckets: Vec<Vec<usize>> = samples
            .iter()
            .map(|(text, _)| grams.buckets(text))
            .collect();
        let mut order: Vec<usize> = (0..samples.len()).collect();
        let total = (passes * samples.len()).max(1) as f32;
        let mut seen = 0.0_f32;
        for pass in 0..passes {
            rng.child("order").item(pass as u64).shuffle(&mut order);
            for &at in &order {
                let rate = 0.5 * (1.0 - seen / total);
                seen += 1.0;
                if let (Some(buckets), Some((_, label))) = (buckets.get(at), samples.get(at)) {
                    model.learn(buckets, *label, rate);
                }
            }
        }
        model
    }

    fn learn(&mut self, buckets: &[usize], label: usize, rate: f32) {
        if buckets.is_empty() {
            return;
        }
        let hidden = self.hidden(buckets);
        let shares = self.shares(&hidden);
        let mut pull = [0.0_f32; WIDTH];
        for (class, (row, share)) in self.output.chunks_exact_mut(WIDTH).zip(shares).enumerate() {
            let error = rate * (f32::from(u8::from(class == label)) - share);
            for ((weight, pull), hidden) in row.iter_mut().zip(&mut pull).zip(&hidden) {
                *pull += error * *weight;
                *weight += error * hidden;
            }
        }
        let part = 1.0 / buckets.len() as f32;
        for &bucket in buckets {
            let row = self.input.iter_mut().skip(bucket * WIDTH).take(WIDTH);
            for (value, pull) in row.zip(&pull) {
                *value += part * pull;
            }
        }
    }

    /// The mean vector of some buckets.
    fn hidden(&self, buckets: &[usize]) -> [f32; WIDTH] {
        let mut sum = [0.0; WIDTH];
        for &bucket in buckets {
            let row = self
                .input
                .get(bucket * WIDTH..(bucket + 1) * WIDTH)
                .unwrap_or_default();
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += value;
            }
        }
        sum.map(|value| value / buckets.len().max(1) as f32)
    }

    fn shares(&self, hidden: &[f32; WIDTH]) -> Vec<f32> {
        let dot = |row: &[f32]| -> f32 { row.iter().zip(hidden).map(|(a, b)| a * b).sum() };
        let logits: Vec<f32> = self.output.chunks_exact(WIDTH).map(dot).collect();
        let most = logits.iter().copied().fold(f32::MIN, f32::max);
        let powers: Vec<f32> = logits.iter().map(|logit| (logit - most).exp()).collect();
        let sum: f32 = powers.iter().sum();
        powers.iter().map(|power| power / sum).collect()
    }

    /// The probability of each label; equal ones for a text without n-grams.
    pub fn probabilities(&self, text: &str) -> Vec<f32> {
        self.shares(&self.hidden(&self.grams.buckets(text)))
    }

    /// The likeliest label and its probability.
    pub fn best(&self, text: &str) -> Option<(&str, f32)> {
        let shares = self.probabilities(text);
        let best = shares
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1))?;
        Some((self.labels.get(best.0)?, *best.1))
    }

    /// The labels.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Writes the classifier as safetensors in 16 bit.
    ///
    /// # Errors
    /// [`WeightsError`].
    pub fn write(&self, path: &Path) -> Result<(), WeightsError> {
        let mut file = TensorFile::new();
        file.note("grams", self.grams.name());
        file.note("labels", self.labels.join("\n"));
        file.floats("input", &[BUCKETS, WIDTH], &self.input, Precision::F16)?;
        file.floats(
            "output",
            &[self.labels.len(), WIDTH],
            &self.output,
            Precision::F32,
        )?;
        file.write(path)
    }

    /// Reads what [`Classifier::write`] wrote.
    ///
    /// # Errors
    /// [`WeightsError`], also where the file is no classifier of this kind.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let file = Weights::open(path)?;
        let note = |key: &str| file.metadata().get(key).cloned().unwrap_or_default();
        let labels: Vec<String> = note("labels").lines().map(str::to_owned).collect();
        let grams = match note("grams").as_str() {
            "words" => Grams::Words,
            "characters" => Grams::Characters,
            _ => return Err(file.unfit("it is not an n-gram classifier")),
        };
        let (input, output) = (file.values("input")?, file.values("output")?);
        if labels.is_empty()
            || input.len() != BUCKETS * WIDTH
            || output.len() != labels.len() * WIDTH
        {
            return Err(file.unfit("its tensors do not fit its labels"));
        }
        Ok(Self {
            grams,
            labels,
            input,
            output,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_learns_what_separates_two_kinds_and_survives_its_file() {
        let labels = ["code".to_owned(), "other".to_owned()];
        let code = [
            "def f(x): return x",
            "for i in range(3): print(i)",
            "import os, sys",
        ];
        let other = [
            "the cat sat on the mat",
            "a recipe with butter",
            "weather in the north",
        ];
        let samples: Vec<(&str, usize)> = code
            .iter()
            .map(|t| (*t, 0))
            .chain(other.iter().map(|t| (*t, 1)))
            .collect();
        let model = Classifier::train(Grams::Words, &labels, &samples, 60, &Rng::new(1));
        assert!(model.probabilities("print(x) in range")[0] > 0.6);
        assert!(model.probabilities("butter and the weather")[0] < 0.4);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        model.write(&path).unwrap();
        let again = Classifier::read(&path).unwrap();
        assert_eq!(again.best("import os").unwrap().0, "code");
        assert!(
            (again.probabilities("import os")[0] - model.probabilities("import os")[0]).abs()
                < 1e-2
        );
    }
}
