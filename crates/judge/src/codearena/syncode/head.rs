//! A linear classifier over the vectors of an encoder, as the paper puts one over the first layer of CodeBERT: the vectors are
//! centred, one linear layer, softmax.

use std::path::Path;

use base::rng::Rng;
use base::tensor_file::{Precision, TensorFile, Weights, WeightsError};

/// Passes over the samples.
const PASSES: usize = 40;

/// A trained classifier.
#[derive(Clone, Debug)]
pub struct Head {
    labels: Vec<String>,
    /// The encoder whose vectors it was trained on.
    encoder: String,
    /// Mean of the training vectors.
    mean: Vec<f32>,
    /// One over their spread.
    scale: f32,
    /// `[labels, width]`
    weights: Vec<f32>,
    /// `[labels]`
    bias: Vec<f32>,
}

impl Head {
    /// Trains on vectors, all of one length, with the numbers of their labels.
    pub fn train(labels: &[String], encoder: &str, samples: &[(&[f32], usize)], rng: &Rng) -> Self {
        let width = samples.first().map_or(0, |(vector, _)| vector.len());
        let count = samples.len().max(1) as f32;
        let mut mean = vec![0.0; width];
        for (vector, _) in samples {
            for (sum, value) in mean.iter_mut().zip(*vector) {
                *sum += value / count;
            }
        }
        let square = |(vector, _): &(&[f32], usize)| -> f32 {
            let apart = vector.iter().zip(&mean).map(|(value, mean)| value - mean);
            apart.map(|x| x * x).sum()
        };
        let spread = (samples.iter().map(square).sum::<f32>() / count).sqrt();
        let mut head = Self {
            labels: labels.to_vec(),
            encoder: encoder.to_owned(),
            mean,
            scale: if spread > 0.0 { 1.0 / spread } else { 0.0 },
            weights: vec![0.0; labels.len() * width],
            bias: vec![0.0; labels.len()],
        };
        let mut order: Vec<usize> = (0..samples.len()).collect();
        let total = (PASSES * samples.len()).max(1) as f32;
        let mut seen = 0.0_f32;
        for pass in 0..PASSES {
            rng.child("order").item(pass as u64).shuffle(&mut order);
            for &at in &order {
                let rate = 1.0 - seen / total;
                seen += 1.0;
                if let Some((vector, label)) = samples.get(at) {
                    head.learn(vector, *label, rate);
                }
            }
        }
        head
    }

    fn learn(&mut self, vector: &[f32], label: usize, rate: f32) {
        let input = self.centred(vector);
        let shares = self.shares(&input);
        let rows = self.weights.chunks_exact_mut(input.len().max(1));
        for (class, ((row, bias), share)) in rows.zip(&mut self.bias).zip(shares).enumerate() {
            let error = rate * (f32::from(u8::from(class == label)) - share);
            *bias += error;
            for (weight, value) in row.iter_mut().zip(&input) {
                *weight += error * value;
            }
        }
    }

    fn centred(&self, vector: &[f32]) -> Vec<f32> {
        let apart = vector
            .iter()
            .zip(&self.mean)
            .map(|(value, mean)| value - mean);
        apart.map(|x| x * self.scale).collect()
    }

    fn shares(&self, input: &[f32]) -> Vec<f32> {
        let rows = self.weights.chunks_exact(input.len().max(1));
        let logits: Vec<f32> = rows
            .zip(&self.bias)
            .map(|(row, bias)| bias + row.iter().zip(input).map(|(a, b)| a * b).sum::<f32>())
            .collect();
        let most = logits.iter().copied().fold(f32::MIN, f32::max);
        let powers: Vec<f32> = logits.iter().map(|logit| (logit - most).exp()).collect();
        let sum: f32 = powers.iter().sum();
        powers.iter().map(|power| power / sum).collect()
    }

    /// The probability of each label. None for a vector of another length than the training's.
    pub fn probabilities(&self, vector: &[f32]) -> Option<Vec<f32>> {
        (vector.len() == self.mean.len()).then(|| self.shares(&self.centred(vector)))
    }

    /// The likeliest label and its probability.
    pub fn best(&self, vector: &[f32]) -> Option<(&str, f32)> {
        let shares = self.probabilities(vector)?;
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

    /// The encoder whose vectors it was trained on.
    pub fn encoder(&self) -> &str {
        &self.encoder
    }

    /// Writes the classifier as safetensors.
    ///
    /// # Errors
    /// [`WeightsError`].
    pub fn write(&self, path: &Path) -> Result<(), WeightsError> {
        let mut file = TensorFile::new();
        file.note("encoder", self.encoder.clone());
        file.note("labels", self.labels.join("\n"));
        let (labels, width) = (self.labels.len(), self.mean.len());
        file.floats("mean", &[width], &self.mean, Precision::F32)?;
        file.floats("scale", &[1], &[self.scale], Precision::F32)?;
        file.floats("weights", &[labels, width], &self.weights, Precision::F32)?;
        file.floats("bias", &[labels], &self.bias, Precision::F32)?;
        file.write(path)
    }

    /// Whether a file of weights holds a classifier of this kind.
    pub fn is_in(file: &Weights) -> bool {
        file.metadata().contains_key("encoder")
    }

    /// Reads what [`Head::write`] wrote.
    ///
    /// # Errors
    /// [`WeightsError`], also where the file is no classifier of this kind.
    pub fn read(file: &Weights) -> Result<Self, WeightsError> {
        let note = |key: &str| file.metadata().get(key).cloned().unwrap_or_default();
        let head = Self {
            labels: note("labels").lines().map(str::to_owned).collect(),
            encoder: note("encoder"),
            mean: file.values("mean")?,
            scale: file.values("scale")?.first().copied().unwrap_or_default(),
            weights: file.values("weights")?,
            bias: file.values("bias")?,
        };
        let labels = head.labels.len();
        let fits = head.bias.len() == labels && head.weights.len() == labels * head.mean.len();
        match fits && labels > 0 && !head.mean.is_empty() {
            true => Ok(head),
            false => Err(file.unfit("its tensors do not fit its labels")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_learns_small_differences_far_from_zero_and_survives_its_file() {
        let labels = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let mut rng = Rng::new(5);
        // Encoders give vectors that are all nearly the same: three clusters, close together, far from zero.
        let mut draw = |label: usize| -> Vec<f32> {
            let at = |i: usize| if i == label { 0.02 } else { 0.0 };
            (0..8).map(|i| 3.0 + at(i) + 0.002 * rng.normal()).collect()
        };
        let train: Vec<(Vec<f32>, usize)> = (0..60).map(|i| (draw(i % 3), i % 3)).collect();
        let test: Vec<(Vec<f32>, usize)> = (0..60).map(|i| (draw(i % 3), i % 3)).collect();
        let samples: Vec<(&[f32], usize)> = train.iter().map(|(v, l)| (v.as_slice(), *l)).collect();
        let head = Head::train(&labels, "enc", &samples, &Rng::new(1));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.safetensors");
        head.write(&path).unwrap();
        let file = Weights::open(&path).unwrap();
        assert!(Head::is_in(&file));
        let again = Head::read(&file).unwrap();
        assert_eq!(
            (again.encoder(), again.labels()),
            ("enc", labels.as_slice())
        );
        for (vector, label) in &test {
            assert_eq!(again.best(vector).unwrap().0, labels[*label]);
            let sum: f32 = again.probabilities(vector).unwrap().iter().sum();
            assert!((sum - 1.0).abs() < 1e-5);
            assert_eq!(again.probabilities(vector), head.probabilities(vector));
        }
        assert!(again.best(&[1.0; 7]).is_none());
    }
}
