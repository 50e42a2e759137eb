//! The whitened token space: rows of the unembedding times the inverse square root of their covariance.

use std::path::{Path, PathBuf};

use base::tensor_file::{Precision, TensorFile, Weights};
use kernels::{LinearDims, Precision as Product, linear};

use super::linalg::inverse_square_root;
use super::unembedding::{BLOCK, Rows, covariance, fingerprint};
use engine::SystemError;

/// Eigenvalues of the covariance up to this count as zero, as in the official code.
const NEGLIGIBLE: f64 = 1e-6;

/// What whitened rows are measured from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Offset {
    /// The mean row.
    #[default]
    Mean,
    /// The padding token's row.
    Pad,
    /// Zero.
    None,
}

impl Offset {
    /// As on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Pad => "pad",
            Self::None => "none",
        }
    }
}

/// How a token space is made; the defaults are the paper's.
#[derive(Clone, Debug, Default)]
pub struct WhiteningOptions {
    /// The padding token, whose vector becomes zero.
    pub pad: Option<u32>,
    /// What rows are measured from.
    pub offset: Offset,
    /// Whether vectors get unit length.
    pub unit: bool,
    /// Tokens that mean and covariance leave out, such as reserved ones.
    pub skip: Vec<u32>,
    /// The directory in which the inverse square root is kept for the next time.
    pub cache: Option<PathBuf>,
}

/// Turns rows of an unembedding into vectors of the token space.
#[derive(Clone, Debug, PartialEq)]
pub struct Whitening {
    width: usize,
    /// `C^(−1/2)`, `[width, width]`, symmetric.
    root: Vec<f32>,
    /// Taken from whitened rows.
    offset: Vec<f32>,
    pad: Option<u32>,
    unit: bool,
    /// Tells unembeddings and masks apart.
    fingerprint: u64,
}

impl Whitening {
    /// Measures the unembedding `[vocab, width]`.
    ///
    /// # Errors
    /// [`SystemError::Input`] where the padding token is not in the vocabulary or values are not finite.
    pub fn from_unembedding(
        table: &dyn Rows,
        options: &WhiteningOptions,
    ) -> Result<Self, SystemError> {
        let [vocab, width] = table.shape();
        if let Some(pad) = options.pad.filter(|pad| *pad as usize >= vocab) {
            return Err(SystemError::Input(format!(
                "the padding token {pad} is not in the vocabulary of {vocab}: give another with `--pad`"
            )));
        }
        let fingerprint = fingerprint(table, &options.skip);
        let file = options.cache.as_ref().map(|cache| {
            cache.join(format!(
                "whitening-{vocab}x{width}-{fingerprint:016x}.safetensors"
            ))
        });
        let kept = file.as_deref().and_then(|file| read(file, width));
        let (mean, root) = match kept {
            Some(kept) => kept,
            None => {
                let (mean, covariance) = covariance(table, &options.skip)?;
                let root = inverse_square_root(&covariance, width, NEGLIGIBLE).ok_or_else(|| {
                    SystemError::Input(
                        "the unembedding holds values that are not finite: download the weights again".into(),
                    )
                })?;
                let mean = mean.iter().map(|x| *x as f32).collect::<Vec<_>>();
                if let Some(file) = &file {
                    // A cache that cannot be written costs time only.
                    let _ = keep(file, &mean, &root);
                }
                (mean, root)
            }
        };
        let mut whitening = Self {
            width,
            root,
            offset: vec![0.0; width],
            pad: options.pad,
            unit: false,
            fingerprint,
        };
        let from = match (options.offset, options.pad) {
            (Offset::None, _) => None,
            (Offset::Mean, _) => Some(mean),
            (Offset::Pad, Some(pad)) => {
                let mut row = vec![0.0; width];
                table.read(pad as usize, &mut row);
                Some(row)
            }
            (Offset::Pad, None) => {
                return Err(SystemError::Input(
                    "the model has no padding token to measure from: give one with `--pad`, or `--offset mean`".into(),
                ));
            }
        };
        if let Some(row) = from {
            whitening.offset = whitening.turned(&row)?;
        }
        whitening.unit = options.unit;
        Ok(whitening)
    }

    /// Values of a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// `C^(−1/2)`, `[width, width]`.
    pub fn root(&self) -> &[f32] {
        &self.root
    }

    /// What is taken from whitened rows.
    pub fn offset(&self) -> &[f32] {
        &self.offset
    }

    /// Tells unembeddings apart: equal ones have equal values.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    fn turned(&self, rows: &[f32]) -> Result<Vec<f32>, SystemError> {
        let dims = LinearDims {
            rows: rows.len() / self.width,
            input: self.width,
            output: self.width,
        };
        Ok(linear(Product::F32, rows, &self.root, None, dims)?)
    }

    /// Vectors of tokens, `[tokens, width]`.
    ///
    /// # Errors
    /// [`SystemError::Input`] for a token that is not in the vocabulary.
    pub fn vectors(&self, table: &dyn Rows, tokens: &[u32]) -> Result<Vec<f32>, SystemError> {
        let mut rows = vec![0.0; tokens.len() * self.width];
        for (row, token) in rows.chunks_exact_mut(self.width).zip(tokens) {
            if table.read(*token as usize, row) == 0 {
                let vocab = table.shape()[0];
                return Err(SystemError::Input(format!(
                    "token {token} is not in the vocabulary of {vocab}: use the tokenizer that belongs to the model"
                )));
            }
        }
        let mut vectors = self.turned(&rows)?;
        for (vector, token) in vectors.chunks_exact_mut(self.width).zip(tokens) {
            if self.pad == Some(*token) {
                vector.fill(0.0);
                continue;
            }
            for (x, offset) in vector.iter_mut().zip(&self.offset) {
                *x -= offset;
            }
            if self.unit {
                let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
                if norm > 0.0 {
                    vector.iter_mut().for_each(|x| *x /= norm);
                }
            }
        }
        Ok(vectors)
    }

    /// Vectors of the whole vocabulary, `[vocab, width]`.
    ///
    /// # Errors
    /// As [`Whitening::vectors`].
    pub fn all(&self, table: &dyn Rows) -> Result<Vec<f32>, SystemError> {
        let vocab = table.shape()[0] as u32;
        let mut vectors = Vec::with_capacity(vocab as usize * self.width);
        for first in (0..vocab).step_by(BLOCK) {
            let tokens: Vec<u32> = (first..vocab.min(first + BLOCK as u32)).collect();
            vectors.extend(self.vectors(table, &tokens)?);
        }
        Ok(vectors)
    }
}

fn read(file: &Path, width: usize) -> Option<(Vec<f32>, Vec<f32>)> {
    let file = file.exists().then(|| Weights::open(file).ok())??;
    let values = |name: &str, len: usize| {
        let values = file.values(name).ok()?;
        (values.len() == len && values.iter().all(|x| x.is_finite())).then_some(values)
    };
    Some((values("mean", width)?, values("root", width * width)?))
}

fn keep(file: &Path, mean: &[f32], root: &[f32]) -> Result<(), SystemError> {
    if let Some(folder) = file.parent() {
        base::files::make_folder(folder)?;
    }
    let width = mean.len();
    let mut tensors = TensorFile::new();
    tensors.floats("mean", &[width], mean, Precision::F32)?;
    tensors.floats("root", &[width, width], root, Precision::F32)?;
    Ok(tensors.write(file)?)
}
