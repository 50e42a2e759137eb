//! Flower's wire objects: the bytes of records and arrays, each known by the SHA-256 of its bytes (flwr 1.41).
//!
//! An object is `Type SP children SP length NUL body`; children are ids joined by commas, each once.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{LearningError, Result};

/// Bytes of an array that one chunk holds at most.
pub const CHUNK: usize = 20 * 1024 * 1024;

/// One object and the objects that it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// `RecordDict`, `ArrayRecord`, `Array`, `ArrayChunk`, `MetricRecord` or `ConfigRecord`.
    pub kind: &'static str,
    /// SHA-256 of `content`, in hex.
    pub id: String,
    /// Header and body.
    pub content: Vec<u8>,
    /// What it refers to, in order.
    pub children: Vec<Object>,
}

impl Object {
    fn new(kind: &'static str, children: Vec<Self>, body: &[u8]) -> Self {
        let mut unique: Vec<Self> = Vec::with_capacity(children.len());
        for child in children {
            if unique.iter().all(|known| known.id != child.id) {
                unique.push(child);
            }
        }
        let ids: Vec<&str> = unique.iter().map(|child| child.id.as_str()).collect();
        let mut content = format!("{kind} {} {}\0", ids.join(","), body.len()).into_bytes();
        content.extend_from_slice(body);
        let digest = Sha256::digest(&content);
        Self {
            kind,
            id: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            content,
            children: unique,
        }
    }

    /// This object and all below it, depth first.
    pub fn depth_first(&self) -> Vec<&Self> {
        let below = self.children.iter().flat_map(Self::depth_first);
        std::iter::once(self).chain(below).collect()
    }

    /// An array of f32 values in a NumPy file, cut into chunks.
    pub fn array(shape: &[usize], values: &[f32]) -> Self {
        let file = npy(shape, values);
        let chunks: Vec<Self> = file
            .chunks(CHUNK)
            .map(|chunk| Self::new("ArrayChunk", Vec::new(), chunk))
            .collect();
        let mut known: Vec<&str> = Vec::new();
        let mut places = Vec::new();
        for chunk in &chunks {
            let place = known.iter().position(|id| *id == chunk.id);
            places.push(place.unwrap_or_else(|| {
                known.push(&chunk.id);
                known.len() - 1
            }));
        }
        let body = format!(
            "{{\"dtype\": \"float32\", \"shape\": {}, \"stype\": \"numpy.ndarray\", \"arraychunk_ids\": {}}}",
            list(shape),
            list(&places)
        );
        Self::new("Array", chunks, body.as_bytes())
    }

    /// A record of arrays by name, in order.
    pub fn arrays(arrays: &[(String, Self)]) -> Self {
        Self::named("ArrayRecord", arrays)
    }

    /// A record of records by name, in order.
    pub fn records(records: &[(String, Self)]) -> Self {
        Self::named("RecordDict", records)
    }

    fn named(kind: &'static str, items: &[(String, Self)]) -> Self {
        let pairs: Vec<String> = items
            .iter()
            .map(|(name, item)| format!("{}: \"{}\"", ascii_json(name), item.id))
            .collect();
        let body = format!("{{{}}}", pairs.join(", "));
        let children = items.iter().map(|(_, item)| item.clone()).collect();
        Self::new(kind, children, body.as_bytes())
    }

    /// A record of numbers and lists of numbers by name, in the order of `values`.
    ///
    /// # Errors
    /// For anything else in it.
    pub fn metrics(values: &[(String, Scalar)]) -> Result<Self> {
        let plain = |scalar: &Scalar| {
            !matches!(scalar, Scalar::Bool(_) | Scalar::Text(_) | Scalar::Bytes(_))
        };
        match values.iter().find(|(_, scalar)| !plain(scalar)) {
            Some((name, _)) => Err(LearningError::invalid(format!(
                "the metric `{name}` is not a number: put it in a config record"
            ))),
            None => Ok(Self::new("MetricRecord", Vec::new(), &protobuf(values))),
        }
    }

    /// A record of settings by name, in the order of `values`.
    pub fn config(values: &[(String, Scalar)]) -> Self {
        Self::new("ConfigRecord", Vec::new(), &protobuf(values))
    }
}

/// A value of a metric or config record.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// A float.
    Double(f64),
    /// A whole number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Floats.
    Doubles(Vec<f64>),
    /// Whole numbers.
    Ints(Vec<i64>),
}

impl Scalar {
    /// The value that JSON holds; floats with a point stay floats.
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::String(text) => Self::Text(text.clone()),
            Value::Number(number) => match number.as_i64() {
                Some(whole) => Self::Int(whole),
                None => Self::Double(number.as_f64()?),
            },
            Value::Array(items) => match items.iter().map(Value::as_i64).collect() {
                Some(whole) => Self::Ints(whole),
                None => Self::Doubles(items.iter().map(Value::as_f64).collect::<Option<_>>()?),
            },
            _ => return None,
        })
    }

    /// The protobuf message: one field, numbered by type.
    fn message(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Double(value) => {
                out.push(1 << 3 | 1);
                out.extend(value.to_le_bytes());
            }
            Self::Int(value) => {
                out.push(2 << 3);
                varint(&mut out, zigzag(*value));
            }
            Self::Bool(value) => out.extend([4 << 3, u8::from(*value)]),
            Self::Text(text) => field(&mut out, 5, text.as_bytes()),
            Self::Bytes(bytes) => field(&mut out, 6, bytes),
            Self::Doubles(values) => {
                let packed: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                field(&mut out, 21, &packed_list(&packed));
            }
            Self::Ints(values) => {
                let mut packed = Vec::new();
                values.iter().for_each(|v| varint(&mut packed, zigzag(*v)));
                field(&mut out, 22, &packed_list(&packed));
            }
        }
        out
    }
}

/// A message with a packed list as its field 1; empty where the list is.
fn packed_list(packed: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if !packed.is_empty() {
        field(&mut out, 1, packed);
    }
    out
}

/// A map of names and values: entries of field 1.
fn protobuf(values: &[(String, Scalar)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in values {
        let mut entry = Vec::new();
        field(&mut entry, 1, name.as_bytes());
        field(&mut entry, 2, &value.message());
        field(&mut out, 1, &entry);
    }
    out
}

/// A field of bytes.
fn field(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A list as Python's `json` writes it.
fn list(values: &[usize]) -> String {
    let texts: Vec<String> = values.iter().map(usize::to_string).collect();
    format!("[{}]", texts.join(", "))
}

/// A JSON text with everything outside ASCII escaped, as Python's `json` writes it.
fn ascii_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    let mut out = String::with_capacity(quoted.len());
    for c in quoted.chars() {
        match c.is_ascii() {
            true => out.push(c),
            false => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out
}

/// A NumPy file, version 1, of little-endian f32 values in row-major order.
fn npy(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let numbers: Vec<String> = shape.iter().map(usize::to_string).collect();
    let tuple = match &numbers[..] {
        [one] => format!("({one},)"),
        many => format!("({})", many.join(", ")),
    };
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple}, }}");
    // NumPy leaves room for the first axis to grow to 21 digits, then fills up to a multiple of 64 bytes.
    if let Some(first) = numbers.first() {
        header.push_str(&" ".repeat(21usize.saturating_sub(first.len())));
    }
    let fill = (64 - (10 + header.len() + 1) % 64) % 64;
    header.push_str(&" ".repeat(fill));
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    out
}
