//! `orrery omnidocbench leaderboard`: results side by side.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, eprint_line, print_line, report};
use base::files::write_bytes;
use base::table::Table;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::blocks::read_result;
use super::output::number;

/// How the table is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Markdown
    Markdown,
    /// Comma-separated values
    Csv,
}

/// Which columns there are.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Columns {
    /// The leaderboard's: one number over all pages
    #[value(name = "v1.5")]
    V1_5,
    /// The paper's: edit distances of English and Chinese pages
    #[value(name = "v1.0")]
    V1_0,
    /// Text edit distances by kind of page
    Pages,
}

/// Options of `leaderboard`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery omnidocbench leaderboard result/*_metric_result.json
  orrery omnidocbench leaderboard result/*_metric_result.json --columns pages --format csv --out board.csv")]
pub struct Leaderboard {
    /// Files that `eval` wrote, ours or the official tool's: `NAME_metric_result.json`
    #[arg(required = true, value_name = "FILE")]
    results: Vec<PathBuf>,
    /// Columns of the table
    #[arg(long, value_enum, default_value = "v1.5")]
    columns: Columns,
    /// Format of the table
    #[arg(long, value_enum, default_value = "markdown")]
    format: Format,
    /// Write the table to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON list
    #[arg(long)]
    json: bool,
}

/// A column: its head, its value, its digits.
type Column = (String, Option<f64>, usize);

impl Leaderboard {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let mut rows: Vec<(String, Vec<Column>)> = Vec::new();
        let mut rules: Vec<(String, String)> = Vec::new();
        for path in &self.results {
            let result = read_result(path)?;
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            let name = file
                .strip_suffix("_metric_result.json")
                .unwrap_or(&file)
                .to_owned();
            let columns = match self.columns {
                Columns::V1_5 => board(&result),
                Columns::V1_0 => languages(&result),
                Columns::Pages => kinds(&result),
            };
            if columns.iter().all(|(_, value, _)| value.is_none()) {
                return Err(Failure::input(format!(
                    "`{}` holds no scores: give files called `NAME_metric_result.json`",
                    path.display()
                )));
            }
            rules.extend(rules_of(path).map(|rules| (name.clone(), rules)));
            rows.push((name, columns));
        }
        if let Some((first, one)) = rules.first()
            && let Some((other, another)) = rules.iter().find(|(_, rules)| rules != one)
        {
            eprint_line(&format!(
                "warning: not by the same rules, so the numbers are not comparable: `{first}` by {one}, `{other}` by {another}"
            ));
        }
        // The best first: by the first column that is there, similarities falling, distances rising.
        let falling = matches!(self.columns, Columns::V1_5);
        let key = |row: &(String, Vec<Column>)| {
            let value = row.1.first().and_then(|(_, value, _)| *value);
            let worst = if falling {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            };
            let value = value.unwrap_or(worst);
            if falling { -value } else { value }
        };
        rows.sort_by(|a, b| key(a).total_cmp(&key(b)));
        if self.json {
            let list = rows.iter().map(|(name, columns)| {
                let values = columns
                    .iter()
                    .map(|(head, value, _)| (head.clone(), json!(value)));
                json!({"name": name, "scores": values.collect::<serde_json::Map<_, _>>()})
            });
            return print_line(&list.collect::<Value>().to_string());
        }
        let text = self.table(&rows);
        match &self.out {
            Some(path) => {
                write_bytes(path, text.as_bytes())?;
                report(false, &format!("wrote {}", path.display()))
            }
            None => print_line(text.trim_end()),
        }
    }

    fn table(&self, rows: &[(String, Vec<Column>)]) -> String {
        let mut heads = vec!["parser".to_owned()];
        for (head, _, _) in rows.iter().flat_map(|(_, columns)| columns) {
            if !heads.contains(head) {
                heads.push(head.clone());
            }
        }
        let row = |(name, columns): &(String, Vec<Column>)| {
            let cell = |name: &String| match columns.iter().find(|(head, _, _)| head == name) {
                Some((_, Some(value), digits)) => format!("{value:.*}", *digits),
                _ => String::new(),
            };
            let cells = heads.iter().skip(1).map(cell);
            [name.clone()].into_iter().chain(cells).collect()
        };
        let rows = rows.iter().map(row).collect();
        let table = Table { heads, rows };
        match self.format {
            Format::Markdown => table.markdown(true) + "\n",
            Format::Csv => table.csv() + "\n",
        }
    }
}

/// By what rules a result came about: the `NAME_run.json` that `eval` writes beside it. None where there is no such file.
fn rules_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix("_metric_result.json")?;
    let bytes = std::fs::read(path.with_file_name(format!("{stem}_run.json"))).ok()?;
    let run: Value = serde_json::from_slice(&bytes).ok()?;
    let text = |key: &str| run.get(key).and_then(Value::as_str).unwrap_or("?");
    Some(format!(
        "protocol {}, match {}, data {}",
        base::command::one_line(text("protocol")),
        base::command::one_line(text("match")),
        base::command::one_line(text("data"))
    ))
}

/// The leaderboard's columns. The overall score needs all three of its parts.
fn board(result: &Value) -> Vec<Column> {
    let edit = |section: &str| number(result, &[section, "all", "Edit_dist", "ALL_page_avg"]);
    let percent = |path: [&str; 4]| number(result, &path).map(|share| 100.0 * share);
    let text = edit("text_block");
    let teds = percent(["table", "page", "TEDS", "ALL"]);
    let structure = percent(["table", "page", "TEDS_structure_only", "ALL"]);
    let cdm = percent(["display_formula", "page", "CDM", "ALL"]);
    let total = match (text, teds, cdm) {
        (Some(text), Some(teds), Some(cdm)) => Some(overall(text, teds, cdm)),
        _ => None,
    };
    vec![
        ("Overall ↑".into(), total, 2),
        ("Text edit ↓".into(), text, 3),
        ("Formula CDM ↑".into(), cdm, 2),
        ("Formula edit ↓".into(), edit("display_formula"), 3),
        ("Table TEDS ↑".into(), teds, 2),
        ("Table TEDS-S ↑".into(), structure, 2),
        ("Order edit ↓".into(), edit("reading_order"), 3),
    ]
}

/// The paper's columns: edit distances of English and Chinese pages, and their mean.
fn languages(result: &Value) -> Vec<Column> {
    let mut columns = Vec::new();
    for (short, language) in [("EN", "english"), ("CH", "simplified_chinese")] {
        let label = format!("language: {language}");
        let edit = |section: &str| number(result, &[section, "page", "Edit_dist", &label]);
        let sections = [
            ("Text", "text_block"),
            ("Formula", "display_formula"),
            ("Table", "table"),
            ("Order", "reading_order"),
        ];
        let values: Vec<Option<f64>> = sections.iter().map(|(_, name)| edit(name)).collect();
        let known: Vec<f64> = values.iter().flatten().copied().collect();
        let mean = (known.len() == values.len()).then(|| known.iter().sum::<f64>() / 4.0);
        columns.push((format!("Overall {short} ↓"), mean, 3));
        for ((head, _), value) in sections.iter().zip(values) {
            columns.push((format!("{head} {short} ↓"), value, 3));
        }
        let teds = number(result, &["table", "page", "TEDS", &label]);
        columns.push((
            format!("TEDS {short} ↑"),
            teds.map(|share| 100.0 * share),
            1,
        ));
    }
    columns
}

/// Text edit distances by kind of page, that of all pages first.
fn kinds(result: &Value) -> Vec<Column> {
    let pages = ["text_block", "page", "Edit_dist"];
    let pages = pages.iter().try_fold(result, |value, key| value.get(key));
    let mut columns = vec![(
        "All ↓".to_owned(),
        pages.and_then(|p| number(p, &["ALL"])),
        3,
    )];
    for (label, value) in pages.and_then(Value::as_object).into_iter().flatten() {
        if let Some(kind) = label.strip_prefix("data_source: ") {
            columns.push((kind.to_owned(), value.as_f64(), 3));
        }
    }
    columns
}

/// The leaderboard's overall score in percent, of v1.5: the mean of text (one less its edit distance), TEDS and CDM.
fn overall(text_edit: f64, teds: f64, cdm: f64) -> f64 {
    ((1.0 - text_edit) * 100.0 + teds + cdm) / 3.0
}
