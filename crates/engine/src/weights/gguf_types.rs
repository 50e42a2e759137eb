//! Values of a GGUF file's metadata, read from untrusted bytes.

use std::ops::Range;

/// A value of the metadata. Integers of all sizes are alike, floats too.
#[derive(Clone, Debug, PartialEq)]
pub enum GgufValue {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text; bytes that are not UTF-8 are replaced.
    Text(String),
    /// A list of integers or truth values.
    Ints(Vec<i64>),
    /// A list of floats.
    Floats(Vec<f64>),
    /// A list of texts, as bytes: tokens of a vocabulary need not be UTF-8.
    Texts(Vec<Vec<u8>>),
}

impl GgufValue {
    /// The integer, if it is one.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(value) => Some(value),
            _ => None,
        }
    }

    /// The list of texts, if it is one.
    pub fn texts(&self) -> Option<&[Vec<u8>]> {
        match self {
            Self::Texts(values) => Some(values),
            _ => None,
        }
    }

    /// The list of integers, if it is one.
    pub fn ints(&self) -> Option<&[i64]> {
        match self {
            Self::Ints(values) => Some(values),
            _ => None,
        }
    }

    /// The list of floats, if it is one.
    pub fn floats(&self) -> Option<&[f64]> {
        match self {
            Self::Floats(values) => Some(values),
            _ => None,
        }
    }
}

/// Reads little-endian values one after the other; what is claimed to follow is checked before room is made for it.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Read<T> = Result<T, String>;

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        let bytes = self
            .at
            .checked_add(len)
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or_else(|| format!("it ends within its header, at byte {}", self.bytes.len()))?;
        self.at += len;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number of things that take at least `size` bytes each.
    pub(super) fn count(&mut self, what: &str, size: usize) -> Read<usize> {
        let count = self.u64()?;
        usize::try_from(count)
            .ok()
            .filter(|count| {
                count
                    .checked_mul(size)
                    .is_some_and(|size| size <= self.left())
            })
            .ok_or_else(|| format!("it claims {count} {what}, more than it has room for"))
    }

    fn bytes(&mut self) -> Read<&'a [u8]> {
        let len = self.count("bytes of a text", 1)?;
        self.take(len)
    }

    pub(super) fn text(&mut self) -> Read<String> {
        self.bytes()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// A value of a type's number.
    pub(super) fn value(&mut self, kind: u32) -> Read<GgufValue> {
        Ok(match kind {
            6 => GgufValue::Float(f64::from(f32::from_le_bytes(self.array()?))),
            12 => GgufValue::Float(f64::from_le_bytes(self.array()?)),
            7 => GgufValue::Bool(self.array::<1>()? != [0]),
            8 => GgufValue::Text(self.text()?),
            9 => self.list()?,
            _ => GgufValue::Int(self.int(kind)?),
        })
    }

    fn int(&mut self, kind: u32) -> Read<i64> {
        Ok(match kind {
            0 | 7 => i64::from(u8::from_le_bytes(self.array()?)),
            1 => i64::from(i8::from_le_bytes(self.array()?)),
            2 => i64::from(u16::from_le_bytes(self.array()?)),
            3 => i64::from(i16::from_le_bytes(self.array()?)),
            4 => i64::from(u32::from_le_bytes(self.array()?)),
            5 => i64::from(i32::from_le_bytes(self.array()?)),
            10 => i64::try_from(self.u64()?)
                .map_err(|_| String::from("a number in its metadata is above 2⁶³"))?,
            11 => i64::from_le_bytes(self.array()?),
            other => return Err(format!("its metadata has a value of unknown type {other}")),
        })
    }

    fn list(&mut self) -> Read<GgufValue> {
        let kind = self.u32()?;
        let size = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            9 => return Err("its metadata has a list of lists".into()),
            other => return Err(format!("its metadata has a list of unknown type {other}")),
        };
        let count = self.count("values of a list", size)?;
        let all: Range<usize> = 0..count;
        Ok(match kind {
            8 => GgufValue::Texts(
                all.map(|_| self.bytes().map(<[u8]>::to_vec))
                    .collect::<Read<_>>()?,
            ),
            6 => GgufValue::Floats(
                all.map(|_| self.array().map(f32::from_le_bytes).map(f64::from))
                    .collect::<Read<_>>()?,
            ),
            12 => GgufValue::Floats(
                all.map(|_| self.array().map(f64::from_le_bytes))
                    .collect::<Read<_>>()?,
            ),
            _ => GgufValue::Ints(all.map(|_| self.int(kind)).collect::<Read<_>>()?),
        })
    }
}
