//! `orrery omnidocbench merge`, and what every evaluation ends with.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, is_quiet, print_json, print_line, warn};
use clap::Args;
use serde_json::{Value, json};

use super::options::file_name;
use super::output;
use crate::omnidocbench::Protocol;
use crate::omnidocbench::evaluate::{Evaluator, PageResult, failures};
use crate::omnidocbench::matching::Matching;
use crate::omnidocbench::run::{self, Merged};
use crate::omnidocbench::score::Metrics;

/// Options of `merge`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery omnidocbench merge result/*.jsonl --out result")]
pub struct Merge {
    /// The run logs that `eval --shard` wrote
    #[arg(required = true, value_name = "FILE")]
    journals: Vec<PathBuf>,
    /// Folder for the result files
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Merge what is there, even if shards are missing or incomplete
    #[arg(long)]
    partial: bool,
    /// Name of the result files
    #[arg(long, default_value = "merged", value_parser = file_name)]
    name: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Writes and prints results.
pub(super) fn report(
    pages: &[PageResult],
    evaluator: &Evaluator,
    about: &Value,
    out: Option<&Path>,
    name: &str,
    as_json: bool,
) -> Result<(), Failure> {
    let averages = || {
        let summary = evaluator.summary(pages);
        let written = out.map(|out| output::write_summary(out, name, &summary, about));
        (summary, written)
    };
    // While averages are taken the records are written down.
    let ((summary, last), written) = rayon::join(averages, || {
        out.map(|out| output::write_records(out, name, pages, evaluator))
    });
    let mut written = written.transpose()?.unwrap_or_default();
    written.extend(last.transpose()?.into_iter().flatten());
    output::warn_of_failures(&failures(pages));
    if as_json {
        let files: Vec<String> = written.iter().map(base::files::shown).collect();
        return print_json(&json!({"run": about, "result": summary, "files": files}));
    }
    let mut text = format!("{}\n\n{}", output::coverage(about), output::table(&summary));
    if let Some(path) = out.filter(|_| !is_quiet()) {
        text.push_str(&format!(
            "\n\nwrote {} files to {}",
            written.len(),
            path.display()
        ));
    }
    print_line(&text)
}

impl Merge {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let Merged {
            header,
            pages,
            missing,
        } = run::merge(&self.journals)?;
        if !missing.is_empty() && !self.partial {
            return Err(Failure::input(format!(
                "{}: finish them with `eval --resume`, give all journals, or take what is there with `--partial`",
                missing.join("; ")
            )));
        }
        warn(&missing);
        output::folder(&self.out)?;
        let field = |name: &str| header.get(name).and_then(Value::as_str).unwrap_or("");
        let protocol = Protocol::named(field("protocol")).unwrap_or_default();
        let metrics = header.get("metrics").map(Metrics::read).unwrap_or_default();
        let evaluator = Evaluator {
            matching: Matching {
                protocol,
                ..Matching::default()
            },
            metrics,
            // Pages are done: what these were is only reported.
            ..Evaluator::default()
        };
        let mut about = output::about(&pages, protocol, field("match"));
        for name in ["latex_tables", "cdm_renderer", "html_parser"] {
            about[name] = json!(field(name));
        }
        if !missing.is_empty() {
            about["incomplete"] = json!(missing);
            about["data"] = json!("unknown (a part)");
        }
        report(
            &pages,
            &evaluator,
            &about,
            Some(&self.out),
            &self.name,
            self.json,
        )
    }
}
