//! `orrery omnidocbench layout`: detected boxes.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, print_json, print_line, warn};
use clap::Args;
use serde_json::{Map, Value, json};

use super::blocks::read_json;
use super::options::{file_name, pair};
use super::output::{self, Output};
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
    /// Count only pages with this attribute; may be given several times
    #[arg(long, value_parser = pair, value_name = "ATTRIBUTE=VALUE")]
    filter: Vec<(String, String)>,
    /// Prefix of the name of the result file [default: layout]
    #[arg(long, value_parser = file_name)]
    name: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Layout {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let mut any = false;
        for task in config::read(&self.config)? {
            if let Task::Detection {
                gt,
                pred,
                layout,
                mut filter,
            } = task
            {
                any = true;
                filter.extend(self.filter.iter().cloned());
                let output = Output {
                    folder: self.out.as_deref(),
                    name: self.name.as_deref(),
                    json: self.json,
                };
                let gt = self.gt.as_ref().unwrap_or(&gt);
                let pred = self.pred.as_ref().unwrap_or(&pred);
                evaluate(gt, pred, &layout, &filter, output)?;
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
    filter: &[(String, String)],
    output: Output<'_>,
) -> Result<(), Failure> {
    let read = detection::read(&read_json(gt)?, &read_json(pred)?, layout, filter);
    let pages = read.map_err(|error| {
        Failure::input(format!("`{}`, `{}`: {error}", gt.display(), pred.display()))
    })?;
    if pages.pages.is_empty() {
        return Err(Failure::input(format!(
            "no page in `{}` counts: check the file and `filter`",
            gt.display()
        )));
    }
    warn(&pages.skipped);
    let classes = layout.classes();
    let found = detection::evaluate(classes.len(), &pages.pages).named(&classes);
    let result: Map<String, Value> = found
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    if let Some(out) = output.folder {
        output::folder(out)?;
        let name = output.name.unwrap_or("layout");
        let path = out.join(format!("{name}_metric_result.json"));
        output::write_json(&path, &json!(result))?;
    }
    let predicted = pages.pages.len() - pages.missing.len();
    if output.json {
        let run =
            json!({"pages": pages.pages.len(), "predicted": predicted, "missing": pages.missing});
        return print_json(&json!({"run": run, "result": result}));
    }
    let lines: Vec<String> = found
        .iter()
        .map(|(name, value)| format!("{name:<36} {}", output::cell(*value)))
        .collect();
    print_line(&format!(
        "{predicted} of {} pages predicted\n\n{}",
        pages.pages.len(),
        lines.join("\n")
    ))
}
