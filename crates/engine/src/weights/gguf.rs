//! GGUF files, version 2 and 3, mapped from disk.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use base::tensor_file::{Layout, map_file};
use kernels::{DenseKind, QuantKind};
use memmap2::{Mmap, UncheckedAdvice};

use super::gguf_types::{GgufValue, Reader};
use super::source::{SharedBytes, StoredTensor, TensorKind, TensorSource};
use super::{Weights, WeightsError};

/// Names of tensor types by number, as ggml gives them; what is not here is called by its number.
const TYPES: [(u32, &str); 22] = [
    (0, "F32"),
    (1, "F16"),
    (2, "Q4_0"),
    (3, "Q4_1"),
    (6, "Q5_0"),
    (7, "Q5_1"),
    (8, "Q8_0"),
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (12, "Q4_K"),
    (13, "Q5_K"),
    (14, "Q6_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
];
/// Largest alignment of tensors that is accepted.
const ALIGNMENT: i64 = 1 << 20;
/// Axes of a tensor at most.
const AXES: u32 = 4;

/// A GGUF file: its metadata in memory, its tensors mapped. Cheap to clone.
///
/// The file must not be changed in place while it is mapped.
#[derive(Clone)]
pub struct Gguf(Arc<Contents>);

struct Contents {
    origin: String,
    bytes: Bytes,
    metadata: BTreeMap<String, GgufValue>,
    tensors: BTreeMap<String, Info>,
}

enum Bytes {
    Mapped(Mmap),
    Memory(Vec<u8>),
}

struct Info {
    kind: TensorKind,
    /// Slowest axis first.
    shape: Vec<usize>,
    /// Of kinds that can be read; empty for the others.
    range: Range<usize>,
}

impl fmt::Debug for Gguf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Contents {
            origin, tensors, ..
        } = &*self.0;
        write!(f, "Gguf({origin}, {} tensors)", tensors.len())
    }
}

impl Gguf {
    /// Maps the file at `path`. The header is read and checked, the tensors are not touched.
    ///
    /// # Errors
    /// [`WeightsError::Read`] when it cannot be opened, [`WeightsError::Gguf`] when it is broken or not of version 2
    /// or 3.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let origin = path.display().to_string();
        match map_file(path)? {
            Some(map) => Self::parse(origin, Bytes::Mapped(map)),
            None => Err(broken(&origin, "it is empty".into())),
        }
    }

    /// Reads a file that is already in memory.
    ///
    /// # Errors
    /// [`WeightsError::Gguf`] as for [`Gguf::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, WeightsError> {
        Self::parse("bytes in memory".into(), Bytes::Memory(bytes))
    }

    fn parse(origin: String, bytes: Bytes) -> Result<Self, WeightsError> {
        match header(bytes.as_slice()) {
            Ok((metadata, tensors)) => Ok(Self(Arc::new(Contents {
                origin,
                bytes,
                metadata,
                tensors,
            }))),
            Err(reason) => Err(broken(&origin, reason)),
        }
    }

    /// The value of `key` in the metadata.
    pub fn value(&self, key: &str) -> Option<&GgufValue> {
        self.0.metadata.get(key)
    }

    /// All metadata, by key.
    pub fn metadata(&self) -> &BTreeMap<String, GgufValue> {
        &self.0.metadata
    }

    /// An error that says that this file, though whole, cannot be used, and why.
    pub fn unfit(&self, reason: impl Into<String>) -> WeightsError {
        WeightsError::Unfit {
            origin: self.0.origin.clone(),
            reason: reason.into(),
        }
    }

    /// The tensors as those of other files are read. Those of types that are not known are left out.
    pub fn weights(&self) -> Weights {
        let tensors = self.0.tensors.iter().filter_map(|(name, info)| {
            let layout = match info.kind {
                TensorKind::Dense(kind) => Layout::Dense(kind),
                TensorKind::Quant(kind) => Layout::Blocks(kind),
                TensorKind::Other(_) => return None,
            };
            Some((name.clone(), info.shape.clone(), layout, info.range.clone()))
        });
        Weights::of_other(self.0.origin.clone(), Arc::new(self.clone()), tensors)
    }

    /// All bytes of the file.
    pub(super) fn file(&self) -> &[u8] {
        self.0.bytes.as_slice()
    }

    /// Tells the system that bytes will not be read soon: their pages no longer count as this process's.
    pub(super) fn release(&self, range: &Range<usize>) {
        /// Pages are at most this large where the call is worth making.
        const PAGE: usize = 4096;
        if let Bytes::Mapped(map) = &self.0.bytes {
            let start = range.start.next_multiple_of(PAGE);
            let end = range.end / PAGE * PAGE;
            if start < end {
                // SAFETY: of a read-only map of a file, dropped pages are read again from the file.
                let advised = unsafe {
                    map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start)
                };
                // A hint: where it is not taken, nothing is lost.
                let _ = advised;
            }
        }
    }
}

impl AsRef<[u8]> for Gguf {
    fn as_ref(&self) -> &[u8] {
        self.file()
    }
}

impl TensorSource for Gguf {
    fn origin(&self) -> &str {
        &self.0.origin
    }

    fn names(&self) -> Vec<String> {
        self.0.tensors.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.0.tensors.get(name).map(|info| info.shape.clone())
    }

    fn stored(&self, name: &str) -> Result<StoredTensor, WeightsError> {
        let info = self
            .0
            .tensors
            .get(name)
            .ok_or_else(|| WeightsError::Absent {
                origin: self.0.origin.clone(),
                name: name.into(),
                hint: String::new(),
            })?;
        Ok(StoredTensor {
            kind: info.kind.clone(),
            shape: info.shape.clone(),
            bytes: SharedBytes::gguf(self.clone(), info.range.clone()),
        })
    }
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Memory(bytes) => bytes,
        }
    }
}

fn broken(origin: &str, reason: String) -> WeightsError {
    WeightsError::Gguf {
        origin: origin.to_owned(),
        reason,
    }
}

type Header = (BTreeMap<String, GgufValue>, BTreeMap<String, Info>);

fn header(bytes: &[u8]) -> Result<Header, String> {
    if bytes.get(..4) != Some(b"GGUF") {
        return Err("it does not begin with `GGUF`".into());
    }
    let mut reader = Reader::new(bytes, 4);
    match reader.u32()? {
        2 | 3 => {}
        other if other.swap_bytes() <= 3 => {
            return Err("it is big-endian, only little-endian files are read".into());
        }
        other => return Err(format!("it is of version {other}, not 2 or 3")),
    }
    // The least that a tensor and a value take: empty names, no axis.
    let tensor_count = reader.count("tensors", 24)?;
    let value_count = reader.count("values", 13)?;
    let mut metadata = BTreeMap::new();
    for _ in 0..value_count {
        let key = reader.text()?;
        let kind = reader.u32()?;
        let value = reader.value(kind)?;
        if metadata.insert(key.clone(), value).is_some() {
            return Err(format!("`{key}` is there twice"));
        }
    }
    let mut infos = Vec::new();
    for _ in 0..tensor_count {
        let name = reader.text()?;
        let axes = reader.u32()?;
        if axes > AXES {
            return Err(format!("tensor `{name}` has {axes} axes"));
        }
        let mut shape = (0..axes)
            .map(|_| {
                reader
                    .u64()
                    .map(|size| usize::try_from(size).unwrap_or(usize::MAX))
            })
            .collect::<Result<Vec<_>, _>>()?;
        shape.reverse();
        infos.push((name, shape, reader.u32()?, reader.u64()?));
    }
    let alignment = match metadata.get("general.alignment") {
        None => 32,
        Some(value) => value
            .int()
            .filter(|n| (1..=ALIGNMENT).contains(n))
            .ok_or("`general.alignment` is not a number between 1 and 2²⁰")?
            as usize,
    };
    let start = reader.at().next_multiple_of(alignment);
    let mut tensors = BTreeMap::new();
    for (name, shape, number, offset) in infos {
        let kind = kind(number);
        let range = match size(&kind, &shape) {
            // What cannot be read is only named.
            None if matches!(kind, TensorKind::Other(_)) => Some(0..0),
            None => None,
            Some(size) => usize::try_from(offset)
                .ok()
                .and_then(|offset| start.checked_add(offset))
                .and_then(|from| Some(from..from.checked_add(size)?))
                .filter(|range| range.end <= bytes.len()),
        };
        let Some(range) = range else {
            return Err(format!(
                "tensor `{name}` of shape {shape:?} reaches past its end or has incomplete blocks"
            ));
        };
        let info = Info { kind, shape, range };
        if tensors.insert(name.clone(), info).is_some() {
            return Err(format!("tensor `{name}` is there twice"));
        }
    }
    Ok((metadata, tensors))
}

fn kind(number: u32) -> TensorKind {
    match number {
        0 => TensorKind::Dense(DenseKind::F32),
        1 => TensorKind::Dense(DenseKind::F16),
        30 => TensorKind::Dense(DenseKind::Bf16),
        _ => QuantKind::from_gguf_type(number).map_or_else(
            || {
                let known = TYPES.iter().find(|(n, _)| *n == number);
                TensorKind::Other(
                    known.map_or_else(|| format!("type {number}"), |(_, name)| (*name).into()),
                )
            },
            TensorKind::Quant,
        ),
    }
}

/// Bytes of a tensor; none for kinds that cannot be read, and for shapes that cannot be.
fn size(kind: &TensorKind, shape: &[usize]) -> Option<usize> {
    let count = shape
        .iter()
        .try_fold(1_usize, |n, axis| n.checked_mul(*axis))?;
    match kind {
        TensorKind::Dense(kind) => count.checked_mul(kind.size()),
        TensorKind::Quant(kind) => {
            let columns = shape.last().copied().unwrap_or(1);
            let whole = columns.is_multiple_of(kind.block());
            whole.then(|| (count / kind.block()).checked_mul(kind.block_bytes()))?
        }
        TensorKind::Other(_) => None,
    }
}
