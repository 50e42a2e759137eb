//! The configuration of a whole run, in YAML.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::filter::Rules;

/// All steps of a run.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Pages: JSON lines `{url, text}` or a folder.
    pub pages: PathBuf,
    /// Folder for the files of all steps.
    pub out: PathBuf,
    /// Seeds of the recall step; without them every page goes on.
    #[serde(default)]
    pub recall: Option<RecallConfig>,
    /// Languages to keep; all when empty.
    #[serde(default)]
    pub languages: Vec<String>,
    /// Shares of pages to keep, by language.
    #[serde(default)]
    pub shares: BTreeMap<String, f64>,
    /// A classifier made by `syncode lang --train`.
    #[serde(default)]
    pub lang_model: Option<PathBuf>,
    /// Writes questions.
    pub asker: ModelConfig,
    /// Writes answers.
    pub answerer: ModelConfig,
    /// Writes tests; the asker where absent.
    #[serde(default)]
    pub tester: Option<ModelConfig>,
    /// Scores candidates; the asker where absent.
    #[serde(default)]
    pub scorer: Option<ModelConfig>,
    /// Candidates a question.
    #[serde(default = "four")]
    pub candidates: u64,
    /// What is filtered at the end.
    #[serde(default)]
    pub filter: Rules,
    /// Files that must not leak into the data.
    #[serde(default)]
    pub benchmarks: Vec<PathBuf>,
    /// 1 or 2: which of the paper's two training stages the data is for.
    #[serde(default = "one")]
    pub stage: u64,
    /// Records at a time.
    #[serde(default = "four")]
    pub workers: u64,
}

fn four() -> u64 {
    4
}

fn one() -> u64 {
    1
}

/// Seeds of the recall step.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecallConfig {
    /// Pages about code.
    pub positives: PathBuf,
    /// Other pages.
    pub negatives: PathBuf,
    /// Probability from which a page is about code.
    #[serde(default = "half")]
    pub threshold: f32,
}

fn half() -> f32 {
    0.5
}

/// A language model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Address of an OpenAI-compatible server, or `file:REPLIES.jsonl`.
    pub url: String,
    /// The model's name there.
    #[serde(default)]
    pub model: String,
}

impl RunConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// One line with the cause.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|cause| format!("cannot read `{shown}`: {cause}: check the path"))?;
        let config: Self = serde_saphyr::from_str(&text).map_err(|error| {
            let cause = error.to_string();
            format!(
                "`{shown}` is no configuration: {}",
                cause.lines().next().unwrap_or_default()
            )
        })?;
        match (1..=64).contains(&config.candidates) && (1..=64).contains(&config.workers) {
            true => Ok(config),
            false => Err(format!(
                "`{shown}`: `candidates` and `workers` must be from 1 to 64"
            )),
        }
    }
}
