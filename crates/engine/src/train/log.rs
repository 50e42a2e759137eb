//! `log.jsonl`: one line every few steps, for people and plots.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::TrainError;
use base::files::write_bytes;

/// The file's name in a run folder.
pub const LOG: &str = "log.jsonl";

/// Sums since the last line. They go into checkpoints: the next line of a run that goes on is that of an unbroken one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    steps: u64,
    loss: f64,
    grad_norm: f64,
    metrics: BTreeMap<String, (f64, u64)>,
}

impl Window {
    pub fn add(&mut self, loss: f64, grad_norm: f64, metrics: &[(&'static str, f32)]) {
        self.steps += 1;
        self.loss += loss;
        self.grad_norm += grad_norm;
        for (name, value) in metrics {
            let sum = self.metrics.entry((*name).to_owned()).or_default();
            sum.0 += f64::from(*value);
            sum.1 += 1;
        }
    }

    /// The mean loss, NaN when no step was added.
    pub fn loss(&self) -> f64 {
        self.loss / self.steps as f64
    }

    /// The line's fields: means over the window. What is not finite becomes `null`.
    pub fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("loss".into(), json!(self.loss()));
        fields.insert(
            "grad_norm".into(),
            json!(self.grad_norm / self.steps as f64),
        );
        for (name, (sum, count)) in &self.metrics {
            fields.insert(name.clone(), json!(sum / *count as f64));
        }
        fields
    }
}

/// The log of one run, open for appending.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Opens the log in `folder`, keeping the lines up to step `step`: what came later will be done again.
    pub fn open(folder: &Path, step: u64) -> Result<Self, TrainError> {
        let path = folder.join(LOG);
        let failed = |source| TrainError::Folder {
            path: path.clone(),
            source,
        };
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            text => text.map_err(failed)?,
        };
        let kept: String = text
            .lines()
            .filter(|line| step > 0 && step_of(line).is_some_and(|at| at <= step))
            .flat_map(|line| [line, "\n"])
            .collect();
        write_bytes(&path, kept.as_bytes())?;
        let file = File::options().append(true).open(&path).map_err(failed)?;
        Ok(Self { path, file })
    }

    /// Appends one line.
    pub fn line(&mut self, fields: Map<String, Value>) -> Result<(), TrainError> {
        let line = format!("{}\n", Value::Object(fields));
        self.file
            .write_all(line.as_bytes())
            .map_err(|source| TrainError::Folder {
                path: self.path.clone(),
                source,
            })
    }
}

fn step_of(line: &str) -> Option<u64> {
    serde_json::from_str::<Value>(line).ok()?["step"].as_u64()
}
