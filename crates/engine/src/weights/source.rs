//! Where tensors come from: one file, several, or part of one. Values stay where they are until they are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::{Deref, Range};
use std::path::{Component, Path};
use std::sync::Arc;

use kernels::{DenseKind, QuantKind};
use safetensors::Dtype;

use super::{Gguf, Weights, WeightsError};

/// Longest index of shards that is read, in bytes.
const INDEX: u64 = 64 << 20;

/// How a tensor's values are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TensorKind {
    /// One float after the other.
    Dense(DenseKind),
    /// Quantised blocks.
    Quant(QuantKind),
    /// Something that is not read here; its name.
    Other(String),
}

/// A tensor where it lies.
#[derive(Clone, Debug)]
pub struct StoredTensor {
    /// How its values are stored.
    pub kind: TensorKind,
    /// Its shape, the slowest axis first.
    pub shape: Vec<usize>,
    /// Its bytes.
    pub bytes: SharedBytes,
}

/// Named tensors.
pub trait TensorSource {
    /// The path, for messages.
    fn origin(&self) -> &str;

    /// All names, sorted.
    fn names(&self) -> Vec<String>;

    /// The shape of `name`; none when there is no such tensor.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;

    /// The tensor called `name`.
    ///
    /// # Errors
    /// [`WeightsError::Absent`].
    fn stored(&self, name: &str) -> Result<StoredTensor, WeightsError>;
}

/// Bytes of a mapped file, or others in memory. Cheap to clone; they keep the file open.
#[derive(Clone, Debug)]
pub struct SharedBytes {
    owner: Owner,
    range: Range<usize>,
}

#[derive(Clone, Debug)]
enum Owner {
    Safetensors(Weights),
    Gguf(Gguf),
    Memory(Arc<[u8]>),
}

impl SharedBytes {
    /// Bytes in memory.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self {
            range: 0..bytes.len(),
            owner: Owner::Memory(bytes.into()),
        }
    }

    pub(super) fn gguf(file: Gguf, range: Range<usize>) -> Self {
        Self {
            owner: Owner::Gguf(file),
            range,
        }
    }

    /// Some of the bytes; none where they are not there.
    pub fn part(&self, range: Range<usize>) -> Option<Self> {
        let from = self.range.start.checked_add(range.start)?;
        let to = self.range.start.checked_add(range.end)?;
        (from <= to && to <= self.range.end).then(|| Self {
            owner: self.owner.clone(),
            range: from..to,
        })
    }

    /// Tells the system that these bytes will not be read soon.
    pub fn release(&self) {
        if let Owner::Gguf(file) = &self.owner {
            file.release(&self.range);
        }
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let file = match &self.owner {
            Owner::Safetensors(weights) => weights.file(),
            Owner::Gguf(file) => file.file(),
            Owner::Memory(bytes) => bytes,
        };
        file.get(self.range.clone()).unwrap_or_default()
    }
}

impl TensorSource for Weights {
    fn origin(&self) -> &str {
        Weights::origin(self)
    }

    fn names(&self) -> Vec<String> {
        Weights::names(self).map(str::to_owned).collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        Weights::shape(self, name).map(<[usize]>::to_vec)
    }

    fn stored(&self, name: &str) -> Result<StoredTensor, WeightsError> {
        let (dtype, shape) = self.kind(name).ok_or_else(|| self.absent(name))?;
        Ok(StoredTensor {
            kind: match dtype {
                Dtype::F32 => TensorKind::Dense(DenseKind::F32),
                Dtype::F16 => TensorKind::Dense(DenseKind::F16),
                Dtype::BF16 => TensorKind::Dense(DenseKind::Bf16),
                other => TensorKind::Other(format!("{other:?}")),
            },
            shape: shape.to_vec(),
            bytes: match self.place(name) {
                Some(range) => SharedBytes {
                    owner: Owner::Safetensors(self.clone()),
                    range,
                },
                None => SharedBytes::from_vec(self.stored_bytes(name)?.into_owned()),
            },
        })
    }
}

/// A checkpoint in several safetensors files, held together by an index (`model.safetensors.index.json`).
#[derive(Debug)]
pub struct Sharded {
    origin: String,
    shards: Vec<Weights>,
    /// Shard of each tensor.
    places: BTreeMap<String, usize>,
}

impl Sharded {
    /// Maps all files that the index at `path` names; they lie beside it.
    ///
    /// # Errors
    /// [`WeightsError::Read`] and [`WeightsError::Corrupt`] as for [`Weights::open`], [`WeightsError::Unfit`] when the
    /// index is not one or names what its files do not hold.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let read = |source| WeightsError::Read {
            path: path.to_owned(),
            source,
        };
        let origin = path.display().to_string();
        let unfit = |reason: String| WeightsError::Unfit {
            origin: origin.clone(),
            reason,
        };
        if fs::metadata(path).map_err(read)?.len() > INDEX {
            return Err(unfit("an index of shards is not that long".into()));
        }
        #[derive(serde::Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let index: Index = serde_json::from_slice(&fs::read(path).map_err(read)?)
            .map_err(|error| unfit(format!("it is not an index of shards ({error})")))?;
        let files: BTreeSet<&str> = index.weight_map.values().map(String::as_str).collect();
        let mut shards = Vec::new();
        let mut numbers = BTreeMap::new();
        for name in files {
            let mut parts = Path::new(name).components();
            if !matches!(
                (parts.next(), parts.next()),
                (Some(Component::Normal(_)), None)
            ) {
                return Err(unfit(format!(
                    "it names `{name}`, which is not a file beside it"
                )));
            }
            numbers.insert(name, shards.len());
            shards.push(Weights::open(path.with_file_name(name))?);
        }
        let mut places = BTreeMap::new();
        for (tensor, file) in &index.weight_map {
            let number = numbers.get(file.as_str()).copied().unwrap_or_default();
            if !shards
                .get(number)
                .is_some_and(|shard: &Weights| shard.contains(tensor))
            {
                return Err(unfit(format!("`{file}` does not hold `{tensor}`")));
            }
            places.insert(tensor.clone(), number);
        }
        Ok(Self {
            origin,
            shards,
            places,
        })
    }

    /// All shards as one file.
    ///
    /// # Errors
    /// As [`Weights::joined`].
    pub fn joined(self) -> Result<Weights, WeightsError> {
        Weights::joined(&self.origin, self.shards)
    }

    fn shard(&self, name: &str) -> Option<&Weights> {
        self.shards.get(*self.places.get(name)?)
    }
}

impl TensorSource for Sharded {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn names(&self) -> Vec<String> {
        self.places.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        TensorSource::shape(self.shard(name)?, name)
    }

    fn stored(&self, name: &str) -> Result<StoredTensor, WeightsError> {
        match self.shard(name) {
            Some(shard) => shard.stored(name),
            None => Err(WeightsError::Absent {
                origin: self.origin.clone(),
                name: name.to_owned(),
                hint: String::new(),
            }),
        }
    }
}

/// The tensors of a source whose names begin with a prefix, without it: a language model inside a larger one.
pub struct Within<'a> {
    source: &'a dyn TensorSource,
    prefix: &'a str,
    except: &'a [&'a str],
}

impl<'a> Within<'a> {
    /// The tensors below `prefix` (with its dot), but not those whose shorter names begin with one of `except`.
    pub fn new(source: &'a dyn TensorSource, prefix: &'a str, except: &'a [&'a str]) -> Self {
        Self {
            source,
            prefix,
            except,
        }
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

impl TensorSource for Within<'_> {
    fn origin(&self) -> &str {
        self.source.origin()
    }

    fn names(&self) -> Vec<String> {
        self.source
            .names()
            .iter()
            .filter_map(|name| name.strip_prefix(self.prefix))
            .filter(|name| !self.except.iter().any(|except| name.starts_with(except)))
            .map(str::to_owned)
            .collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.source.shape(&self.full(name))
    }

    fn stored(&self, name: &str) -> Result<StoredTensor, WeightsError> {
        self.source.stored(&self.full(name))
    }
}
