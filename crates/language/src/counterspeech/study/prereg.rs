//! Pre-registration: what is fixed before anybody is asked.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::SystemError;
use super::super::store::{read_text, sha256};

const TEMPLATE: &str = include_str!("prereg.toml");

/// Which test decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Primary {
    /// The mixed model with intercepts for participants and messages.
    #[default]
    Mixed,
    /// Wilcoxon's test of participants' means.
    Wilcoxon,
    /// Mann–Whitney's test of single ratings, which takes them as independent.
    MannWhitney,
}

/// Who is left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exclusion {
    /// Least share of attention checks that a participant passed.
    pub min_attention: f64,
    /// Least median of seconds an item.
    pub min_seconds: f64,
    /// Fewest items.
    pub min_items: usize,
}

/// A pre-registration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preregistration {
    /// What the study is called.
    pub title: String,
    /// What is expected.
    pub hypotheses: Vec<String>,
    /// What everything is compared with.
    pub baseline: String,
    /// Largest p that counts.
    pub alpha: f64,
    /// How many participants are wanted.
    pub planned_participants: usize,
    /// Which test decides.
    #[serde(default)]
    pub primary: Primary,
    /// A covariate and its value.
    #[serde(default)]
    pub subgroup: BTreeMap<String, String>,
    /// Who is left out.
    pub exclusion: Exclusion,
    /// SHA-256 of the file.
    #[serde(skip)]
    pub sha: String,
}

impl Preregistration {
    /// A file to begin from.
    pub fn template() -> &'static str {
        TEMPLATE
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`SystemError::Input`].
    pub fn open(path: &Path) -> Result<Self, SystemError> {
        let text = read_text(path)?;
        let wrong = |reason: &str| {
            SystemError::Input(format!(
                "`{}` is not a pre-registration ({}): `study design` writes one to begin from",
                path.display(),
                reason.trim()
            ))
        };
        let mut read: Self = toml::from_str(&text).map_err(|error| wrong(error.message()))?;
        if !(read.alpha > 0.0 && read.alpha < 1.0) {
            return Err(wrong("alpha is not between 0 and 1"));
        }
        read.sha = sha256(&text);
        Ok(read)
    }
}
