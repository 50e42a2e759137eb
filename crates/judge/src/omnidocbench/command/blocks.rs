//! `orrery omnidocbench ocr`, `table` and `formula`: single blocks.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, eprint_line, print_json, print_line};
use clap::Args;
use serde_json::{Map, Value, json};

use super::options::{HtmlParserName, ProtocolName, RendererName, file_name, metric};
use super::output::{self, Output};
use crate::omnidocbench::Protocol;
use crate::omnidocbench::module::{Module, ModuleConfig, single};
use crate::omnidocbench::score::Metric;

/// Options that the three verbs share.
#[derive(Args, Debug)]
struct Common {
    /// A JSON list of pages whose blocks hold both the annotation and the prediction
    #[arg(long, value_name = "FILE")]
    gt: PathBuf,
    /// The field that holds the prediction
    #[arg(long, default_value = "pred", value_name = "FIELD")]
    pred_key: String,
    /// The field that holds the annotation [default: text, html or latex]
    #[arg(long, value_name = "FIELD")]
    data_key: Option<String>,
    /// Count only blocks of these categories
    #[arg(long, value_delimiter = ',', value_name = "CATEGORY")]
    category: Vec<String>,
    /// Metrics [default: Edit_dist, and TEDS for tables]
    #[arg(long, value_delimiter = ',', value_parser = metric, value_name = "METRIC")]
    metrics: Vec<Metric>,
    /// Renderer of formulas for CDM
    #[arg(long, value_enum, default_value = "built-in", value_name = "NAME")]
    cdm_renderer: RendererName,
    /// HTML parser of tables for TEDS: broken markup is repaired differently
    #[arg(long, value_enum, default_value = "libxml2-2.14", value_name = "NAME")]
    html_parser: HtmlParserName,
    /// Protocol of the evaluation
    #[arg(long, value_enum, default_value = "v1.5")]
    protocol: ProtocolName,
    /// Folder for the result files
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Prefix of the names of result files [default: that of the file up to its first point, as in the official tool]
    #[arg(long, value_parser = file_name)]
    name: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Options of `ocr`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery omnidocbench ocr --gt recognised.json --category text_block,title"
)]
pub struct Ocr {
    #[command(flatten)]
    common: Common,
}

/// Options of `table`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery omnidocbench table --gt recognised.json --pred-key pred"
)]
pub struct Table {
    #[command(flatten)]
    common: Common,
}

/// Options of `formula`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery omnidocbench formula --gt recognised.json --metrics Edit_dist,CDM"
)]
pub struct Formula {
    #[command(flatten)]
    common: Common,
}

impl Ocr {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        self.common.run(Module::Text)
    }
}

impl Table {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        self.common.run(Module::Table)
    }
}

impl Formula {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        self.common.run(Module::Formula)
    }
}

impl Common {
    fn run(&self, module: Module) -> Result<(), Failure> {
        let mut config = module.defaults();
        config.protocol = self.protocol.into();
        config.renderer = self.cdm_renderer.find()?;
        config.html_parser = self.html_parser.into();
        config.pred_key.clone_from(&self.pred_key);
        if let Some(key) = &self.data_key {
            config.data_key.clone_from(key);
        }
        if !self.category.is_empty() {
            config.categories.clone_from(&self.category);
        }
        if !self.metrics.is_empty() {
            config.metrics.clone_from(&self.metrics);
        }
        let output = Output {
            folder: self.out.as_deref(),
            name: self.name.as_deref(),
            json: self.json,
        };
        evaluate(&self.gt, &config, output)
    }
}

/// Reads a JSON file whole; a byte order mark is passed over.
pub(super) fn read_json(path: &Path) -> Result<Value, Failure> {
    parse(path, &read_bytes(path)?)
}

/// Reads a result file, ours or one that Python wrote: bare `NaN` and `Infinity`, which are not JSON, count as null.
pub(super) fn read_result(path: &Path) -> Result<Value, Failure> {
    let bytes = read_bytes(path)?;
    match serde_json::from_slice(&bytes) {
        Ok(json) => Ok(json),
        Err(_) => parse(path, &finite(&bytes)),
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = base::files::read(path).map_err(|error| {
        Failure::input(format!(
            "cannot read `{}`: {error}: check the path",
            path.display()
        ))
    })?;
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        bytes.drain(..3);
    }
    Ok(bytes)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::input(format!(
            "`{}` is not whole JSON: {error}: fetch it again or check how it was written",
            path.display()
        ))
    })
}

/// JSON with null for Python's numbers that are none, outside of texts.
fn finite(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let (mut rest, mut in_text) = (json, false);
    while let Some(&first) = rest.first() {
        let word: Option<&[u8]> = [&b"NaN"[..], b"-Infinity", b"Infinity"]
            .into_iter()
            .find(|word| !in_text && rest.starts_with(word));
        let length = match (word, first) {
            (Some(word), _) => word.len(),
            (None, b'\\') if in_text => 2.min(rest.len()),
            _ => 1,
        };
        in_text ^= first == b'"';
        let (head, tail) = rest.split_at(length);
        out.extend(if word.is_some() { &b"null"[..] } else { head });
        rest = tail;
    }
    out
}

/// Scores single blocks, writes and prints what came out.
pub(super) fn evaluate(
    gt: &Path,
    config: &ModuleConfig,
    output: Output<'_>,
) -> Result<(), Failure> {
    if config.protocol >= Protocol::V1_6 {
        return Err(Failure::input(
            "v1.6 has no evaluation of single blocks in its public code: take `--protocol v1.5`",
        ));
    }
    let json = read_json(gt)?;
    let pages: Vec<&Map<String, Value>> = json
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .collect();
    let result = single(&pages, config);
    if result.records.is_empty() {
        return Err(Failure::input(format!(
            "no block in `{}` has both `{}` and `{}`: name the fields with `--data-key` and `--pred-key`",
            gt.display(),
            config.data_key,
            config.pred_key
        )));
    }
    let scored = result.records.len();
    let about = json!({
        "orrery": env!("CARGO_PKG_VERSION"),
        "protocol": config.protocol.name(),
        "pages": pages.len(),
        "blocks": scored,
        "without_prediction": result.missing,
    });
    if let Some(out) = output.folder {
        output::folder(out)?;
        let file = gt.file_name().unwrap_or_default().to_string_lossy();
        let usual = file.split('.').next().unwrap_or("");
        let name = output.name.unwrap_or(usual);
        let texts = || result.records.iter().map(ToString::to_string);
        let path = |end: &str| out.join(format!("{name}_{end}.json"));
        output::write_list(&path("result"), texts())?;
        output::write_json(&path("metric_result"), &result.summary)?;
        if config.metrics.contains(&Metric::CdmPlain) {
            output::write_plain_pairs(&path("formula"), texts())?;
        }
    }
    if output.json {
        return print_json(&json!({"run": about, "result": result.summary}));
    }
    if result.missing > 0 {
        eprint_line(&format!(
            "warning: {} blocks have no prediction and do not count",
            result.missing
        ));
    }
    print_line(&format!(
        "protocol {} · {} pages · {scored} of {} blocks predicted\n\n{}",
        config.protocol.name(),
        pages.len(),
        scored + result.missing,
        output::table(&json!({"blocks": result.summary}))
    ))
}
