//! The tensors of a file of another format, some of them in quantised blocks.

use std::ops::Range;
use std::sync::Arc;

use kernels::{DenseKind, QuantKind, QuantMatrix};
use safetensors::Dtype;

use super::file::{Bytes, Entry, Place};
use super::{Weights, WeightsError};

/// How the values of a tensor of another format are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One float after the other, little-endian.
    Dense(DenseKind),
    /// Quantised blocks along the last axis.
    Blocks(QuantKind),
}

/// A tensor of a file of another format: its name, its shape, the slowest axis first, and where it is.
pub type OtherTensor = (String, Vec<usize>, Layout, Range<usize>);

impl Weights {
    /// The tensors of a file of another format, whose bytes are `bytes`. Those in blocks are read as f32, or as they are by
    /// [`Weights::blocks`].
    pub fn of_other(
        origin: String,
        bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
        tensors: impl IntoIterator<Item = OtherTensor>,
    ) -> Self {
        let entries = tensors.into_iter().map(|(name, shape, layout, range)| {
            let (dtype, place) = match layout {
                Layout::Dense(DenseKind::F32) => (Dtype::F32, Place::Mapped(range)),
                Layout::Dense(DenseKind::F16) => (Dtype::F16, Place::Mapped(range)),
                Layout::Dense(DenseKind::Bf16) => (Dtype::BF16, Place::Mapped(range)),
                Layout::Blocks(kind) => (Dtype::F32, Place::Blocks(kind, range)),
            };
            let entry = Entry {
                dtype,
                shape,
                place,
            };
            (name, entry)
        });
        Self::new(origin, Bytes::Shared(bytes), entries.collect())
    }

    /// The tensor called `name` as it is stored, where that is in quantised blocks.
    pub fn blocks(&self, name: &str) -> Option<(QuantKind, &[u8])> {
        match &self.entries.get(name)?.place {
            Place::Blocks(kind, range) => Some((*kind, self.file().get(range.clone())?)),
            Place::Elsewhere(file, name) => file.blocks(name),
            _ => None,
        }
    }
}

/// The values of blocks as the bytes of f32.
pub(super) fn widened(kind: QuantKind, bytes: &[u8], name: &str) -> Result<Vec<u8>, WeightsError> {
    // A block a row: matrices are filled up to whole sixteens of rows.
    let shape = [bytes.len() / kind.block_bytes(), kind.block()];
    let matrix =
        QuantMatrix::from_gguf(kind, bytes, shape).map_err(|error| WeightsError::Content {
            name: name.to_owned(),
            reason: error.to_string(),
        })?;
    let values = matrix.dequantize();
    Ok(values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

/// The place of `rows` rows of `columns` values in blocks, from row `first` on.
pub(super) fn rows(
    kind: QuantKind,
    range: &Range<usize>,
    columns: usize,
    first: usize,
    rows: usize,
) -> Place {
    let row = columns / kind.block() * kind.block_bytes();
    let start = range.start + first * row;
    Place::Blocks(kind, start..start + rows * row)
}
