//! What `torch.save` writes: zip files of today, the older single stream, tar files. The pickle inside is read as data:
//! nothing is called, and an object of an unexpected class is refused by its name.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use pytorch_reader::{DType, PickleValue, PytorchReader};
use safetensors::Dtype;
use serde_json::{Map, Value};

use super::WeightsError;
use super::file::{Entry, Place};

/// Modules whose objects may stand beside the tensors of a checkpoint; they are passed over.
const PASSED_OVER: [&str; 9] = [
    "torch",
    "numpy",
    "collections",
    "argparse.Namespace",
    "pathlib",
    "omegaconf",
    "typing",
    "lightning",
    "pytorch_lightning",
];

/// The wrapper that training scripts put around a model's tensors most often.
const STATE_DICT: &str = "state_dict.";

type Entries = BTreeMap<String, Entry>;

/// Whether a file starts as what `torch.save` writes.
pub(super) fn is_checkpoint(bytes: &[u8]) -> bool {
    let safetensors = bytes.get(8) == Some(&b'{');
    bytes.starts_with(b"PK\x03\x04")
        || bytes.get(257..262) == Some(b"ustar")
        || (bytes.first() == Some(&0x80) && !safetensors)
}

/// The tensors of the checkpoint at `path` by the dotted path of their keys, and its other entries as JSON by top-level key.
/// Where there is a `state_dict`, its tensors alone, by their names in it.
///
/// # Errors
/// [`WeightsError::Torch`].
pub(super) fn read(path: &Path) -> Result<(Entries, HashMap<String, String>), WeightsError> {
    let failed = |reason: String| error(&path.display().to_string(), reason);
    let reader = PytorchReader::new(path).map_err(|e| match e.to_string() {
        reason if reason.contains("No data.pkl") => WeightsError::foreign(
            &path.display().to_string(),
            "a ZIP archive without a checkpoint",
        ),
        reason => failed(again(reason)),
    })?;
    let data = PytorchReader::read_pickle_data(path, None).map_err(|e| failed(e.to_string()))?;
    if let Some(class) = refused(&data) {
        return Err(failed(format!(
            "it holds a `{class}`, which is not data and is never run; save the model's `state_dict()` alone"
        )));
    }
    let metadata = match data {
        PickleValue::Dict(entries) => entries
            .into_iter()
            .filter_map(|(key, value)| Some((key, json(value)?.to_string())))
            .collect(),
        _ => HashMap::new(),
    };
    let mut entries: Entries = reader
        .into_tensors()
        .into_iter()
        .map(|(name, tensor)| {
            let entry = Entry {
                dtype: dtype(tensor.dtype()),
                shape: tensor.shape().to_vec(),
                place: Place::Torch(tensor),
            };
            (name, entry)
        })
        .collect();
    if entries.keys().any(|name| name.starts_with(STATE_DICT)) {
        entries = entries
            .into_iter()
            .filter_map(|(name, entry)| Some((name.strip_prefix(STATE_DICT)?.to_owned(), entry)))
            .collect();
    }
    if entries.is_empty() {
        return Err(failed("it holds no tensors".into()));
    }
    Ok((entries, metadata))
}

/// The error of a checkpoint that cannot be read.
pub(super) fn error(origin: &str, reason: String) -> WeightsError {
    WeightsError::Torch {
        origin: origin.to_owned(),
        reason,
    }
}

fn again(reason: String) -> String {
    format!("{reason}; if the file is damaged, download or copy it again")
}

/// The class of the first object that is neither data nor [`PASSED_OVER`].
fn refused(value: &PickleValue) -> Option<&str> {
    match value {
        PickleValue::Unsupported(class) => {
            let known = PASSED_OVER.iter().any(|module| {
                class
                    .strip_prefix(module)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            });
            // Wide integers and the reader's own kinds carry no module.
            (!known && class.contains('.')).then_some(class.as_str())
        }
        PickleValue::List(items) => items.iter().find_map(refused),
        PickleValue::Dict(entries) => entries.values().find_map(refused),
        _ => None,
    }
}

/// Plain values as JSON; none for what is not a plain value.
fn json(value: PickleValue) -> Option<Value> {
    Some(match value {
        PickleValue::None => Value::Null,
        PickleValue::Bool(value) => value.into(),
        PickleValue::Int(value) => value.into(),
        PickleValue::Float(value) => value.into(),
        PickleValue::String(value) => value.into(),
        PickleValue::List(items) => Value::Array(items.into_iter().filter_map(json).collect()),
        PickleValue::Dict(entries) => {
            let plain: Map<String, Value> = entries
                .into_iter()
                .filter_map(|(key, value)| Some((key, json(value)?)))
                .collect();
            if plain.is_empty() {
                return None;
            }
            plain.into()
        }
        PickleValue::Bytes(_) | PickleValue::Unsupported(_) => return None,
    })
}

fn dtype(kind: DType) -> Dtype {
    match kind {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}
