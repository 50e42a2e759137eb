//! Training of the embedded word tower: which words speak of which subjects.

use std::collections::{BTreeSet, HashMap};

use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::data::lexicon::{Vocabulary, normalise};
use engine::data::pack::{Style, Subject};
use engine::ops::{self, CrossEntropyOptions};
use engine::train::{Task, TaskError};
use engine::weights::{Precision, TensorFile, Weights, WeightsError};

use super::data::say;
use super::subjects;
use super::text::{WordTower, unit_rms};

/// Width of the embedded tower.
pub const WIDTH: usize = 64;
/// Words of a training prompt that are used.
const LONGEST: usize = 16;
/// Metadata keys of the words, styles and subjects, as JSON.
const WORDS_KEY: &str = "text.words";
const STYLES_KEY: &str = "text.styles";
const SUBJECTS_KEY: &str = "text.subjects";
/// Seed of the style vectors, which are fixed.
const STYLE_SEED: u64 = 3;

/// Word and subject vectors in training.
#[derive(Module, Debug)]
pub struct WordModel {
    /// `[words, width]`.
    pub words: Param<Tensor<2>>,
    /// `[subjects, width]`.
    pub subjects: Param<Tensor<2>>,
}

impl WordModel {
    /// Small random vectors; subjects that `known` knows begin with its vectors, so that a picture model that was trained
    /// with it goes on knowing them.
    pub fn new(
        words: usize,
        subjects: &[Subject],
        known: Option<&WordTower>,
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let mut draw = |rows: usize, deviation: f32| -> Vec<f32> {
            (0..rows * WIDTH)
                .map(|_| deviation * rng.normal())
                .collect()
        };
        let (words, mut vectors) = (draw(words, 0.02), draw(subjects.len(), 1.0));
        for (subject, to) in subjects.iter().zip(vectors.chunks_exact_mut(WIDTH)) {
            if let Some(vector) = known.and_then(|known| known.subject(&subject.code)) {
                to.copy_from_slice(vector);
            }
        }
        let put = |values: Vec<f32>| {
            let rows = values.len() / WIDTH;
            Param::from_data(TensorData::new(values, [rows, WIDTH]), device)
        };
        Self {
            words: put(words),
            subjects: put(vectors),
        }
    }
}

/// Learns to tell the subject from what is said of it.
pub struct WordTask {
    subjects: Vec<Subject>,
    /// All words that are said of the subjects.
    pub vocabulary: Vocabulary,
    batch: usize,
    device: Device,
}

/// Word ids (padded with 0), which of them count, and the subjects meant.
#[derive(Clone, Debug)]
pub struct WordBatch {
    ids: Vec<i32>,
    counted: Vec<f32>,
    subjects: Vec<i32>,
}

impl WordTask {
    /// A task over `subjects`, `batch` prompts a step.
    pub fn new(subjects: Vec<Subject>, batch: usize, device: Device) -> Self {
        let mut words = BTreeSet::new();
        for subject in &subjects {
            let names = subject.names.iter().map(|(_, name)| name.as_str());
            let keywords = subject.keywords_en.iter().map(String::as_str);
            let emoji = subject.emoji();
            for said in names.chain(keywords).chain([emoji.as_str()]) {
                for word in normalise(said) {
                    words.extend(pairs(&word));
                    words.insert(word);
                }
            }
        }
        Self {
            subjects,
            vocabulary: Vocabulary::new(words),
            batch,
            device,
        }
    }

    /// The subjects.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }
}

/// Overlapping pairs of characters of a word in a script without spaces; empty for others.
fn pairs(word: &str) -> Vec<String> {
    let unspaced = |c: char| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}');
    let characters: Vec<char> = word.chars().collect();
    if characters.len() < 3 || !characters.iter().copied().all(unspaced) {
        return Vec::new();
    }
    characters
        .windows(2)
        .map(|pair| pair.iter().collect())
        .collect()
}

impl Task for WordTask {
    type Model = WordModel;
    type Batch = WordBatch;

    fn samples(&self) -> usize {
        self.batch
    }

    fn batch(&self, _step: u64, rng: &mut Rng) -> Result<WordBatch, TaskError> {
        let mut batch = WordBatch {
            ids: vec![0; self.batch * LONGEST],
            counted: vec![0.0; self.batch * LONGEST],
            subjects: Vec::new(),
        };
        for row in 0..self.batch {
            let index = rng.below(self.subjects.len());
            batch.subjects.push(index as i32);
            let mut words = Vec::new();
            for word in normalise(&say(&self.subjects[index], rng)) {
                let parts = pairs(&word);
                if !parts.is_empty() && rng.chance(0.5) {
                    words.extend(parts);
                } else {
                    words.push(word);
                }
            }
            let ids = words.iter().filter_map(|word| self.vocabulary.id(word));
            for (at, id) in ids.take(LONGEST).enumerate() {
                batch.ids[row * LONGEST + at] = id as i32;
                batch.counted[row * LONGEST + at] = 1.0;
            }
        }
        Ok(batch)
    }

    fn loss(&self, model: &WordModel, batch: WordBatch) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let rows = batch.subjects.len();
        let ids = TensorData::new(batch.ids, [rows, LONGEST]);
        let ids = Tensor::<2, Int>::from_data(ids, &self.device);
        let counted = TensorData::new(batch.counted, [rows, LONGEST, 1]);
        let counted = Tensor::<3>::from_data(counted, &self.device);
        let words: Tensor<3> = ops::embedding(model.words.val(), ids);
        let sum: Tensor<2> = (words * counted).sum_dim(1).squeeze_dim(1);
        let subjects = unit(model.subjects.val());
        let logits = ops::linear(sum, subjects, None);
        let meant =
            Tensor::<1, Int>::from_data(TensorData::new(batch.subjects, [rows]), &self.device);
        let loss = ops::cross_entropy(logits, meant, CrossEntropyOptions::default());
        (loss, Vec::new())
    }
}

/// Each row at RMS 1, as [`WordTower`] uses them.
fn unit(x: Tensor<2>) -> Tensor<2> {
    let mean_square = x.clone().square().mean_dim(1);
    x / (mean_square + 1e-12).sqrt()
}

/// The tower that training made.
pub fn tower(model: &WordModel, task: WordTask) -> WordTower {
    let values =
        |param: &Param<Tensor<2>>| -> Vec<f32> { param.val().into_data().iter::<f32>().collect() };
    let styles: Vec<String> = Style::ALL.iter().map(Style::to_string).collect();
    let mut style_vectors = Rng::new(STYLE_SEED).normals(styles.len() * WIDTH);
    let mut subjects = values(&model.subjects);
    for vectors in [&mut style_vectors, &mut subjects] {
        vectors.chunks_exact_mut(WIDTH).for_each(unit_rms);
    }
    WordTower::new(
        task.vocabulary,
        values(&model.words),
        task.subjects
            .into_iter()
            .map(|subject| subject.code)
            .collect(),
        subjects,
        styles,
        style_vectors,
        WIDTH,
    )
}

/// Writes a tower.
///
/// # Errors
/// When a value does not fit `precision`.
pub fn write(
    tower: &WordTower,
    file: &mut TensorFile,
    precision: Precision,
) -> Result<(), WeightsError> {
    let json = |value: &[String]| serde_json::to_string(value).unwrap_or_default();
    file.note(WORDS_KEY, json(tower.vocabulary.words()));
    file.note(STYLES_KEY, json(&tower.styles));
    file.note(SUBJECTS_KEY, json(&tower.codes));
    let mut floats = |name: &str, values: &[f32]| {
        let shape = [values.len() / tower.width, tower.width];
        file.floats(name, &shape, values, precision)
    };
    floats("text.words", &tower.words)?;
    floats("text.subjects", &tower.subjects)?;
    floats("text.styles", &tower.style_vectors)
}

/// Reads a tower.
///
/// # Errors
/// When the file holds none, or parts that do not fit together.
pub fn read(weights: &Weights) -> Result<WordTower, WeightsError> {
    let metadata: &HashMap<String, String> = weights.metadata();
    let list = |key: &str| -> Result<Vec<String>, WeightsError> {
        let text = metadata.get(key).map_or("", String::as_str);
        serde_json::from_str(text)
            .map_err(|error| weights.unfit(format!("metadata `{key}`: {error}")))
    };
    let words = list(WORDS_KEY)?;
    let styles = list(STYLES_KEY)?;
    let codes = match metadata.contains_key(SUBJECTS_KEY) {
        true => list(SUBJECTS_KEY)?,
        false => subjects::recognised(),
    };
    let rows = |name: &str, count: usize| -> Result<Vec<f32>, WeightsError> {
        let values = weights.values(name)?;
        match weights.shape(name) {
            Some(&[rows, WIDTH]) if rows == count && rows > 0 => Ok(values),
            shape => Err(weights.unfit(format!(
                "`{name}` has shape {:?}, not [{count}, {WIDTH}]",
                shape.unwrap_or_default(),
            ))),
        }
    };
    Ok(WordTower::new(
        Vocabulary::new(words.iter().cloned()),
        rows("text.words", words.len())?,
        codes.clone(),
        rows("text.subjects", codes.len())?,
        styles.clone(),
        rows("text.styles", styles.len())?,
        WIDTH,
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use engine::data::pack::EmojiPack;

    use super::*;
    use crate::stiv::data::EmojiGrid;

    /// A resumed training reads the tower that an earlier one wrote: it must be the same to the last bit.
    #[test]
    fn a_tower_is_read_as_it_was_written() {
        let grid = EmojiGrid::new(EmojiPack::embedded().unwrap(), &subjects::recognised()).unwrap();
        let device = Device::flex().autodiff();
        let task = WordTask::new(grid.subjects, 1, device.clone());
        let words = task.vocabulary.len();
        let model = WordModel::new(words, task.subjects(), None, &mut Rng::new(9), &device);
        let made = tower(&model, task);
        let mut file = TensorFile::new();
        write(&made, &mut file, Precision::F32).unwrap();
        let read = read(&Weights::from_bytes(file.to_bytes()).unwrap()).unwrap();
        assert!(made.subjects == read.subjects && made.words == read.words);
        assert!(made.style_vectors == read.style_vectors && made.codes == read.codes);
    }
}
