//! `orrery omnidocbench layout`: detected boxes.

use std::path::{Path, PathBuf};

use base::command::{Failure, say};
use clap::Args;
use serde_json::{Map, Value, json};

use super::blocks::read_json;
use super::output;
use crate::omnidocbench::config::{self, Task};
use crate::omnidocbench::metrics::detection;

/// Options of `layout`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery omnidocbench layout --config configs/layout_detection.yaml --out result"
)]
pub struct Layout {
    /// An official YAML file: ground truth, prediction, classes and what leads to them
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The ground truth in place of the file's
    #[arg(long, value_name = "FILE")]
    gt: Option<PathBuf>,
    /// The prediction in place of the file's
    #[arg(long, value_name = "FILE")]
    pred: Option<PathBuf>,
    /// Folder for the result file
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Layout {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut any = false;
        for task in config::read(&self.config)? {
            if let Task::Detection { gt, pred, layout } = task {
                any = true;
                let gt = self.gt.as_ref().unwrap_or(&gt);
                let pred = self.pred.as_ref().unwrap_or(&pred);
                evaluate(gt, pred, &layout, self.out.as_deref(), self.json)?;
            }
        }
        match any {
            true => Ok(()),
            false => Err(Failure::input(format!(
                "`{}` has no `detection_eval`: use `eval --config` for other evaluations",
                self.config.display()
            ))),
        }
    }
}

/// Scores boxes, writes and prints what came out.
pub(super) fn evaluate(
    gt: &Path,
    pred: &Path,
    layout: &detection::Layout,
    out: Option<&Path>,
    as_json: bool,
) -> Result<(), Failure> {
    let read = detection::read(&read_json(gt)?, &read_json(pred)?, layout);
    let pages = read.map_err(|error| {
        Failure::input(format!("`{}`, `{}`: {error}", gt.display(), pred.display()))
    })?;
    output::warn(&pages.skipped);
    let classes = layout.classes();
    let found = detection::evaluate(classes.len(), &pages.pages).named(&classes);
    let result: Map<String, Value> = found
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    if let Some(out) = out {
        output::folder(out)?;
        output::write_json(&out.join("layout_metric_result.json"), &json!(result))?;
    }
    let predicted = pages.pages.len() - pages.missing.len();
    if as_json {
        let run =
            json!({"pages": pages.pages.len(), "predicted": predicted, "missing": pages.missing});
        return say(&json!({"run": run, "result": result}).to_string());
    }
    let lines: Vec<String> = found
        .iter()
        .map(|(name, value)| format!("{name:<36} {}", output::cell(*value)))
        .collect();
    say(&format!(
        "{predicted} of {} pages predicted\n\n{}",
        pages.pages.len(),
        lines.join("\n")
    ))
}
