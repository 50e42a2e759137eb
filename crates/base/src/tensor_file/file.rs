//! Reading safetensors, mapped from disk or embedded in the binary, and torch checkpoints.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use kernels::QuantKind;
use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};

use super::{WeightsError, blocks, foreign, torch};
use crate::command::nearest;

/// The tensors of one safetensors file or torch checkpoint. Cheap to clone; values are read when asked for.
#[derive(Clone)]
pub struct Weights {
    origin: String,
    bytes: Arc<Bytes>,
    pub(super) entries: Arc<BTreeMap<String, Entry>>,
    metadata: Arc<HashMap<String, String>>,
}

pub(super) enum Bytes {
    Mapped(Mmap),
    Memory(Cow<'static, [u8]>),
    /// A file that another reader opened.
    Shared(Arc<dyn AsRef<[u8]> + Send + Sync>),
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) place: Place,
}

/// Where a tensor's bytes are.
#[derive(Clone)]
pub(super) enum Place {
    /// In the mapped file.
    Mapped(Range<usize>),
    /// Quantised blocks in the mapped file.
    Blocks(QuantKind, Range<usize>),
    /// In a torch checkpoint, read when asked for.
    Torch(pytorch_reader::Tensor),
    /// Some bytes of another place.
    Part(Box<Place>, Range<usize>),
    /// A tensor of another file.
    Elsewhere(Weights, String),
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Memory(bytes) => bytes,
            Self::Shared(file) => (**file).as_ref(),
        }
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Weights({}, {} tensors)",
            self.origin,
            self.entries.len()
        )
    }
}

impl Weights {
    /// Maps the safetensors file at `path`, or opens the torch checkpoint there (`.pt`, `.pth`, `.bin`, `.ckpt`; see
    /// [`Weights::within`]). The header is read and checked, the values are not touched.
    ///
    /// The file must not be changed in place while it is mapped; Orrery's own writers rename instead.
    ///
    /// # Errors
    /// [`WeightsError::Read`] when it cannot be opened, [`WeightsError::Corrupt`] when the header is broken,
    /// too long, or does not cover the file exactly, [`WeightsError::Torch`] when a torch checkpoint cannot be read or
    /// holds objects that are not data.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let origin = path.display().to_string();
        match map_file(path)? {
            Some(map) if torch::is_checkpoint(&map) => {
                let (entries, metadata) = torch::read(path)?;
                Ok(Self {
                    origin,
                    bytes: Arc::new(Bytes::Memory(Cow::Borrowed(&[]))),
                    entries: Arc::new(entries),
                    metadata: Arc::new(metadata),
                })
            }
            Some(map) => Self::parse(origin, Bytes::Mapped(map)),
            None => Err(WeightsError::Corrupt {
                origin,
                reason: "it is empty".into(),
            }),
        }
    }

    /// Reads a safetensors file that is already in memory, such as one from `include_bytes!`.
    ///
    /// # Errors
    /// [`WeightsError::Corrupt`] as for [`Weights::open`].
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self, WeightsError> {
        Self::parse("embedded weights".into(), Bytes::Memory(bytes.into()))
    }

    pub(super) fn new(origin: String, bytes: Bytes, entries: BTreeMap<String, Entry>) -> Self {
        Self {
            origin,
            bytes: Arc::new(bytes),
            entries: Arc::new(entries),
            metadata: Arc::default(),
        }
    }

    /// The same with other entries.
    pub(super) fn with(&self, origin: String, entries: BTreeMap<String, Entry>) -> Self {
        Self {
            origin,
            entries: Arc::new(entries),
            ..self.clone()
        }
    }

    fn parse(origin: String, bytes: Bytes) -> Result<Self, WeightsError> {
        let (header, parsed) = SafeTensors::read_metadata(bytes.as_slice()).map_err(|error| {
            match foreign::kind(bytes.as_slice()) {
                Some(kind) => WeightsError::foreign(&origin, kind),
                None => WeightsError::Corrupt {
                    origin: origin.clone(),
                    reason: error.to_string(),
                },
            }
        })?;
        let start = 8 + header;
        let entries = parsed
            .tensors()
            .into_iter()
            .map(|(name, info)| {
                let (from, to) = info.data_offsets;
                let entry = Entry {
                    dtype: info.dtype,
                    shape: info.shape.clone(),
                    place: Place::Mapped(start + from..start + to),
                };
                (name, entry)
            })
            .collect();
        Ok(Self {
            origin,
            bytes: Arc::new(bytes),
            entries: Arc::new(entries),
            metadata: Arc::new(parsed.metadata().clone().unwrap_or_default()),
        })
    }

    /// The path, or `embedded weights`: for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// An error that says that this file, though whole, cannot be used, and why.
    pub fn unfit(&self, reason: impl Into<String>) -> WeightsError {
        WeightsError::Unfit {
            origin: self.origin().to_owned(),
            reason: reason.into(),
        }
    }

    /// Whether tensors have the shapes that a config asks for, before anything of that size is made. `fix` says what to
    /// do where not.
    ///
    /// # Errors
    /// [`WeightsError::Unfit`] with the first shape that differs.
    pub fn expect_shapes(
        &self,
        expected: &[(String, [usize; 2])],
        fix: &str,
    ) -> Result<(), WeightsError> {
        for (name, shape) in expected {
            let found = match self.shape(name) {
                Some(found) if found == shape => continue,
                Some(found) => format!("is {found:?}"),
                None => "is missing".into(),
            };
            return Err(self.unfit(format!(
                "its config asks for `{name}` of {shape:?}, which {found}; {fix}"
            )));
        }
        Ok(())
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Whether there is a tensor called `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The shape of `name`; `None` when there is no such tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// The tensors below `prefix` by the rest of their names: `weights.within("ema")` has `ema.x` as `x`. What a training
    /// script saves often holds several models (`model`, `ema`, `state_dict`).
    pub fn within(&self, prefix: &str) -> Self {
        let entries = self.entries.iter().filter_map(|(name, entry)| {
            let rest = name.strip_prefix(prefix)?.strip_prefix('.')?;
            Some((rest.to_owned(), entry.clone()))
        });
        self.with(self.origin.clone(), entries.collect())
    }

    /// Element type and shape of `name`; `None` when there is no such tensor.
    pub fn kind(&self, name: &str) -> Option<(Dtype, &[usize])> {
        let entry = self.entries.get(name)?;
        Some((entry.dtype, &entry.shape))
    }

    /// The place of `name` within [`Weights::file`]; `None` when there is no such tensor, or it lies elsewhere or otherwise: in a
    /// torch checkpoint, in part of another tensor, in another file, in blocks.
    pub fn place(&self, name: &str) -> Option<Range<usize>> {
        match &self.entries.get(name)?.place {
            Place::Mapped(range) => Some(range.clone()),
            _ => None,
        }
    }

    /// The bytes of `name` as stored, in row-major order; borrowed from a mapped file, read from a torch checkpoint.
    ///
    /// # Errors
    /// [`WeightsError::Absent`], [`WeightsError::Corrupt`] and [`WeightsError::Torch`].
    pub fn stored_bytes(&self, name: &str) -> Result<Cow<'_, [u8]>, WeightsError> {
        Ok(self.entry(name)?.1)
    }

    /// All bytes of the file, header included.
    pub fn file(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The file's free-form metadata, empty when it has none.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// The values of a float tensor (f16, bf16, f32 or f64) as f32, in row-major order.
    ///
    /// # Errors
    /// [`WeightsError::Absent`], or [`WeightsError::Type`] when it does not hold floats.
    pub fn values(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let (entry, bytes) = self.entry(name)?;
        let bytes = bytes.as_ref();
        Ok(match entry.dtype {
            Dtype::F32 => floats(bytes, f32::from_le_bytes, |from, to| {
                to.copy_from_slice(from)
            }),
            Dtype::F16 => floats(bytes, f16::from_le_bytes, |from, to| {
                from.convert_to_f32_slice(to)
            }),
            Dtype::BF16 => floats(bytes, bf16::from_le_bytes, |from, to| {
                from.convert_to_f32_slice(to)
            }),
            Dtype::F64 => read(bytes, |b| f64::from_le_bytes(b) as f32),
            _ => return Err(self.mistyped(name, entry, "floats")),
        })
    }

    /// The values of a float tensor as f64, without loss for f64 files.
    ///
    /// # Errors
    /// As [`Weights::values`].
    pub fn doubles(&self, name: &str) -> Result<Vec<f64>, WeightsError> {
        match self.entry(name)? {
            (entry, bytes) if entry.dtype == Dtype::F64 => Ok(read(&bytes, f64::from_le_bytes)),
            _ => Ok(self.values(name)?.into_iter().map(f64::from).collect()),
        }
    }

    /// The values of an integer or boolean tensor, in row-major order.
    ///
    /// # Errors
    /// [`WeightsError::Absent`], or [`WeightsError::Type`] when it holds no integers, or some above `i64::MAX`.
    pub fn ints(&self, name: &str) -> Result<Vec<i64>, WeightsError> {
        let (entry, bytes) = self.entry(name)?;
        let bytes = bytes.as_ref();
        Ok(match entry.dtype {
            Dtype::BOOL | Dtype::U8 => bytes.iter().map(|&b| i64::from(b)).collect(),
            Dtype::I8 => read(bytes, |b| i64::from(i8::from_le_bytes(b))),
            Dtype::I16 => read(bytes, |b| i64::from(i16::from_le_bytes(b))),
            Dtype::U16 => read(bytes, |b| i64::from(u16::from_le_bytes(b))),
            Dtype::I32 => read(bytes, |b| i64::from(i32::from_le_bytes(b))),
            Dtype::U32 => read(bytes, |b| i64::from(u32::from_le_bytes(b))),
            Dtype::I64 => read(bytes, i64::from_le_bytes),
            Dtype::U64 => read(bytes, u64::from_le_bytes)
                .into_iter()
                .map(i64::try_from)
                .collect::<Result<_, _>>()
                .map_err(|_| self.mistyped(name, entry, "64-bit integers"))?,
            _ => return Err(self.mistyped(name, entry, "integers")),
        })
    }

    /// The raw bytes of a `u8` or boolean tensor, without a copy from a mapped file.
    ///
    /// # Errors
    /// As [`Weights::stored_bytes`], and [`WeightsError::Type`].
    pub fn bytes(&self, name: &str) -> Result<Cow<'_, [u8]>, WeightsError> {
        match self.entry(name)? {
            (entry, bytes) if matches!(entry.dtype, Dtype::U8 | Dtype::BOOL) => Ok(bytes),
            (entry, _) => Err(self.mistyped(name, entry, "bytes")),
        }
    }

    /// Lets go of the memory in which a mapped file holds `name`, where the system can do that: for values that were copied out. What
    /// is asked for again is read from the file again.
    pub fn release(&self, name: &str) {
        #[cfg(unix)]
        if let (Some(range), Bytes::Mapped(map)) = (self.place(name), &*self.bytes) {
            // SAFETY: the pages of a shared, read-only map of a file hold what the file holds, however often they are dropped.
            let dropped = unsafe {
                map.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len())
            };
            // A system that cannot keeps them.
            let _ = dropped;
        }
        #[cfg(not(unix))]
        let _ = name;
    }

    /// The error that says that there is no tensor `name`, with the name nearest to it.
    pub fn absent(&self, name: &str) -> WeightsError {
        WeightsError::Absent {
            origin: self.origin.clone(),
            name: name.to_owned(),
            hint: self.nearest(name),
        }
    }

    fn entry(&self, name: &str) -> Result<(&Entry, Cow<'_, [u8]>), WeightsError> {
        let entry = self.entries.get(name).ok_or_else(|| self.absent(name))?;
        let bytes = self.bytes_at(name, &entry.place)?;
        Ok((entry, bytes))
    }

    fn bytes_at<'a>(&'a self, name: &str, place: &'a Place) -> Result<Cow<'a, [u8]>, WeightsError> {
        let short = || WeightsError::Corrupt {
            origin: self.origin.clone(),
            reason: format!("`{name}` reaches past its end"),
        };
        match place {
            Place::Mapped(range) => {
                let bytes = self.bytes.as_slice().get(range.clone());
                Ok(bytes.ok_or_else(short)?.into())
            }
            Place::Blocks(kind, range) => {
                let bytes = self.bytes.as_slice().get(range.clone());
                Ok(blocks::widened(*kind, bytes.ok_or_else(short)?, name)?.into())
            }
            Place::Torch(tensor) => {
                let bytes = tensor.read();
                let bytes = bytes.map_err(|error| torch::error(&self.origin, error.to_string()));
                Ok(bytes?.into())
            }
            Place::Part(whole, range) => match self.bytes_at(name, whole)? {
                Cow::Borrowed(bytes) => Ok(bytes.get(range.clone()).ok_or_else(short)?.into()),
                Cow::Owned(bytes) => {
                    let part = bytes.get(range.clone()).ok_or_else(short)?;
                    Ok(part.to_vec().into())
                }
            },
            Place::Elsewhere(file, name) => file.stored_bytes(name),
        }
    }

    fn nearest(&self, name: &str) -> String {
        nearest(name, self.names())
            .map_or_else(String::new, |other| format!("; did you mean `{other}`?"))
    }

    fn mistyped(&self, name: &str, entry: &Entry, wanted: &'static str) -> WeightsError {
        WeightsError::Type {
            origin: self.origin.clone(),
            name: name.to_owned(),
            found: format!("{:?}", entry.dtype),
            wanted,
        }
    }
}

/// Maps the file at `path` read-only; none where it is empty. It must not be changed in place while it is mapped.
///
/// # Errors
/// [`WeightsError::Read`] when it cannot be opened.
pub fn map_file(path: &Path) -> Result<Option<Mmap>, WeightsError> {
    let read = |source| WeightsError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(read)?;
    if file.metadata().map_err(read)?.len() == 0 {
        return Ok(None);
    }
    // SAFETY: the map is read-only; the documented contract is that nobody truncates a checkpoint in place while it is
    // open.
    unsafe { Mmap::map(&file) }.map(Some).map_err(read)
}

/// Values in f32, a stretch at a time on all threads: `element` reads one, `convert` turns many.
fn floats<const N: usize, T: Copy + Default + Sync>(
    bytes: &[u8],
    element: impl Fn([u8; N]) -> T + Sync,
    convert: impl Fn(&[T], &mut [f32]) + Sync,
) -> Vec<f32> {
    /// Values of a task, and those that are converted at a time.
    const TASK: usize = 1 << 16;
    const STRETCH: usize = 512;
    let (elements, _) = bytes.as_chunks::<N>();
    let mut values = vec![0.0; elements.len()];
    let tasks = values.par_chunks_mut(TASK).zip(elements.par_chunks(TASK));
    tasks.for_each(|(values, elements)| {
        let mut stretch = [T::default(); STRETCH];
        for (values, elements) in values.chunks_mut(STRETCH).zip(elements.chunks(STRETCH)) {
            let stretch = &mut stretch[..elements.len()];
            for (to, from) in stretch.iter_mut().zip(elements) {
                *to = element(*from);
            }
            convert(stretch, values);
        }
    });
    values
}

/// Little-endian elements of `N` bytes each.
fn read<const N: usize, T>(bytes: &[u8], element: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|chunk| element(*chunk)).collect()
}
