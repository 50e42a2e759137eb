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
    /// An encoder with `/embeddings`: recall and a `lang_model` trained on it use its vectors.
    #[serde(default)]
    pub encoder: Option<ModelConfig>,
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
    /// Share of a repository's pages about code from which all its pages are recalled; pages alone where absent.
    #[serde(default)]
    pub repository_share: Option<f32>,
    /// Pages that are worth reading.
    #[serde(default)]
    pub good: Option<PathBuf>,
    /// Pages that are not.
    #[serde(default)]
    pub poor: Option<PathBuf>,
    /// Probability from which a page is worth reading.
    #[serde(default = "half")]
    pub quality: f32,
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
        let text = base::files::read_to_string(path)
            .map_err(|cause| format!("cannot read `{shown}`: {cause}: check the path"))?;
        let config: Self = serde_saphyr::from_str(&text).map_err(|error| {
            let cause = error.to_string();
            format!(
                "`{shown}` is not a configuration: {}",
                cause.lines().next().unwrap_or_default()
            )
        })?;
        if let Some(recall) = &config.recall {
            if recall.good.is_some() != recall.poor.is_some() {
                return Err(format!("`{shown}`: `good` and `poor` go together"));
            }
            let shares = [
                Some(recall.threshold),
                recall.repository_share,
                Some(recall.quality),
            ];
            if !shares
                .into_iter()
                .flatten()
                .all(|share| (0.0..=1.0).contains(&share))
            {
                return Err(format!(
                    "`{shown}`: shares and thresholds must be from 0 to 1"
                ));
            }
        }
        match (1..=64).contains(&config.candidates) && (1..=64).contains(&config.workers) {
            true => Ok(config),
            false => Err(format!(
                "`{shown}`: `candidates` and `workers` must be from 1 to 64"
            )),
        }
    }
}
