//! Options that several verbs share.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base::command::{Failure, number_in, warn};
use clap::Args;
use serde_json::Value;

use crate::guardian::pipeline::{Classifier, Guardian, GuardianOptions};
use crate::guardian::prompt::Version;
use crate::guardian::record::{Record, read_records};
use crate::guardian::wording::Wording;

/// Largest file that is read whole, in bytes.
const LARGEST: u64 = 64 << 20;

/// Which model assesses.
#[derive(Args, Debug)]
pub(super) struct ModelOptions {
    /// A folder, a `.gguf` file, OWNER/NAME that was pulled, or `smollm2`
    #[arg(long, default_value = "smollm2")]
    pub(super) model: String,
    /// A head from `orrery guardian train`, or `none` to take the tokens of the model's answer [default: the small guard that ships with the program for smollm2, the answer for guardian checkpoints]
    #[arg(long, value_name = "FILE")]
    head: Option<String>,
    /// Generation of prompts in place of the checkpoint's own template: 3.0, 3.1 or 3.2
    #[arg(long, value_parser = version)]
    prompts: Option<Version>,
    /// Recorded prompts whose sentences are used in place of ours: JSON with `runs`, each `version`, `risk`, `messages`, `prompt`
    #[arg(long, value_name = "FILE", requires = "prompts")]
    wording: Option<PathBuf>,
    /// Generate the answer and take all its positions, in place of one look at the first
    #[arg(long)]
    generate: bool,
    /// Flag above this probability
    #[arg(long, value_parser = probability, conflicts_with = "thresholds")]
    threshold: Option<f32>,
    /// Thresholds by risk, from `orrery guardian calibrate`
    #[arg(long, value_name = "FILE")]
    thresholds: Option<PathBuf>,
}

fn version(text: &str) -> Result<Version, String> {
    Version::find(text).ok_or_else(|| "give 3.0, 3.1 or 3.2".to_owned())
}

pub(super) fn probability(text: &str) -> Result<f32, String> {
    number_in(text, 0.0, 1.0)
}

impl ModelOptions {
    /// Loads the model; `risks` get the one threshold where one is given.
    pub(super) fn load(&self, risks: &[&str]) -> Result<Guardian, Failure> {
        let thresholds = match (&self.threshold, &self.thresholds) {
            (Some(threshold), _) => risks
                .iter()
                .map(|risk| ((*risk).to_owned(), f64::from(*threshold)))
                .collect(),
            (None, Some(path)) => read_thresholds(path)?,
            (None, None) => BTreeMap::new(),
        };
        let wording = match (&self.wording, self.prompts) {
            (Some(path), Some(version)) => Some(read_wording(path, version)?),
            _ => None,
        };
        let options = GuardianOptions {
            classifier: match self.head.as_deref() {
                None => Classifier::Auto,
                Some("none") => Classifier::Labels,
                Some(path) => Classifier::Head(path.into()),
            },
            version: self.prompts,
            wording,
            generate: self.generate,
            thresholds,
        };
        Ok(Guardian::load(&self.model, options)?)
    }
}

fn read_thresholds(path: &Path) -> Result<BTreeMap<String, f64>, Failure> {
    let json = read_json(path)?;
    let table = json.get("thresholds").unwrap_or(&json).as_object();
    let entries = table
        .into_iter()
        .flatten()
        .map(|(risk, value)| Some((risk.clone(), value.as_f64()?)));
    entries
        .collect::<Option<BTreeMap<_, _>>>()
        .filter(|table| !table.is_empty())
        .ok_or_else(|| {
            Failure::input(format!(
                "`{}` holds no thresholds: make it with `orrery guardian calibrate`",
                path.display()
            ))
        })
}

fn read_wording(path: &Path, version: Version) -> Result<Wording, Failure> {
    let json = read_json(path)?;
    let runs = json.get("runs").unwrap_or(&json).as_array();
    let runs = runs.ok_or_else(|| {
        Failure::input(format!(
            "`{}` has no list `runs` of recorded prompts",
            path.display()
        ))
    })?;
    Ok(Wording::from_prompts(version, runs)?)
}

/// A whole file of text, not larger than anything that people write.
pub(super) fn read_text(path: &Path) -> Result<String, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::input(format!(
            "cannot read `{}`: {error}: check the path",
            path.display()
        ))
    };
    let mut text = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(LARGEST + 1)
        .read_to_end(&mut text)
        .map_err(cannot)?;
    if text.len() as u64 > LARGEST {
        return Err(Failure::input(format!(
            "`{}` is larger than {} MB",
            path.display(),
            LARGEST >> 20
        )));
    }
    let text = String::from_utf8(text);
    text.map_err(|_| {
        Failure::input(format!(
            "`{}` is not UTF-8 text: save it as UTF-8",
            path.display()
        ))
    })
}

/// A JSON file.
pub(super) fn read_json(path: &Path) -> Result<Value, Failure> {
    let text = read_text(path)?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::input(format!("`{}` is not JSON ({error})", path.display())))
}

/// Definitions by name: a JSON object, or lines `name = "definition"` as in TOML.
pub(super) fn read_definitions(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let text = read_text(path)?;
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(&text).map_err(|error| {
            Failure::input(format!(
                "`{}` is not a JSON object of texts ({error})",
                path.display()
            ))
        });
    }
    let mut all = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with('[') {
            continue;
        }
        let entry = line.split_once('=').and_then(|(name, value)| {
            let value: String = serde_json::from_str(value.trim()).ok()?;
            Some((name.trim().trim_matches('"').to_owned(), value))
        });
        let (name, value) = entry.ok_or_else(|| {
            Failure::input(format!(
                "`{}` line {}: write `name = \"definition\"`",
                path.display(),
                number + 1
            ))
        })?;
        all.insert(name, value);
    }
    Ok(all)
}

/// Records of a file; `-` is standard input. What was left out is reported.
pub(super) fn open_records(path: &Path) -> Result<(Vec<Record>, usize), Failure> {
    let (records, troubles) = if path == Path::new("-") {
        read_records(std::io::stdin().lock(), "standard input")?
    } else {
        let cannot = |error| {
            Failure::input(format!(
                "cannot read `{}`: {error}: check the path",
                path.display()
            ))
        };
        read_records(
            File::open(path).map_err(cannot)?,
            &path.display().to_string(),
        )?
    };
    warn(&troubles);
    match records.is_empty() {
        true => Err(Failure::input(format!(
            "`{}` holds no line with messages: each line is an object such as {{\"messages\":[{{\"role\":\"user\",\"content\":\"…\"}}],\"risk\":\"harm\",\"label\":0}}",
            path.display()
        ))),
        false => Ok((records, troubles.len())),
    }
}
