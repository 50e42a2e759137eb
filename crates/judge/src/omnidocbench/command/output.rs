//! Results as files and as tables.

use std::path::{Path, PathBuf};

use base::command::{Failure, warn};
use base::files::{make_folder, write_swiftly};
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::omnidocbench::Protocol;
use crate::omnidocbench::evaluate::{Evaluator, PageResult, records};
use crate::omnidocbench::score::{Metric, Section, plain_pair};

/// Bytes that are written to a file together.
const PIECE: usize = 1 << 18;

/// Where results go.
#[derive(Clone, Copy)]
pub(super) struct Output<'a> {
    /// The folder for result files, if any.
    pub folder: Option<&'a Path>,
    /// What their names begin with, where that was chosen.
    pub name: Option<&'a str>,
    /// Whether one JSON object is printed.
    pub json: bool,
}

/// Says which records score 0 without being compared, and why.
pub(super) fn warn_of_failures(failures: &[(&'static str, String, usize, String)]) {
    let line = |(metric, why, count, page): &(&str, String, usize, String)| {
        let records = if *count == 1 { "record" } else { "records" };
        format!("{metric} of {count} {records} is 0, first on `{page}`: {why}")
    };
    let lines: Vec<String> = failures.iter().map(line).collect();
    warn(&lines);
}

/// The folder for results, made when absent.
pub(super) fn folder(path: &Path) -> Result<(), Failure> {
    Ok(make_folder(path)?)
}

/// JSON into a file, indented.
pub(super) fn write_json(path: &Path, value: &Value) -> Result<(), Failure> {
    write_swiftly(path, |file| {
        serde_json::to_writer_pretty(&mut *file, value)?;
        file.write_all(b"\n")
    })
    .map_err(Failure::from)
}

/// Records, JSON objects, into a file as a JSON list, one after the other.
pub(super) fn write_list(
    path: &Path,
    records: impl Iterator<Item = impl AsRef<[u8]>>,
) -> Result<(), Failure> {
    write_swiftly(path, |file| {
        let mut text = Vec::with_capacity(2 * PIECE);
        text.push(b'[');
        for (at, record) in records.enumerate() {
            text.extend(if at == 0 { &b"\n"[..] } else { b",\n" });
            text.extend(record.as_ref());
            if text.len() >= PIECE {
                file.write_all(&text)?;
                text.clear();
            }
        }
        text.extend(b"\n]\n");
        file.write_all(&text)
    })
    .map_err(Failure::from)
}

/// What is said of a run beside its scores.
pub(super) fn about(pages: &[PageResult], protocol: Protocol, method: &str) -> Value {
    let missing: Vec<&str> = pages
        .iter()
        .filter(|page| !page.predicted)
        .map(|page| page.image.as_str())
        .collect();
    let data = match pages.len() {
        981 => "v1.0 (981 pages)".to_owned(),
        1355 => "v1.5 (1355 pages)".to_owned(),
        1651 if protocol < Protocol::V1_6 => {
            "v1.6 (1651 pages), not by the rules of v1.6".to_owned()
        }
        1651 => "v1.6 (1651 pages)".to_owned(),
        pages => format!("unknown ({pages} pages)"),
    };
    json!({
        "orrery": env!("CARGO_PKG_VERSION"),
        "protocol": protocol.name(),
        "match": method,
        "data": data,
        "pages": pages.len(),
        "predicted": pages.len() - missing.len(),
        "missing": missing,
        "matched_simply_for_lack_of_time": pages.iter().map(|page| page.out_of_time).sum::<usize>(),
    })
}

/// The records of each section, under the official names.
pub(super) fn write_records(
    out: &Path,
    name: &str,
    pages: &[PageResult],
    evaluator: &Evaluator,
) -> Result<Vec<PathBuf>, Failure> {
    let sections = Section::ALL.into_par_iter();
    let sections = sections.filter(|section| evaluator.metrics.of(*section).is_some());
    let written: Vec<Vec<PathBuf>> = sections
        .map(|section| {
            let records = || records(pages, section, evaluator.matching.protocol);
            let named = |end: &str| out.join(format!("{name}_{}_{end}.json", section.name()));
            let mut paths = vec![named("result")];
            write_list(&named("result"), records())?;
            let metrics = evaluator.metrics.of(section).unwrap_or_default();
            if metrics.contains(&Metric::CdmPlain) {
                write_plain_pairs(&named("formula"), records())?;
                paths.push(named("formula"));
            }
            Ok(paths)
        })
        .collect::<Result<_, Failure>>()?;
    Ok(written.concat())
}

/// The formula pairs that `CDM_plain` asks for, from the records of formulas.
pub(super) fn write_plain_pairs(
    path: &Path,
    records: impl Iterator<Item = impl AsRef<[u8]>>,
) -> Result<(), Failure> {
    let pairs = records.enumerate();
    let pairs = pairs.filter_map(|(index, record)| plain_pair(record.as_ref(), index));
    write_list(path, pairs.map(|pair| pair.to_string()))
}

/// The averages under the official name, and what is said of the run.
pub(super) fn write_summary(
    out: &Path,
    name: &str,
    summary: &Value,
    about: &Value,
) -> Result<[PathBuf; 2], Failure> {
    let path = |what: &str| out.join(format!("{name}_{what}.json"));
    let paths = [path("metric_result"), path("run")];
    write_json(&paths[0], summary)?;
    write_json(&paths[1], about)?;
    Ok(paths)
}

/// A score in a table.
pub(super) fn cell(value: Option<f64>) -> String {
    value.map_or("–".into(), |value| format!("{value:.4}"))
}

/// The number at a path of keys.
pub(super) fn number(value: &Value, path: &[&str]) -> Option<f64> {
    let found = path.iter().try_fold(value, |value, key| value.get(key));
    found.and_then(Value::as_f64)
}

/// The overall scores of a result, as lines of a table.
pub(super) fn table(summary: &Value) -> String {
    let mut lines = Vec::new();
    for (section, result) in summary.as_object().into_iter().flatten() {
        let all = result.get("all").and_then(Value::as_object);
        for (metric, values) in all.into_iter().flatten() {
            for (name, value) in values.as_object().into_iter().flatten() {
                let what = match name.as_str() {
                    "all" => metric.clone(),
                    name => format!("{metric} {name}"),
                };
                lines.push(format!("{section:<16} {what:<28} {}", cell(value.as_f64())));
            }
            // The leaderboard takes the mean over pages, `all` is the one over records.
            let of_pages = number(result, &["page", metric, "ALL"]);
            if values.get("all").is_some() && of_pages.is_some() {
                let what = format!("{metric}, mean over pages");
                lines.push(format!("{section:<16} {what:<28} {}", cell(of_pages)));
            }
        }
    }
    lines.join("\n")
}

/// How many pages had a prediction: said with every result.
pub(super) fn coverage(about: &Value) -> String {
    let number = |key: &str| about.get(key).and_then(Value::as_u64).unwrap_or(0);
    let text = |key: &str| {
        about
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned()
    };
    let (pages, predicted) = (number("pages"), number("predicted"));
    let share = match about.get("incomplete") {
        Some(_) => "incomplete run".to_owned(),
        None => format!("{:.1} %", 100.0 * predicted as f64 / pages.max(1) as f64),
    };
    let tables = match text("latex_tables").as_str() {
        "convert" => " · LaTeX tables converted",
        _ => "",
    };
    format!(
        "protocol {} · {}{tables} · data {} · {predicted} of {pages} pages predicted ({share})",
        text("protocol"),
        text("match"),
        text("data")
    )
}
