//! The figures that video models are compared by: VBench's and VBench-I2V's totals (paper section 4.1), and DSG-Video, how
//! much a caption makes up (paper section 3.5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A dimension: its name, the raw scores that count as 0 and 1, and its weight (`scripts/constant.py` of VBench).
type Dimension = (&'static str, [f64; 2], f64);

const SUBJECT: Dimension = ("subject consistency", [0.1462, 1.0], 1.0);
const BACKGROUND: Dimension = ("background consistency", [0.2615, 1.0], 1.0);
const SMOOTHNESS: Dimension = ("motion smoothness", [0.706, 0.9975], 1.0);
const DYNAMIC: Dimension = ("dynamic degree", [0.0, 1.0], 0.5);
const AESTHETIC: Dimension = ("aesthetic quality", [0.0, 1.0], 1.0);
const IMAGING: Dimension = ("imaging quality", [0.0, 1.0], 1.0);

const QUALITY: [Dimension; 7] = [
    SUBJECT,
    BACKGROUND,
    ("temporal flickering", [0.6293, 1.0], 1.0),
    SMOOTHNESS,
    DYNAMIC,
    AESTHETIC,
    IMAGING,
];
const SEMANTIC: [Dimension; 9] = [
    ("object class", [0.0, 1.0], 1.0),
    ("multiple objects", [0.0, 1.0], 1.0),
    ("human action", [0.0, 1.0], 1.0),
    ("color", [0.0, 1.0], 1.0),
    ("spatial relationship", [0.0, 1.0], 1.0),
    ("scene", [0.0, 0.8222], 1.0),
    ("appearance style", [0.0009, 0.2855], 1.0),
    ("temporal style", [0.0, 0.364], 1.0),
    ("overall consistency", [0.0, 0.364], 1.0),
];
const I2V: [Dimension; 3] = [
    ("i2v camera motion", [0.0, 1.0], 0.1),
    ("i2v subject", [0.1462, 1.0], 1.0),
    ("i2v background", [0.2615, 1.0], 1.0),
];
const I2V_QUALITY: [Dimension; 6] = [SUBJECT, BACKGROUND, SMOOTHNESS, DYNAMIC, AESTHETIC, IMAGING];

/// Raw scores in `[0, 1]` by dimension.
pub type Scores = BTreeMap<String, f64>;

/// A benchmark's totals, in `[0, 1]` for scores within their bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "benchmark")]
pub enum Totals {
    /// VBench: text to video.
    #[serde(rename = "vbench")]
    TextToVideo {
        /// Seven dimensions.
        quality: f64,
        /// Nine dimensions.
        semantic: f64,
        /// `(4 · quality + semantic) / 5`.
        total: f64,
    },
    /// VBench-I2V: picture to video.
    #[serde(rename = "vbench-i2v")]
    ImageToVideo {
        /// Three dimensions.
        i2v: f64,
        /// Six dimensions.
        quality: f64,
        /// The mean of the two.
        total: f64,
    },
}

/// A score that is needed and not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scores lack `{0}`: give all dimensions of the benchmark, each in [0, 1]")]
pub struct MissingScore(pub String);

/// VBench's total out of its two parts, in any one unit.
pub fn vbench_total(quality: f64, semantic: f64) -> f64 {
    (4.0 * quality + semantic) / 5.0
}

/// The totals of raw scores: VBench-I2V's where any of its own dimensions is there, else VBench's. Names are read without
/// regard to case, with `_` as a space.
///
/// # Errors
/// [`MissingScore`].
pub fn aggregate(scores: &Scores) -> Result<Totals, MissingScore> {
    let scores: Scores = scores
        .iter()
        .map(|(name, score)| (name.to_lowercase().replace('_', " "), *score))
        .collect();
    let mean = |dimensions: &[Dimension]| -> Result<f64, MissingScore> {
        let (mut sum, mut weights) = (0.0, 0.0);
        for (name, [low, high], weight) in dimensions {
            let raw = scores
                .get(*name)
                .ok_or_else(|| MissingScore((*name).to_owned()))?;
            sum += weight * (raw - low) / (high - low);
            weights += weight;
        }
        Ok(sum / weights)
    };
    if I2V.iter().any(|(name, ..)| scores.contains_key(*name)) {
        let (i2v, quality) = (mean(&I2V)?, mean(&I2V_QUALITY)?);
        let total = (i2v + quality) / 2.0;
        return Ok(Totals::ImageToVideo {
            i2v,
            quality,
            total,
        });
    }
    let (quality, semantic) = (mean(&QUALITY)?, mean(&SEMANTIC)?);
    Ok(Totals::TextToVideo {
        quality,
        semantic,
        total: vbench_total(quality, semantic),
    })
}

/// An object that a caption mentions, and whether it was seen on each frame that was asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    /// The object.
    pub object: String,
    /// The answers of whoever looked, frame by frame.
    pub frame_answers: Vec<bool>,
}

impl Mention {
    /// Denied on every frame.
    pub fn is_hallucinated(&self) -> bool {
        self.frame_answers.iter().all(|seen| !seen)
    }
}

/// How much a caption makes up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Hallucination {
    /// Hallucinated mentions over all mentions (DSG-Video_i); 0 without any.
    pub dsg_i: f64,
    /// Sentences with a hallucinated mention over all sentences (DSG-Video_s); 0 without any.
    pub dsg_s: f64,
    /// Distinct objects mentioned: how rich the caption is.
    pub objects: usize,
}

/// DSG-Video of a caption, given as the mentions of each of its sentences.
pub fn dsg_video(sentences: &[Vec<Mention>]) -> Hallucination {
    let mentions = || sentences.iter().flatten();
    let share = |hits: usize, of: usize| hits as f64 / of.max(1) as f64;
    let made_up = |sentence: &&Vec<Mention>| sentence.iter().any(Mention::is_hallucinated);
    let mut objects: Vec<&str> = mentions().map(|mention| mention.object.as_str()).collect();
    objects.sort_unstable();
    objects.dedup();
    Hallucination {
        dsg_i: share(
            mentions().filter(|m| m.is_hallucinated()).count(),
            mentions().count(),
        ),
        dsg_s: share(sentences.iter().filter(made_up).count(), sentences.len()),
        objects: objects.len(),
    }
}
