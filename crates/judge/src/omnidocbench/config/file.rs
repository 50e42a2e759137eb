//! What the sections of a configuration say.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{ConfigError, Task};
use crate::omnidocbench::Protocol;
use crate::omnidocbench::cdm::Renderer;
use crate::omnidocbench::matching::Method;
use crate::omnidocbench::metrics::detection::Layout;
use crate::omnidocbench::metrics::html::HtmlParser;
use crate::omnidocbench::module::{Module, ModuleConfig};
use crate::omnidocbench::score::{Metric, Metrics, Section};

/// A configuration and its path, which errors name.
pub(super) struct File<'a> {
    pub path: &'a Path,
}

impl File<'_> {
    pub fn missing(&self, field: &str) -> ConfigError {
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

    pub fn task(&self, name: &str, section: &Value) -> Result<Task, ConfigError> {
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
                filter: filter(data),
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
        // A list of categories, or the name of one.
        let names = match find(data, "ground_truth.category_filter") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(name)) => vec![name.as_str()],
            _ => Vec::new(),
        };
        let metrics = find(section, "metrics").ok_or_else(|| self.missing("metrics"))?;
        let pred = find(data, "prediction.data_key").and_then(Value::as_str);
        Ok(Task::Module {
            gt,
            config: ModuleConfig {
                module,
                data_key: key.to_owned(),
                pred_key: pred.unwrap_or("pred").to_owned(),
                categories: names.into_iter().map(str::to_owned).collect(),
                metrics: self.metric_list(metrics)?,
                protocol: Protocol::default(),
                renderer: Renderer::default(),
                html_parser: HtmlParser::default(),
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
