//! Concept frames in a safetensors file: `concepts (n, d, K)`, `counts (n)`, `ranks (n)`.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::Path;

use base::command::nearest;
use base::files::write_swiftly;
use base::tensor_file::Weights;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::concepts::{ConceptTokens, TokenVectors, concept_frame};
use super::frame::Frame;
use super::linalg::{Degenerate, dot};
use engine::SystemError;

/// Concepts that are computed together.
const BLOCK: usize = 512;
/// Names under the file's metadata.
const INFO: &str = "frames";
const NAMES: &str = "names";

/// What a concept file was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConceptInfo {
    /// The model.
    pub model: String,
    /// Its unembedding's fingerprint, in hexadecimal.
    pub unembedding: String,
    /// Columns of a frame.
    pub columns: usize,
    /// What vectors are measured from.
    pub offset: String,
    /// Whether they have unit length.
    pub unit: bool,
    /// Whether missing directions were filled up as in the official code.
    pub complete: bool,
    /// Languages of the words.
    pub languages: Vec<String>,
}

/// Concepts in a file, mapped.
#[derive(Debug)]
pub struct ConceptDb {
    weights: Weights,
    names: Vec<String>,
    index: HashMap<String, usize>,
    ranks: Vec<usize>,
    counts: Vec<usize>,
    width: usize,
    info: ConceptInfo,
}

impl ConceptDb {
    /// Computes the frames of `concepts` and writes them to `path`. `listen` hears how many are done and may stop it.
    ///
    /// # Errors
    /// [`SystemError::Input`] without concepts, [`SystemError::File`] where the file cannot be written.
    pub fn build(
        path: &Path,
        concepts: &[ConceptTokens],
        vectors: &dyn TokenVectors,
        info: &ConceptInfo,
        listen: &mut dyn FnMut(usize) -> bool,
    ) -> Result<(), SystemError> {
        if concepts.is_empty() {
            return Err(SystemError::Input(
                "no concept has enough words: lower `--min-lemmas` or raise `--max-tokens`".into(),
            ));
        }
        let columns = info.columns;
        let degenerate = match info.complete {
            true => Degenerate::Complete,
            false => Degenerate::Drop,
        };
        let header = header(concepts, vectors.width(), info)?;
        write_swiftly(path, |out| {
            out.write_all(&header)?;
            let mut ranks = Vec::with_capacity(concepts.len());
            for (number, block) in concepts.chunks(BLOCK).enumerate() {
                if !listen(number * BLOCK) {
                    return Err(io::Error::new(ErrorKind::Interrupted, "stopped"));
                }
                let frames: Vec<Frame> = block
                    .par_iter()
                    .map(|it| concept_frame(vectors, &it.words, columns, degenerate))
                    .collect();
                for frame in frames {
                    ranks.push(frame.rank() as i32);
                    out.write_all(bytemuck::cast_slice(&frame.to_matrix()))?;
                }
            }
            let counts: Vec<i32> = concepts.iter().map(|it| it.words.len() as i32).collect();
            out.write_all(bytemuck::cast_slice(&counts))?;
            out.write_all(bytemuck::cast_slice(&ranks))
        })?;
        Ok(())
    }

    /// Opens a file of concepts.
    ///
    /// # Errors
    /// [`SystemError::Weights`] where it is not whole or holds something else.
    pub fn open(path: &Path) -> Result<Self, SystemError> {
        let weights = Weights::open(path)?;
        let unfit = |reason: &str| {
            weights.unfit(format!(
                "{reason}; make a file of concepts with `orrery frames build`"
            ))
        };
        let metadata = weights.metadata();
        let info: ConceptInfo = metadata
            .get(INFO)
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| unfit("it holds no concepts"))?;
        let names = metadata.get(NAMES).map(String::as_str).unwrap_or_default();
        let names: Vec<String> = names.lines().map(str::to_owned).collect();
        let shape = weights.shape("concepts").unwrap_or_default().to_vec();
        let &[count, width, columns] = &shape[..] else {
            return Err(unfit("its tensor `concepts` is not of rank 3").into());
        };
        let numbers = |name: &str| -> Result<Vec<usize>, SystemError> {
            let ints = weights.ints(name)?;
            Ok(ints.into_iter().map(|it| it.max(0) as usize).collect())
        };
        let (counts, ranks) = (numbers("counts")?, numbers("ranks")?);
        let wrong = [names.len(), counts.len(), ranks.len()]
            .iter()
            .any(|len| *len != count);
        if wrong || columns != info.columns || columns == 0 || width == 0 {
            return Err(unfit("names and tensors do not fit together").into());
        }
        let index = names.iter().cloned().zip(0..).collect();
        let db = Self {
            names,
            index,
            ranks,
            counts,
            width,
            info,
            weights,
        };
        match db.values() {
            Some(values) if values.len() == count * width * columns => Ok(db),
            _ => Err(db
                .weights
                .unfit("its concepts are not f32 numbers; make the file again")
                .into()),
        }
    }

    /// All frames, `[n, width, columns]`.
    fn values(&self) -> Option<&[f32]> {
        let range = self.weights.place("concepts")?;
        bytemuck::try_cast_slice(self.weights.file().get(range)?).ok()
    }

    /// Names, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What the file was made of.
    pub fn info(&self) -> &ConceptInfo {
        &self.info
    }

    /// Values of a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Words behind concept number `at`.
    pub fn count(&self, at: usize) -> usize {
        self.counts[at]
    }

    /// The frame of concept number `at`.
    pub fn frame(&self, at: usize) -> Frame {
        let size = self.width * self.info.columns;
        let values = self
            .values()
            .and_then(|values| values.get(at * size..(at + 1) * size));
        Frame::from_matrix(self.info.columns, values.unwrap_or_default())
    }

    /// The frame of the concept `name`.
    ///
    /// # Errors
    /// [`SystemError::Input`] with the name that is nearest.
    pub fn concept(&self, name: &str) -> Result<Frame, SystemError> {
        match self.index.get(name) {
            Some(at) => Ok(self.frame(*at)),
            None => Err(unknown(name, self.names.iter().map(String::as_str))),
        }
    }

    /// The cumulative probe on every concept of a text, from its summed states (see [`super::probe::summed`]).
    pub fn totals(&self, summed: &Frame) -> Vec<f64> {
        let size = self.width * self.info.columns;
        let matrix = summed.to_matrix();
        let concepts = self.values().unwrap_or_default().par_chunks_exact(size);
        let totals = concepts
            .zip(&self.ranks)
            .map(|(concept, rank)| dot(concept, &matrix) / (*rank as f64).sqrt());
        totals.collect()
    }
}

/// The error for a concept that is not there.
pub fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> SystemError {
    let lemma = name.split('.').next().unwrap_or_default().to_lowercase();
    let same = |other: &&str| other.split('.').next() == Some(&lemma);
    let hint = match known.clone().find(same).or_else(|| nearest(name, known)) {
        Some(other) => format!("did you mean `{other}`?"),
        None => "names look like `woman.n.01`".to_owned(),
    };
    SystemError::Input(format!(
        "there is no concept `{name}` with enough words: {hint}"
    ))
}

/// Length and JSON of the header, padded to eight bytes.
fn header(
    concepts: &[ConceptTokens],
    width: usize,
    info: &ConceptInfo,
) -> Result<Vec<u8>, SystemError> {
    let (count, columns) = (concepts.len(), info.columns);
    let names: Vec<&str> = concepts.iter().map(|it| it.name.as_str()).collect();
    let frames = count * width * columns * 4;
    let cannot =
        |error| SystemError::Input(format!("names of concepts cannot be written: {error}"));
    let header = json!({
        "__metadata__": {
            INFO: serde_json::to_string(info).map_err(cannot)?,
            NAMES: names.join("\n"),
        },
        "concepts": {"dtype": "F32", "shape": [count, width, columns], "data_offsets": [0, frames]},
        "counts": {"dtype": "I32", "shape": [count], "data_offsets": [frames, frames + count * 4]},
        "ranks": {"dtype": "I32", "shape": [count], "data_offsets": [frames + count * 4, frames + count * 8]},
    });
    let mut json = serde_json::to_vec(&header).map_err(cannot)?;
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut json);
    Ok(bytes)
}
