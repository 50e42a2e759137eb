//! One scored match.

use std::borrow::Cow;
use std::io::Write;

use base::numerics::levenshtein;
use serde_json::Value;

use super::{Metric, labels::label};
use crate::omnidocbench::cdm::Renderer;
use crate::omnidocbench::matching::order::ReadingOrder;
use crate::omnidocbench::matching::{Match, PyFloat, Record, Scores};
use crate::omnidocbench::metrics::html::HtmlParser;
use crate::omnidocbench::metrics::teds;

const EDIT: &str = "Edit_dist";

/// What averages need of a scored match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// File name of the page's picture.
    pub image: String,
    /// Its scores.
    pub scores: Scores,
    /// Characters, or places, of the longer side.
    pub length: usize,
    /// Edits between the sides; `None` where both are empty.
    pub edits: Option<usize>,
    /// Attributes of its blocks, each once.
    pub labels: Vec<String>,
    /// Annotated and predicted text, where averages need them.
    pub texts: [String; 2],
    /// The metric that is 0 because the two could not be compared, and why.
    pub failed: Option<(&'static str, String)>,
}

/// What reads and draws what is scored.
#[derive(Clone, Copy, Debug)]
pub struct Tools<'a> {
    /// Who draws formulas for CDM.
    pub renderer: &'a Renderer,
    /// Who reads tables for TEDS.
    pub html_parser: HtmlParser,
}

/// The official record of a match, with its scores.
pub fn sample(found: &Match, metrics: &[Metric], tools: Tools) -> Value {
    serde_json::to_value(scored(found, metrics, tools)).unwrap_or_default()
}

/// Writes [`sample`]'s record as JSON text, and returns what averages need of it.
///
/// # Errors
/// Those of `out`.
pub fn write_sample(
    found: &Match,
    metrics: &[Metric],
    tools: Tools,
    out: impl Write,
) -> serde_json::Result<Sample> {
    let mut record = scored(found, metrics, tools);
    serde_json::to_writer(out, &record)?;
    let mut labels: Vec<String> = found
        .gt_attribute
        .iter()
        .flat_map(|of_block| of_block.iter().map(|(name, value)| label(name, value)))
        .collect();
    labels.sort_unstable();
    labels.dedup();
    let kept = metrics
        .iter()
        .any(|m| matches!(m, Metric::Bleu | Metric::Meteor));
    let failed = [
        ("TEDS", record.teds_failed.take()),
        ("CDM", record.cdm_failed.take()),
    ];
    let failed = failed
        .into_iter()
        .find_map(|(name, why)| Some((name, why?)));
    Ok(Sample {
        failed,
        image: found.image.clone(),
        scores: record.metric.take().unwrap_or_default(),
        length: record.upper_len.unwrap_or(0),
        edits: record.edit_num,
        labels,
        texts: match kept {
            true => sides(found).map(str::to_owned),
            false => Default::default(),
        },
    })
}

/// A match's texts: annotated, predicted.
fn sides(found: &Match) -> [&str; 2] {
    [
        text(&found.norm_gt, &found.gt),
        text(&found.norm_pred, &found.pred),
    ]
}

/// Edits between two texts.
fn edits(texts: [&str; 2]) -> usize {
    if texts[0] == texts[1] {
        return 0;
    }
    if let ["", other] | [other, ""] = texts {
        return other.chars().count();
    }
    match texts.iter().all(|text| text.is_ascii()) {
        true => levenshtein(texts[0].as_bytes(), texts[1].as_bytes()),
        false => {
            let [a, b] = texts.map(|text| text.chars().collect::<Vec<char>>());
            levenshtein(&a, &b)
        }
    }
}

fn scored<'a>(found: &'a Match, metrics: &[Metric], tools: Tools) -> Record<'a> {
    let mut record = Record::of(found);
    let mut scores = Vec::new();
    for metric in metrics {
        match metric {
            Metric::Teds => {
                let compared = teds::compare(&found.norm_pred, &found.norm_gt, tools.html_parser);
                record.teds_failed = compared.as_ref().err().map(ToString::to_string);
                let teds = compared.unwrap_or_default();
                scores.push(("TEDS".into(), teds.full));
                scores.push(("TEDS_structure_only".into(), teds.structure));
            }
            Metric::EditDist => {
                let texts = sides(found);
                let lengths = texts.map(|text| text.chars().count());
                let longest = lengths[0].max(lengths[1]);
                record.upper_len = Some(longest);
                if longest > 0 {
                    let edits = found.edits.unwrap_or_else(|| edits(texts));
                    record.edit_num = Some(edits);
                    scores.push((EDIT.into(), edits as f64 / longest as f64));
                }
            }
            Metric::Cdm => {
                let compared = tools
                    .renderer
                    .score(&formula(&found.pred), &formula(&found.gt));
                match &compared {
                    Ok(score) => {
                        record.cdm_recall = Some(score.recall);
                        record.cdm_precision = Some(score.precision);
                    }
                    Err(why) => record.cdm_failed = Some(why.to_string()),
                }
                scores.push(("CDM".into(), compared.map_or(0.0, |score| score.f1)));
            }
            // Of all samples together, or in a file of its own.
            Metric::Bleu | Metric::Meteor | Metric::CdmPlain => {}
        }
    }
    record.image_name = Some(&found.image);
    record.metric = Some(sorted(scores));
    record
}

fn sorted(mut scores: Vec<(Cow<'static, str>, f64)>) -> Scores {
    scores.sort_by(|a, b| a.0.cmp(&b.0));
    // A metric that is named twice counts once.
    scores.dedup_by(|a, b| a.0 == b.0);
    Scores(scores)
}

/// The official record of a page's reading order.
#[derive(serde::Serialize)]
struct OrderRecord<'a> {
    #[serde(rename = "Edit_num", skip_serializing_if = "Option::is_none")]
    edit_num: Option<usize>,
    edit: f64,
    gt: Vec<PyFloat>,
    image_name: &'a str,
    img_id: &'a str,
    metric: Scores,
    pred: Vec<PyFloat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_len: Option<usize>,
}

impl<'a> OrderRecord<'a> {
    fn new(order: &ReadingOrder, image: &'a str, metrics: &[Metric]) -> Self {
        let places = |list: &[f64]| list.iter().map(|at| PyFloat(*at)).collect();
        let longest = order.longest();
        let share = order.edits as f64 / longest.max(1) as f64;
        let measured = metrics.contains(&Metric::EditDist);
        let some = measured && longest > 0;
        Self {
            edit_num: some.then_some(order.edits),
            edit: share,
            gt: places(&order.gt),
            image_name: image,
            img_id: image,
            metric: Scores(match some {
                true => vec![(EDIT.into(), share)],
                false => Vec::new(),
            }),
            pred: places(&order.pred),
            upper_len: measured.then_some(longest),
        }
    }
}

/// The official record of a page's reading order.
pub fn order_sample(order: &ReadingOrder, image: &str, metrics: &[Metric]) -> Value {
    serde_json::to_value(OrderRecord::new(order, image, metrics)).unwrap_or_default()
}

/// Writes [`order_sample`]'s record as JSON text, and returns what averages need of it.
///
/// # Errors
/// Those of `out`.
pub fn write_order_sample(
    order: &ReadingOrder,
    image: &str,
    metrics: &[Metric],
    out: impl Write,
) -> serde_json::Result<Sample> {
    let record = OrderRecord::new(order, image, metrics);
    serde_json::to_writer(out, &record)?;
    Ok(Sample {
        image: image.to_owned(),
        scores: record.metric,
        length: record.upper_len.unwrap_or(0),
        edits: record.edit_num,
        ..Sample::default()
    })
}

/// A formula without fences and dollars around it.
fn formula(text: &str) -> String {
    let fenced = text.rsplit("```latex").next().unwrap_or(text);
    let bare = fenced.split("```").next().unwrap_or(fenced);
    bare.trim_matches('$')
        .trim()
        .trim_matches('$')
        .trim()
        .to_owned()
}

/// The official `CDM_plain` record of a formula's record, which is the `index`th of all; `None` where it is no record.
pub fn plain_pair(record: &[u8], index: usize) -> Option<Value> {
    let mut record: Value = serde_json::from_slice(record).ok()?;
    let pair = record.as_object_mut()?;
    let image = pair.insert("img_id".into(), index.to_string().into());
    pair.insert("img_name".into(), image.unwrap_or_default());
    for side in ["gt", "pred"] {
        let bare = pair.get(side).and_then(Value::as_str).map(formula);
        pair.insert(side.into(), bare.unwrap_or_default().into());
    }
    Some(record)
}

/// The normalised text, or the text as it is where nothing is left of it.
fn text<'a>(norm: &'a str, raw: &'a str) -> &'a str {
    if norm.is_empty() { raw } else { norm }
}

impl Sample {
    /// What averages need of a record; texts are kept where `texts`.
    pub fn read(record: &Value, texts: bool) -> Self {
        let name = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or("");
        let count = |key: &str| record.get(key).and_then(Value::as_u64).map(|n| n as usize);
        let scores = record.get("metric").and_then(Value::as_object);
        let attributes = record.get("gt_attribute").and_then(Value::as_array);
        let attributes = attributes
            .into_iter()
            .flatten()
            .filter_map(Value::as_object);
        let mut labels: Vec<String> = attributes
            .flat_map(|of_block| of_block.iter().map(|(name, value)| label(name, value)))
            .collect();
        labels.sort_unstable();
        labels.dedup();
        let kept = |norm: &str, raw: &str| match texts {
            true => text(name(norm), name(raw)).to_owned(),
            false => String::new(),
        };
        Self {
            image: name("image_name").to_owned(),
            scores: Scores(
                scores
                    .into_iter()
                    .flatten()
                    .filter_map(|(name, score)| Some((name.clone().into(), score.as_f64()?)))
                    .collect(),
            ),
            length: count("upper_len").unwrap_or(0),
            edits: count("Edit_num"),
            failed: [("TEDS", "TEDS_failed"), ("CDM", "CDM_failed")]
                .into_iter()
                .find_map(|(metric, key)| Some((metric, record.get(key)?.as_str()?.to_owned()))),
            labels,
            texts: [kept("norm_gt", "gt"), kept("norm_pred", "pred")],
        }
    }
}
