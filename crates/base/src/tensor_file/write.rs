//! Writing safetensors: one deterministic byte order, whole files or none.

use std::collections::BTreeMap;
use std::path::Path;

use half::{bf16, f16};

use super::WeightsError;
use crate::files::write_atomic;

/// The element type in which floats are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Precision {
    /// 32-bit floats: exact.
    #[default]
    F32,
    /// IEEE half floats: 11 significant bits, up to 65504.
    F16,
    /// bfloat16: 8 significant bits, the range of f32.
    BF16,
}

impl Precision {
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
        }
    }
}

/// A safetensors file in the making. Equal contents give equal bytes.
#[derive(Clone, Debug, Default)]
pub struct TensorFile {
    tensors: BTreeMap<String, Tensor>,
    metadata: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct Tensor {
    dtype: &'static str,
    width: usize,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl TensorFile {
    /// An empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes `value` under `key` in the file's metadata.
    pub fn note(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.metadata.insert(key.into(), value.into());
    }

    /// Adds floats in row-major order.
    ///
    /// # Errors
    /// [`WeightsError::Content`] when `shape` does not hold `values`, [`WeightsError::Overflow`] when a
    /// finite value is too large for `precision`.
    pub fn floats(
        &mut self,
        name: &str,
        shape: &[usize],
        values: &[f32],
        precision: Precision,
    ) -> Result<(), WeightsError> {
        let halved = |finite: &dyn Fn(f32) -> bool| match values
            .iter()
            .find(|v| v.is_finite() && !finite(**v))
        {
            Some(&value) => Err(WeightsError::Overflow {
                name: name.to_owned(),
                value,
                precision: precision.name(),
            }),
            None => Ok(()),
        };
        let bytes = match precision {
            Precision::F32 => collect(values, |v| v.to_le_bytes()),
            Precision::F16 => {
                halved(&|v| f16::from_f32(v).is_finite())?;
                collect(values, |v| f16::from_f32(v).to_le_bytes())
            }
            Precision::BF16 => {
                halved(&|v| bf16::from_f32(v).is_finite())?;
                collect(values, |v| bf16::from_f32(v).to_le_bytes())
            }
        };
        let width = if precision == Precision::F32 { 4 } else { 2 };
        self.push(name, shape, precision.name(), width, bytes)
    }

    /// Adds 64-bit integers in row-major order.
    ///
    /// # Errors
    /// [`WeightsError::Content`] when `shape` does not hold `values`.
    pub fn ints(
        &mut self,
        name: &str,
        shape: &[usize],
        values: &[i64],
    ) -> Result<(), WeightsError> {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.push(name, shape, "I64", 8, bytes)
    }

    /// Adds bytes in row-major order.
    ///
    /// # Errors
    /// [`WeightsError::Content`] when `shape` does not hold `values`.
    pub fn bytes(
        &mut self,
        name: &str,
        shape: &[usize],
        values: Vec<u8>,
    ) -> Result<(), WeightsError> {
        self.push(name, shape, "U8", 1, values)
    }

    /// Adds truth values in row-major order.
    ///
    /// # Errors
    /// [`WeightsError::Content`] when `shape` does not hold `values`.
    pub fn bools(
        &mut self,
        name: &str,
        shape: &[usize],
        values: &[bool],
    ) -> Result<(), WeightsError> {
        let bytes = values.iter().map(|&v| u8::from(v)).collect();
        self.push(name, shape, "BOOL", 1, bytes)
    }

    fn push(
        &mut self,
        name: &str,
        shape: &[usize],
        dtype: &'static str,
        width: usize,
        bytes: Vec<u8>,
    ) -> Result<(), WeightsError> {
        let refuse = |reason: String| WeightsError::Content {
            name: name.to_owned(),
            reason,
        };
        let elements = shape.iter().product::<usize>();
        if elements * width != bytes.len() {
            let found = bytes.len() / width;
            return Err(refuse(format!("{found} values do not fill {shape:?}")));
        }
        let tensor = Tensor {
            dtype,
            width,
            shape: shape.to_vec(),
            bytes,
        };
        match self.tensors.insert(name.to_owned(), tensor) {
            Some(_) => Err(refuse("the name is taken".into())),
            None => Ok(()),
        }
    }

    /// The whole file in memory.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (header, order) = self.header();
        let mut out = header;
        for tensor in order {
            out.extend_from_slice(&tensor.bytes);
        }
        out
    }

    /// Writes the file at `path` atomically: the old one stands until the new one is whole on disk.
    ///
    /// # Errors
    /// [`WeightsError::Write`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), WeightsError> {
        let (header, order) = self.header();
        write_atomic(path, |out| {
            out.write_all(&header)?;
            order
                .iter()
                .try_for_each(|tensor| out.write_all(&tensor.bytes))
        })?;
        Ok(())
    }

    /// Length and JSON, padded to eight bytes, and the tensors in file order: widest first, then by name.
    fn header(&self) -> (Vec<u8>, Vec<&Tensor>) {
        let mut order: Vec<(&String, &Tensor)> = self.tensors.iter().collect();
        order.sort_by_key(|(name, tensor)| (std::cmp::Reverse(tensor.width), *name));
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut fields = Vec::with_capacity(order.len() + 1);
        if !self.metadata.is_empty() {
            let notes: Vec<String> = self
                .metadata
                .iter()
                .map(|(key, value)| format!("{}:{}", quoted(key), quoted(value)))
                .collect();
            fields.push(format!("\"__metadata__\":{{{}}}", notes.join(",")));
        }
        let mut offset = 0;
        for (name, tensor) in &order {
            let end = offset + tensor.bytes.len();
            fields.push(format!(
                "{}:{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{offset},{end}]}}",
                quoted(name),
                tensor.dtype,
                serde_json::Value::from(tensor.shape.clone()),
            ));
            offset = end;
        }
        let mut json = format!("{{{}}}", fields.join(",")).into_bytes();
        json.resize(json.len().next_multiple_of(8), b' ');
        let mut header = (json.len() as u64).to_le_bytes().to_vec();
        header.append(&mut json);
        (
            header,
            order.into_iter().map(|(_, tensor)| tensor).collect(),
        )
    }
}

fn collect<const N: usize>(values: &[f32], encode: impl Fn(f32) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&v| encode(v)).collect()
}
