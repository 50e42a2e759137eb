//! A quality classifier: bags of words and word pairs, an average of hashed vectors, softmax over two labels (fastText's
//! supervised model, Joulin et al., arXiv 1607.01759), and the cut that keeps the best share.

use std::path::Path;

use base::rng::Rng;
use engine::weights::{Precision, TensorFile, Weights};
use serde_json::json;

use super::filter::mixed;
use super::job::Job;
use super::lines;
use super::pieces::Piece;
use super::tally::Tally;
use crate::moxin::SystemError;

const FORMAT: &str = "orrery-quality-1";
/// Words of a document that are read.
const WORDS: usize = 4096;

/// How a classifier is made.
#[derive(Clone, Debug)]
pub struct QualityConfig {
    /// Values of a vector.
    pub width: usize,
    /// Vectors that words and pairs share by their hashes.
    pub buckets: u32,
    /// Learning rate, which falls to zero.
    pub rate: f32,
    /// Times that the documents are seen.
    pub epochs: usize,
    /// Seed of vectors and order.
    pub seed: u64,
}

impl Default for QualityConfig {
    fn default() -> Self {
        Self {
            width: 100,
            buckets: 2_000_000,
            rate: 0.1,
            epochs: 5,
            seed: 0,
        }
    }
}

/// Tells good texts from others.
#[derive(Clone, Debug)]
pub struct Quality {
    width: usize,
    buckets: u32,
    /// Row of each bucket in `vectors`, from 1; 0 for those that no training text had.
    rows: Vec<u32>,
    vectors: Vec<f32>,
    /// What tells good from other, `[2, width]`.
    labels: Vec<f32>,
}

/// Buckets of the words and pairs of words of a text.
fn features(text: &str, buckets: u32, out: &mut Vec<u32>) {
    out.clear();
    let mut before = None;
    for word in text.split_whitespace().take(WORDS) {
        let hash = xxhash_rust::xxh3::xxh3_64(word.as_bytes());
        out.push((hash % u64::from(buckets)) as u32);
        if let Some(before) = before {
            out.push((mixed(&[before, hash]) % u64::from(buckets)) as u32);
        }
        before = Some(hash);
    }
}

impl Quality {
    /// Learns from good texts and others.
    ///
    /// # Errors
    /// [`SystemError::Input`] where one kind is missing.
    pub fn train(
        good: &[String],
        other: &[String],
        config: &QualityConfig,
    ) -> Result<Self, SystemError> {
        if good.is_empty() || other.is_empty() || config.width == 0 || config.buckets == 0 {
            return Err(SystemError::Input(
                "a classifier needs good texts, other texts, and vectors: give both kinds of files"
                    .into(),
            ));
        }
        let mut rng = Rng::new(config.seed).child("quality");
        let width = config.width;
        let mut model = Self {
            width,
            buckets: config.buckets,
            rows: vec![0; config.buckets as usize],
            vectors: Vec::new(),
            labels: vec![0.0; 2 * width],
        };
        let mut order: Vec<(&str, usize)> = good.iter().map(|text| (text.as_str(), 0)).collect();
        order.extend(other.iter().map(|text| (text.as_str(), 1)));
        let total = (order.len() * config.epochs).max(1);
        let (mut found, mut hidden, mut change) = (Vec::new(), vec![0.0; width], vec![0.0; width]);
        for epoch in 0..config.epochs {
            rng.shuffle(&mut order);
            for (at, (text, label)) in order.iter().enumerate() {
                let done = (epoch * order.len() + at) as f32 / total as f32;
                let rate = config.rate * (1.0 - done);
                features(text, config.buckets, &mut found);
                for bucket in &found {
                    model.row(*bucket, &mut rng);
                }
                if !model.average(&found, &mut hidden) {
                    continue;
                }
                let good = model.share(&hidden);
                change.fill(0.0);
                for (side, p) in [(0, good), (1, 1.0 - good)] {
                    let step = rate * (f32::from(u8::from(side == *label)) - p);
                    let weights = &mut model.labels[side * width..(side + 1) * width];
                    for ((weight, hidden), change) in
                        weights.iter_mut().zip(&hidden).zip(&mut change)
                    {
                        *change += step * *weight;
                        *weight += step * hidden;
                    }
                }
                let share = 1.0 / found.len() as f32;
                for bucket in &found {
                    let row = model.rows[*bucket as usize] as usize - 1;
                    let vector = &mut model.vectors[row * width..(row + 1) * width];
                    for (value, change) in vector.iter_mut().zip(&change) {
                        *value += change * share;
                    }
                }
            }
        }
        Ok(model)
    }

    /// Gives a bucket its vector.
    fn row(&mut self, bucket: u32, rng: &mut Rng) {
        let row = &mut self.rows[bucket as usize];
        if *row == 0 {
            let bound = 1.0 / self.width as f32;
            *row = (self.vectors.len() / self.width) as u32 + 1;
            self.vectors
                .extend((0..self.width).map(|_| (2.0 * rng.uniform() - 1.0) * bound));
        }
    }

    /// The mean vector of the known ones; false where there is none.
    fn average(&self, buckets: &[u32], out: &mut [f32]) -> bool {
        out.fill(0.0);
        let mut count = 0;
        for &bucket in buckets {
            let Some(row) = (self.rows[bucket as usize] as usize).checked_sub(1) else {
                continue;
            };
            let vector = &self.vectors[row * self.width..(row + 1) * self.width];
            out.iter_mut()
                .zip(vector)
                .for_each(|(sum, value)| *sum += value);
            count += 1;
        }
        out.iter_mut().for_each(|sum| *sum /= count.max(1) as f32);
        count > 0
    }

    /// The probability of the good label.
    fn share(&self, hidden: &[f32]) -> f32 {
        let (good, other) = self.labels.split_at(self.width);
        let dot = |weights: &[f32]| weights.iter().zip(hidden).map(|(a, b)| a * b).sum::<f32>();
        1.0 / (1.0 + (dot(other) - dot(good)).exp())
    }

    /// The probability that `text` is good, 0.5 where no word of it is known.
    pub fn score(&self, text: &str) -> f32 {
        let (mut found, mut hidden) = (Vec::new(), vec![0.0; self.width]);
        features(text, self.buckets, &mut found);
        match self.average(&found, &mut hidden) {
            true => self.share(&hidden),
            false => 0.5,
        }
    }

    /// Writes the classifier; only vectors that were learned.
    ///
    /// # Errors
    /// [`SystemError`] when the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), SystemError> {
        let mut used: Vec<(u32, u32)> = (0..)
            .zip(&self.rows)
            .filter(|(_, row)| **row > 0)
            .map(|(bucket, row)| (*row, bucket))
            .collect();
        used.sort_unstable();
        let buckets: Vec<i64> = used.iter().map(|(_, bucket)| i64::from(*bucket)).collect();
        let mut file = TensorFile::new();
        file.note("format", FORMAT);
        file.note("buckets", self.buckets.to_string());
        let mut write = || -> Result<(), engine::weights::WeightsError> {
            file.ints("buckets", &[buckets.len()], &buckets)?;
            file.floats(
                "vectors",
                &[buckets.len(), self.width],
                &self.vectors,
                Precision::F32,
            )?;
            file.floats("labels", &[2, self.width], &self.labels, Precision::F32)?;
            file.write(path)
        };
        write().map_err(|error| SystemError::Input(error.to_string()))
    }

    /// Reads a classifier.
    ///
    /// # Errors
    /// [`SystemError::Input`] where it is none.
    pub fn open(path: &Path) -> Result<Self, SystemError> {
        let none = || {
            SystemError::path(
                path,
                "it is not a classifier of `moxin data quality`: train one with `--good` and `--other`",
            )
        };
        let file = Weights::open(path).map_err(|error| SystemError::path(path, error))?;
        let count: u32 = file
            .metadata()
            .get("buckets")
            .and_then(|text| text.parse().ok())
            .ok_or_else(none)?;
        let width = file
            .shape("labels")
            .and_then(|shape| shape.get(1).copied())
            .unwrap_or(0);
        let buckets = file.ints("buckets").map_err(|_| none())?;
        let vectors = file.values("vectors").map_err(|_| none())?;
        let labels = file.values("labels").map_err(|_| none())?;
        let fits = width > 0 && labels.len() == 2 * width && vectors.len() == buckets.len() * width;
        if !fits || count == 0 || count > 1 << 28 {
            return Err(none());
        }
        let mut rows = vec![0; count as usize];
        for (row, bucket) in (1..).zip(buckets) {
            let place = usize::try_from(bucket).ok().and_then(|at| rows.get_mut(at));
            *place.ok_or_else(none)? = row;
        }
        Ok(Self {
            width,
            buckets: count,
            rows,
            vectors,
            labels,
        })
    }
}

/// Which documents stay.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// The best share of all, from 0 to 1.
    Best(f64),
    /// Those with at least this score.
    Score(f32),
}

/// Keeps the documents of all pieces that the classifier likes.
///
/// # Errors
/// [`SystemError`].
pub fn quality(
    job: &Job<'_>,
    model: &Quality,
    cut: Cut,
    gz: bool,
) -> Result<Option<Tally>, SystemError> {
    job.begin()?;
    let scored = job.phase("score", "scores", &|piece, tally, out| {
        lines::each(piece, job.stop, tally, &mut |_, document| {
            let score = model.score(&document.text);
            let failed = |error| SystemError::path(job.out, error);
            out.write_all(&score.to_le_bytes()).map_err(failed)
        })
    })?;
    if scored.is_none() {
        return Ok(None);
    }
    let scores = |piece: &Piece| -> Result<Vec<f32>, SystemError> {
        let path = job.path("score", piece, "scores");
        let bytes = base::files::read(&path).map_err(|error| SystemError::path(&path, error))?;
        Ok(bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect())
    };
    let least = match cut {
        Cut::Score(least) => least,
        Cut::Best(share) => {
            let mut all = Vec::new();
            for piece in &job.pieces {
                all.extend(scores(piece)?);
            }
            let kept = (all.len() as f64 * share.clamp(0.0, 1.0)).round() as usize;
            match kept.checked_sub(1) {
                Some(last) if last < all.len() => {
                    *all.select_nth_unstable_by(last, |a, b| b.total_cmp(a)).1
                }
                _ => f32::INFINITY,
            }
        }
    };
    let tallies = job.last(gz, &|piece, tally, out| {
        let scores = scores(piece)?;
        let mut number = 0;
        lines::each(piece, job.stop, tally, &mut |tally, document| {
            let score = scores.get(number).copied().unwrap_or(0.0);
            number += 1;
            if score < least {
                tally.remove("quality");
                return Ok(());
            }
            tally.keep(&document.text);
            let failed = |error| SystemError::path(&piece.input, error);
            out.write_all(document.line.as_bytes()).map_err(failed)?;
            out.write_all(b"\n").map_err(failed)
        })
    })?;
    let more = json!({"least_score": if least.is_finite() { json!(least) } else { json!(null) }});
    tallies.map(|all| job.manifest(&all, &more)).transpose()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_classifier_tells_kinds_apart_and_survives_its_file() {
        let texts = |words: &[&str], seed: u64| -> Vec<String> {
            let mut rng = Rng::new(seed);
            let sentence = |rng: &mut Rng| {
                let all: Vec<&str> = (0..20).map(|_| words[rng.below(words.len())]).collect();
                all.join(" ")
            };
            (0..200).map(|_| sentence(&mut rng)).collect()
        };
        let good = texts(&["explain", "because", "theorem", "the", "a", "of"], 1);
        let other = texts(&["buy", "now", "click", "the", "a", "of"], 2);
        let config = QualityConfig {
            width: 10,
            buckets: 5000,
            ..QualityConfig::default()
        };
        let model = Quality::train(&good, &other, &config).unwrap();
        assert!(model.score("because of the theorem explain") > 0.8);
        assert!(model.score("click the buy now") < 0.2);
        assert_eq!(model.score("unheard"), 0.5);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("q");
        model.save(&path).unwrap();
        let again = Quality::open(&path).unwrap();
        assert_eq!(
            again.score("the theorem now"),
            model.score("the theorem now")
        );
        assert!(Quality::train(&good, &[], &config).is_err());
    }
}
