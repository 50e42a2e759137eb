//! The official tool's YAML files.

mod file;

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::matching::Method;
use super::metrics::detection::Layout;
use super::module::ModuleConfig;
use super::score::Metrics;
use file::File;

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
        /// Attributes that a page must have.
        filter: Vec<(String, String)>,
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
    let text = base::files::read_to_string(path).map_err(|source| ConfigError::Open {
        path: path.to_owned(),
        source,
    })?;
    let yaml: Value = serde_saphyr::from_str(&text).map_err(|error| ConfigError::Yaml {
        path: path.to_owned(),
        problem: base::command::one_line(&error.to_string()),
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::omnidocbench::score::Section;

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
