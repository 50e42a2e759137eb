//! The official tool's YAML files.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Protocol;
use super::matching::Method;
use super::metrics::detection::Layout;
use super::module::{Module, ModuleConfig};
use super::score::{Metric, Metrics, Section};

/// One evaluation that a file asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Pages end to end.
    Pages {
        /// The ground truth: a JSON list of pages.
        gt: PathBuf,
        /// The folder of predictions.
        pred: PathBuf,
        /// How pieces are matched.
        method: Method,
        /// What is scored.
        metrics: Metrics,
        /// Attributes that a page must have.
        filter: Vec<(String, String)>,
    },
    /// Markdown against markdown.
    Markdown {
        /// The folder of annotated pages.
        gt: PathBuf,
        /// The folder of predictions.
        pred: PathBuf,
        /// The JSON list of pages that names them and their attributes.
        pages: PathBuf,
        /// How pieces are matched.
        method: Method,
        /// What is scored.
        metrics: Metrics,
    },
    /// Single blocks.
    Module {
        /// The JSON list of pages that holds both sides.
        gt: PathBuf,
        /// What to compare.
        config: ModuleConfig,
    },
    /// Boxes.
    Detection {
        /// The JSON list of pages.
        gt: PathBuf,
        /// The detected boxes.
        pred: PathBuf,
        /// Classes and what leads to them.
        layout: Layout,
    },
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be opened.
    #[error("cannot read `{}`: {source}: check the path", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file is no YAML.
    #[error("`{}` is not YAML: {problem}", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
    /// Something is missing.
    #[error("`{}` has no `{field}`: add it as in the official examples", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What is missing.
        field: String,
    },
    /// A value that is not known.
    #[error("`{}`: `{value}` is no {what}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What it is.
        value: String,
    },
}

/// Reads a configuration: all evaluations that it asks for. Paths in it count from the folder that the program runs in,
/// as in the official tool.
///
/// # Errors
/// [`ConfigError`].
pub fn read(path: &Path) -> Result<Vec<Task>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Open {
        path: path.to_owned(),
        source,
    })?;
    let yaml: Value = serde_saphyr::from_str(&text).map_err(|error| ConfigError::Yaml {
        path: path.to_owned(),
        problem: engine::command::one_line(&error.to_string()),
    })?;
    let file = File { path };
    let sections = yaml.as_object().into_iter().flatten();
    let tasks: Vec<Task> = sections
        .map(|(name, section)| file.task(name, section))
        .collect::<Result<_, _>>()?;
    match tasks.is_empty() {
        true => Err(file.missing("end2end_eval")),
        false => Ok(tasks),
    }
}

struct File<'a> {
    path: &'a Path,
}

impl File<'_> {
    fn missing(&self, field: &str) -> ConfigError {
        ConfigError::Missing {
            path: self.path.to_owned(),
            field: field.to_owned(),
        }
    }

    fn unknown(&self, what: &'static str, value: &str) -> ConfigError {
        ConfigError::Unknown {
            path: self.path.to_owned(),
            what,
            value: value.to_owned(),
        }
    }

    /// The text at a dotted place.
    fn text<'v>(&self, value: &'v Value, at: &str) -> Result<&'v str, ConfigError> {
        let found = find(value, at).and_then(Value::as_str);
        found.ok_or_else(|| self.missing(at))
    }

    fn file(&self, value: &Value, at: &str) -> Result<PathBuf, ConfigError> {
        self.text(value, at).map(PathBuf::from)
    }

    fn task(&self, name: &str, section: &Value) -> Result<Task, ConfigError> {
        let data = find(section, "dataset").ok_or_else(|| self.missing("dataset"))?;
        let gt = self.file(data, "ground_truth.data_path")?;
        let kind = self.text(data, "dataset_name").unwrap_or("");
        match name {
            "end2end_eval" if kind.contains("md2md") => Ok(Task::Markdown {
                gt,
                pred: self.file(data, "prediction.data_path")?,
                pages: self.file(data, "ground_truth.page_info")?,
                method: self.method(data)?,
                metrics: self.metrics(section)?,
            }),
            "end2end_eval" => Ok(Task::Pages {
                gt,
                pred: self.file(data, "prediction.data_path")?,
                method: self.method(data)?,
                metrics: self.metrics(section)?,
                filter: filter(data),
            }),
            "detection_eval" => Ok(Task::Detection {
                gt,
                pred: self.file(data, "prediction.data_path")?,
                layout: self.layout(section)?,
            }),
            // The official examples spell it so.
            "recogition_eval" | "recognition_eval" => self.module(section, data, gt),
            _ => Err(self.unknown("evaluation", name)),
        }
    }

    fn method(&self, data: &Value) -> Result<Method, ConfigError> {
        match find(data, "match_method").and_then(Value::as_str) {
            None => Ok(Method::Quick),
            Some(name) => Method::named(name).ok_or_else(|| self.unknown("match method", name)),
        }
    }

    fn metric_list(&self, list: &Value) -> Result<Vec<Metric>, ConfigError> {
        let names = list
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let metric = |name| Metric::named(name).ok_or_else(|| self.unknown("metric", name));
        names.map(metric).collect()
    }

    fn metrics(&self, section: &Value) -> Result<Metrics, ConfigError> {
        let list = find(section, "metrics").and_then(Value::as_object);
        let list = list.ok_or_else(|| self.missing("metrics"))?;
        let mut out = Vec::new();
        for section in Section::ALL {
            if let Some(metrics) = list.get(section.name()) {
                let names = metrics.get("metric").unwrap_or(metrics);
                out.push((section, self.metric_list(names)?));
            }
        }
        Ok(Metrics(out))
    }

    fn layout(&self, section: &Value) -> Result<Layout, ConfigError> {
        let layout = find(section, "categories").or_else(|| find(section, "dataset.categories"));
        let layout = layout.ok_or_else(|| self.missing("categories"))?;
        serde_json::from_value(layout.clone()).map_err(|error| ConfigError::Yaml {
            path: self.path.to_owned(),
            problem: error.to_string(),
        })
    }

    fn module(&self, section: &Value, data: &Value, gt: PathBuf) -> Result<Task, ConfigError> {
        let key = self.text(data, "ground_truth.data_key")?;
        let kind = find(data, "category_type")
            .and_then(Value::as_str)
            .unwrap_or(key);
        let module = match kind {
            "text" => Module::Text,
            "table" | "html" => Module::Table,
            "formula" | "latex" => Module::Formula,
            _ => return Err(self.unknown("category type", kind)),
        };
        let names = find(data, "ground_truth.category_filter").and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        let metrics = find(section, "metrics").ok_or_else(|| self.missing("metrics"))?;
        let pred = find(data, "prediction.data_key").and_then(Value::as_str);
        Ok(Task::Module {
            gt,
            config: ModuleConfig {
                module,
                data_key: key.to_owned(),
                pred_key: pred.unwrap_or("pred").to_owned(),
                categories: names.map(str::to_owned).collect(),
                metrics: self.metric_list(metrics)?,
                protocol: Protocol::default(),
            },
        })
    }
}

fn filter(data: &Value) -> Vec<(String, String)> {
    let pairs = find(data, "filter").and_then(Value::as_object);
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let pairs = pairs.into_iter().flatten();
    pairs
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

/// The value at a dotted place; null counts as absent.
fn find<'v>(value: &'v Value, at: &str) -> Option<&'v Value> {
    let found = at.split('.').try_fold(value, |value, key| value.get(key))?;
    (!found.is_null()).then_some(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tasks(text: &str) -> Result<Vec<Task>, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn an_end_to_end_file_is_read() {
        let text = "end2end_eval:
  metrics:
    text_block:
      metric: [Edit_dist, BLEU]
    table: {metric: [TEDS]}
  dataset:
    dataset_name: end2end_dataset
    ground_truth: {data_path: gt.json}
    prediction: {data_path: md}
    match_method: simple_match
    filter: {language: english}
";
        let found = tasks(text).unwrap();
        let Task::Pages {
            method,
            metrics,
            filter,
            ..
        } = &found[0]
        else {
            panic!("{found:?}");
        };
        assert_eq!(*method, Method::Simple);
        assert_eq!(metrics.of(Section::Text).unwrap().len(), 2);
        assert_eq!(metrics.of(Section::Formula), None);
        assert_eq!(filter[0].1, "english");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let line = |text: &str| tasks(text).unwrap_err().to_string();
        assert!(line("a: [").contains("is not YAML"));
        assert!(line("end2end_eval: {dataset: {}}").contains("ground_truth.data_path"));
        assert!(line("").contains("end2end_eval"));
    }
}
