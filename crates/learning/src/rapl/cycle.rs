//! Losses of baselines that need no preferences: temporal cycle consistency and time-contrastive networks (XIRL; specification
//! 2.4 and 9.2), with gradients for the embeddings.

use super::embeddings::{Embeddings, distance_squared, dot};
use super::{LearningError, Result};

/// What the way there and back is measured by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CycleLoss {
    /// Cross entropy of the frame that is found again, with this label smoothing.
    Classification(f64),
    /// Squared error of its time.
    Mse,
    /// The same weighted by the variance, whose logarithm has this weight.
    MseVariance(f64),
    /// Huber's loss of its time: quadratic up to this error.
    Huber(f64),
}

/// How frames are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Similarity {
    /// Minus the squared distance.
    L2,
    /// The scalar product.
    Cosine,
}

/// Temporal cycle consistency without stochastic matching.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cycle {
    /// What the way there and back is measured by.
    pub loss: CycleLoss,
    /// How frames are compared.
    pub similarity: Similarity,
    /// What similarities are divided by.
    pub temperature: f64,
    /// Whether squared distances are divided by the width.
    pub by_width: bool,
    /// Whether times are divided by the video's length.
    pub by_length: bool,
}

impl Default for Cycle {
    /// XIRL's choice.
    fn default() -> Self {
        Self {
            loss: CycleLoss::Mse,
            similarity: Similarity::L2,
            temperature: 0.1,
            by_width: true,
            by_length: true,
        }
    }
}

/// Embeddings of sampled frames with their numbers and the length of the whole video.
#[derive(Clone, Copy, Debug)]
pub struct Timed<'a> {
    /// One vector a sampled frame.
    pub embeddings: &'a Embeddings,
    /// Their numbers in the video.
    pub frames: &'a [i64],
    /// Frames of the whole video.
    pub length: i64,
}

impl Cycle {
    /// The mean loss over all ordered pairs of videos, and its gradients.
    ///
    /// # Errors
    /// Fewer than two videos, or ones that differ in frames or width.
    pub fn loss(&self, videos: &[Timed]) -> Result<(f64, Vec<Embeddings>)> {
        let fits = |video: &Timed| {
            let first = videos[0].embeddings;
            video.frames.len() == first.frames()
                && video.embeddings.frames() == first.frames()
                && video.embeddings.width() == first.width()
                && video.length > 0
        };
        if videos.len() < 2 || !videos.iter().all(fits) || videos[0].frames.len() < 2 {
            return Err(LearningError::invalid(
                "cycles need two or more videos with equally many (at least two) sampled frames",
            ));
        }
        let pairs = videos.len() * (videos.len() - 1);
        let share = 1.0 / (pairs * videos[0].frames.len()) as f64;
        let mut loss = 0.0;
        let mut gradients: Vec<Embeddings> = videos
            .iter()
            .map(|video| Embeddings::zeros_like(video.embeddings))
            .collect();
        for (i, from) in videos.iter().enumerate() {
            for (j, over) in videos.iter().enumerate() {
                if i != j {
                    let (part, [u, v]) = self.pair(from, over.embeddings, share);
                    loss += part;
                    gradients[i].add(&u, 1.0);
                    gradients[j].add(&v, 1.0);
                }
            }
        }
        Ok((loss, gradients))
    }

    /// From each frame of `from` over its soft neighbour in `over` and back.
    fn pair(&self, from: &Timed, over: &Embeddings, share: f64) -> (f64, [Embeddings; 2]) {
        let u = from.embeddings;
        let (count, width) = (u.frames(), u.width());
        let length = if self.by_length {
            from.length as f64
        } else {
            1.0
        };
        let times: Vec<f64> = from.frames.iter().map(|&at| at as f64 / length).collect();
        let (mut du, mut dv) = (Embeddings::zeros_like(u), Embeddings::zeros_like(over));
        let mut total = 0.0;
        for i in 0..count {
            let there: Vec<f64> = over.rows().map(|row| self.compare(u.row(i), row)).collect();
            let there = softmax(&there);
            let mut soft = vec![0.0; width];
            for (share, row) in there.iter().zip(over.rows()) {
                soft.iter_mut()
                    .zip(row)
                    .for_each(|(soft, value)| *soft += share * value);
            }
            let back: Vec<f64> = u.rows().map(|row| self.compare(&soft, row)).collect();
            let (loss, dback) = self.found_again(&back, i, &times);
            total += share * loss;
            let mut dsoft = vec![0.0; width];
            for (k, slope) in dback.iter().enumerate() {
                self.push_back(slope * share, &soft, u.row(k), &mut dsoft, du.row_mut(k));
            }
            // Through the soft neighbour to the shares, and to the frames themselves.
            let dthere: Vec<f64> = over.rows().map(|row| dot(&dsoft, row)).collect();
            let mean = dot(&there, &dthere);
            for j in 0..over.frames() {
                let row = dv.row_mut(j);
                row.iter_mut()
                    .zip(&dsoft)
                    .for_each(|(d, soft)| *d += there[j] * soft);
                let slope = there[j] * (dthere[j] - mean);
                self.push_back(slope, u.row(i), over.row(j), du.row_mut(i), dv.row_mut(j));
            }
        }
        (total, [du, dv])
    }

    fn scale(&self, width: usize) -> f64 {
        match self.similarity == Similarity::L2 && self.by_width {
            true => 1.0 / (self.temperature * width as f64),
            false => 1.0 / self.temperature,
        }
    }

    fn compare(&self, a: &[f64], b: &[f64]) -> f64 {
        let scale = self.scale(a.len());
        match self.similarity {
            Similarity::L2 => -distance_squared(a, b) * scale,
            Similarity::Cosine => dot(a, b) * scale,
        }
    }

    /// Adds `slope` times the gradients of [`Cycle::compare`].
    fn push_back(&self, slope: f64, a: &[f64], b: &[f64], da: &mut [f64], db: &mut [f64]) {
        let slope = slope * self.scale(a.len());
        for at in 0..a.len() {
            match self.similarity {
                Similarity::L2 => {
                    let part = 2.0 * slope * (b[at] - a[at]);
                    da[at] += part;
                    db[at] -= part;
                }
                Similarity::Cosine => {
                    da[at] += slope * b[at];
                    db[at] += slope * a[at];
                }
            }
        }
    }

    /// The loss of logits that should point at frame `label`, and its gradient for them.
    fn found_again(&self, logits: &[f64], label: usize, times: &[f64]) -> (f64, Vec<f64>) {
        let shares = softmax(logits);
        let count = logits.len();
        if let CycleLoss::Classification(smoothing) = self.loss {
            // The target sums to more than one, as in the published code.
            let rest = smoothing / (count - 1) as f64;
            let target = |at: usize| rest + if at == label { 1.0 - smoothing } else { 0.0 };
            let sum: f64 = (0..count).map(target).sum();
            let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let exponentials = logits.iter().map(|logit| libm::exp(logit - greatest));
            let normal = greatest + libm::log(exponentials.sum());
            let loss = (0..count)
                .map(|at| -target(at) * (logits[at] - normal))
                .sum();
            let gradient = (0..count).map(|at| sum * shares[at] - target(at)).collect();
            return (loss, gradient);
        }
        let guess = dot(&shares, times);
        let error = guess - times[label];
        // Slopes for the guess and, where it counts, for the variance.
        let (loss, dguess, dvariance) = match self.loss {
            CycleLoss::Huber(delta) if error.abs() > delta => (
                delta * error.abs() - 0.5 * delta * delta,
                delta * error.signum(),
                0.0,
            ),
            CycleLoss::Huber(_) => (0.5 * error * error, error, 0.0),
            CycleLoss::MseVariance(weight) => {
                let spread = times.iter().zip(&shares);
                let variance: f64 = spread.map(|(t, p)| (t - guess) * (t - guess) * p).sum();
                let square = error * error;
                (
                    square / variance + weight * libm::log(variance),
                    2.0 * error / variance,
                    weight / variance - square / (variance * variance),
                )
            }
            _ => (error * error, 2.0 * error, 0.0),
        };
        // The variance does not change with the guess to first order: Σ (t − guess) · share is zero.
        let for_share: Vec<f64> = times
            .iter()
            .map(|t| dguess * t + dvariance * (t - guess) * (t - guess))
            .collect();
        let mean = dot(&shares, &for_share);
        let gradient = shares.iter().zip(&for_share).map(|(p, d)| p * (d - mean));
        (loss, gradient.collect())
    }
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut out: Vec<f64> = logits.iter().map(|x| libm::exp(x - greatest)).collect();
    let sum: f64 = out.iter().sum();
    out.iter_mut().for_each(|x| *x /= sum);
    out
}

/// A time-contrastive network on a single view: neighbours in time come close, others stay away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeContrast {
    /// Positives lie so many frames before and after.
    pub near: usize,
    /// Negatives lie farther than this.
    pub far: usize,
    /// What squared distances are divided by.
    pub temperature: f64,
}

impl Default for TimeContrast {
    fn default() -> Self {
        Self {
            near: 1,
            far: 4,
            temperature: 0.1,
        }
    }
}

impl TimeContrast {
    /// The mean loss a frame of one video, and its gradient; negatives are drawn.
    pub fn loss(&self, video: &Embeddings, rng: &mut base::rng::Rng) -> (f64, Embeddings) {
        let count = video.frames();
        let mut gradient = Embeddings::zeros_like(video);
        let mut loss = 0.0;
        let share = 1.0 / count as f64;
        for at in 0..count {
            let mut towards = |other: usize, pull: bool| {
                let (a, b) = (video.row(at).to_vec(), video.row(other).to_vec());
                let distance = distance_squared(&a, &b) / self.temperature;
                let slope = match pull {
                    true => {
                        loss += share * distance;
                        share
                    }
                    false => {
                        let room = (1.0 - distance).max(0.0);
                        loss += share * room * room;
                        -2.0 * share * room
                    }
                };
                for (k, (a, b)) in a.iter().zip(&b).enumerate() {
                    let part = 2.0 * slope / self.temperature * (a - b);
                    gradient.row_mut(at)[k] += part;
                    gradient.row_mut(other)[k] -= part;
                }
            };
            towards(at.saturating_sub(self.near), true);
            towards((at + self.near).min(count - 1), true);
            let distant: Vec<usize> = (0..count)
                .filter(|other| other.abs_diff(at) > self.far)
                .collect();
            if !distant.is_empty() {
                for _ in 0..2 {
                    towards(distant[rng.below(distant.len())], false);
                }
            }
        }
        (loss, gradient)
    }
}
