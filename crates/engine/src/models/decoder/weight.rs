//! A weight as it is stored, and how weights are looked up.

use std::collections::BTreeSet;

use half::{bf16, f16};
use kernels::{DenseKind, DenseRows, QuantKind, QuantMatrix, WeightRows};

use super::error::DecoderError;
use super::names::{Names, Place};
use crate::weights::{Mismatch, SharedBytes, StoredTensor, TensorKind, TensorSource, WeightsError};

/// A weight `[outputs, inputs]`.
pub(super) enum Weight {
    /// Repacked blocks.
    Quant(QuantMatrix),
    /// Where the file is mapped.
    Dense {
        kind: DenseKind,
        bytes: SharedBytes,
        shape: [usize; 2],
    },
}

impl Weight {
    pub(super) fn rows(&self) -> Result<WeightRows<'_>, kernels::ShapeError> {
        Ok(match self {
            Self::Quant(matrix) => WeightRows::Quant(matrix),
            Self::Dense { kind, bytes, shape } => {
                WeightRows::Dense(DenseRows::new(*kind, bytes, *shape)?)
            }
        })
    }

    /// `[outputs, inputs]`.
    pub(super) fn shape(&self) -> [usize; 2] {
        match self {
            Self::Quant(matrix) => [matrix.rows(), matrix.columns()],
            Self::Dense { shape, .. } => *shape,
        }
    }

    /// Whether inputs are rounded for it.
    pub(super) fn quantised(&self) -> bool {
        matches!(self, Self::Quant(_))
    }

    /// Writes a row in f32; nothing where there is none.
    pub(super) fn row(&self, row: usize, values: &mut [f32]) {
        match self {
            // Callers ask for rows that are there, with room for them.
            Self::Quant(matrix) => drop(matrix.dequantize_row(row, values)),
            Self::Dense { kind, bytes, shape } => {
                if let Ok(rows) = DenseRows::new(*kind, bytes, *shape) {
                    rows.row(row, values);
                }
            }
        }
    }
}

/// Rows of a table of embeddings, `[vocab, width]`, widened when they are read.
#[derive(Clone, Copy)]
pub struct Table<'a>(pub(super) &'a Weight);

impl Table<'_> {
    /// `[vocab, width]`.
    pub fn shape(&self) -> [usize; 2] {
        self.0.shape()
    }

    /// Writes rows from `first` on to `values`, as many as fit and are there; gives how many.
    pub fn read(&self, first: usize, values: &mut [f32]) -> usize {
        let [rows, width] = self.shape();
        let count = (values.len() / width).min(rows.saturating_sub(first));
        let values = values.chunks_exact_mut(width).take(count);
        for (i, values) in values.enumerate() {
            self.0.row(first + i, values);
        }
        count
    }

    /// All rows in blocks of `block`: the number of the first row, and `[rows, width]`.
    pub fn blocks(&self, block: usize) -> impl Iterator<Item = (usize, Vec<f32>)> + '_ {
        let [rows, width] = self.shape();
        let block = block.max(1);
        (0..rows).step_by(block).map(move |first| {
            let mut values = vec![0.0; block.min(rows - first) * width];
            self.read(first, &mut values);
            (first, values)
        })
    }
}

/// Values of a dense tensor.
pub(super) fn floats(tensor: &StoredTensor) -> Option<Vec<f32>> {
    let TensorKind::Dense(kind) = tensor.kind else {
        return None;
    };
    fn all<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks::<N>().0.iter().map(|b| value(*b)).collect()
    }
    Some(match kind {
        DenseKind::F32 => all(&tensor.bytes, f32::from_le_bytes),
        DenseKind::F16 => all(&tensor.bytes, |b| f16::from_le_bytes(b).to_f32()),
        DenseKind::Bf16 => all(&tensor.bytes, |b| bf16::from_le_bytes(b).to_f32()),
    })
}

fn quantised(
    name: &str,
    kind: QuantKind,
    bytes: &[u8],
    shape: [usize; 2],
) -> Result<QuantMatrix, WeightsError> {
    QuantMatrix::from_gguf(kind, bytes, shape).map_err(|error| WeightsError::Content {
        name: name.into(),
        reason: error.to_string(),
    })
}

/// Looks up tensors and remembers everything that does not fit.
pub(super) struct Loader<'a> {
    source: &'a dyn TensorSource,
    used: BTreeSet<String>,
    mismatch: Mismatch,
}

impl<'a> Loader<'a> {
    pub(super) fn new(source: &'a dyn TensorSource) -> Self {
        Self {
            source,
            used: BTreeSet::new(),
            mismatch: Mismatch {
                origin: source.origin().to_owned(),
                ..Mismatch::default()
            },
        }
    }

    /// The tensor, if it is there in this shape.
    fn tensor(
        &mut self,
        name: &str,
        shape: &[usize],
    ) -> Result<Option<StoredTensor>, DecoderError> {
        self.used.insert(name.to_owned());
        match self.source.shape(name) {
            None => self.mismatch.missing.push((name.into(), shape.into())),
            Some(found) if found != shape => {
                let misfit = (name.into(), found, shape.into());
                self.mismatch.misshapen.push(misfit);
            }
            Some(_) => return Ok(Some(self.source.stored(name)?)),
        }
        Ok(None)
    }

    fn mistyped(&self, name: &str, found: &TensorKind, wanted: &'static str) -> DecoderError {
        let found = match found {
            TensorKind::Other(name) => name.clone(),
            TensorKind::Dense(kind) => format!("{kind:?}"),
            TensorKind::Quant(kind) => format!("{kind:?}"),
        };
        DecoderError::Weights(WeightsError::Type {
            origin: self.source.origin().into(),
            name: name.into(),
            found,
            wanted,
        })
    }

    /// A dense tensor's values; what is missing counts as empty until [`Self::finish`].
    pub(super) fn vector(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, DecoderError> {
        let Some(tensor) = self.tensor(name, shape)? else {
            return Ok(Vec::new());
        };
        floats(&tensor).ok_or_else(|| self.mistyped(name, &tensor.kind, "floats"))
    }

    /// A weight of the shape `[.., outputs, inputs]`, flattened to two axes, or the rows of it that `order` lists.
    pub(super) fn matrix(
        &mut self,
        name: &str,
        shape: &[usize],
        order: Option<&[usize]>,
    ) -> Result<Weight, DecoderError> {
        let columns = shape.last().copied().unwrap_or(1);
        let rows = shape.iter().rev().skip(1).product();
        let Some(tensor) = self.tensor(name, shape)? else {
            return Ok(Weight::Dense {
                kind: DenseKind::F32,
                bytes: SharedBytes::from_vec(Vec::new()),
                shape: [0, columns],
            });
        };
        let count = order.map_or(rows, <[usize]>::len);
        match tensor.kind {
            TensorKind::Dense(kind) => Ok(Weight::Dense {
                kind,
                bytes: select(&tensor.bytes, columns * kind.size(), order),
                shape: [count, columns],
            }),
            TensorKind::Quant(kind) => {
                let bytes = select(&tensor.bytes, row_bytes(kind, columns), order);
                let matrix = quantised(name, kind, &bytes, [count, columns])?;
                tensor.bytes.release();
                Ok(Weight::Quant(matrix))
            }
            ref other => Err(self.mistyped(name, other, "weights")),
        }
    }

    /// The weight of a place, which has `inputs` inputs.
    pub(super) fn place(&mut self, place: &Place, inputs: usize) -> Result<Weight, DecoderError> {
        let name = format!("{}.weight", place.module);
        self.matrix(&name, &[place.rows, inputs], place.order.as_deref())
    }

    /// The bias of a place.
    pub(super) fn bias(&mut self, place: &Place) -> Result<Vec<f32>, DecoderError> {
        let all = self.vector(&format!("{}.bias", place.module), &[place.rows])?;
        Ok(match &place.order {
            Some(order) => order
                .iter()
                .filter_map(|&row| all.get(row).copied())
                .collect(),
            None => all,
        })
    }

    /// Fails when anything was missing, misshapen or not asked for.
    pub(super) fn finish(mut self, names: &Names<'_>) -> Result<(), DecoderError> {
        for name in self.source.names() {
            if !self.used.contains(&name) && !names.needless(&name) {
                let shape = self.source.shape(&name).unwrap_or_default();
                self.mismatch.extra.push((name, shape));
            }
        }
        self.mismatch.missing.dedup();
        self.mismatch.misshapen.dedup();
        if self.mismatch.is_empty() {
            return Ok(());
        }
        let mismatch = Box::new(self.mismatch);
        Err(WeightsError::Mismatch(mismatch).into())
    }
}

fn row_bytes(kind: QuantKind, columns: usize) -> usize {
    columns / kind.block() * kind.block_bytes()
}

/// Rows of `size` bytes in the order given: the same bytes where they lie together, else a copy.
fn select(bytes: &SharedBytes, size: usize, order: Option<&[usize]>) -> SharedBytes {
    let Some(order) = order else {
        return bytes.clone();
    };
    let first = order.first().copied().unwrap_or(0);
    let together = order.iter().enumerate().all(|(i, &row)| row == first + i);
    if let Some(part) = bytes.part(first * size..(first + order.len()) * size)
        && together
    {
        return part;
    }
    let mut selected = Vec::with_capacity(order.len() * size);
    for &row in order {
        selected.extend_from_slice(bytes.get(row * size..(row + 1) * size).unwrap_or_default());
    }
    SharedBytes::from_vec(selected)
}
