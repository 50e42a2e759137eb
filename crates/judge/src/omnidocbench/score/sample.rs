//! One scored match.

use engine::numerics::levenshtein;
use serde_json::{Map, Value, json};

use super::{Metric, labels::label};
use crate::omnidocbench::cdm::Renderer;
use crate::omnidocbench::matching::order::Order;
use crate::omnidocbench::matching::{Match, number};
use crate::omnidocbench::metrics::teds;

/// What averages need of a scored match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// File name of the page's picture.
    pub image: String,
    /// Scores by their official names.
    pub scores: Vec<(String, f64)>,
    /// Characters, or places, of the longer side.
    pub length: usize,
    /// Edits between the sides; `None` where both are empty.
    pub edits: Option<usize>,
    /// Attributes of its blocks, each once.
    pub labels: Vec<String>,
    /// Annotated and predicted text.
    pub texts: [String; 2],
}

/// The official record of a match, with its scores; `renderer` draws formulas for CDM.
pub fn sample(found: &Match, metrics: &[Metric], renderer: &Renderer) -> Value {
    let Value::Object(mut record) = found.to_json() else {
        return Value::Null;
    };
    let gt = text(&found.norm_gt, &found.gt);
    let pred = text(&found.norm_pred, &found.pred);
    let mut scores = Map::new();
    for metric in metrics {
        match metric {
            Metric::Teds => {
                let compared = teds::compare(&found.norm_pred, &found.norm_gt);
                if let Err(why) = &compared {
                    record.insert("TEDS_failed".into(), json!(why.to_string()));
                }
                let teds = compared.unwrap_or_default();
                scores.insert("TEDS".into(), json!(teds.full));
                scores.insert("TEDS_structure_only".into(), json!(teds.structure));
            }
            Metric::EditDist => {
                let [gt, pred] = [gt, pred].map(|text| text.chars().collect::<Vec<char>>());
                let longest = gt.len().max(pred.len());
                edit(&mut record, &mut scores, levenshtein(&gt, &pred), longest);
            }
            Metric::Cdm => {
                let compared = renderer.score(&formula(&found.pred), &formula(&found.gt));
                match &compared {
                    Ok(score) => {
                        record.insert("CDM_recall".into(), json!(score.recall));
                        record.insert("CDM_precision".into(), json!(score.precision));
                    }
                    Err(why) => {
                        record.insert("CDM_failed".into(), json!(why.to_string()));
                    }
                }
                scores.insert("CDM".into(), json!(compared.map_or(0.0, |score| score.f1)));
            }
            // Of all samples together.
            Metric::Bleu | Metric::Meteor => {}
        }
    }
    finish(record, scores, &found.image)
}

/// The official record of a page's reading order.
pub fn order_sample(order: &Order, image: &str, metrics: &[Metric]) -> Value {
    let places = |list: &[f64]| list.iter().map(|at| number(*at)).collect::<Vec<Value>>();
    let longest = order.longest();
    let mut record = Map::new();
    record.insert("gt".into(), places(&order.gt).into());
    record.insert("pred".into(), places(&order.pred).into());
    record.insert(
        "edit".into(),
        json!(order.edits as f64 / longest.max(1) as f64),
    );
    record.insert("img_id".into(), json!(image));
    let mut scores = Map::new();
    if metrics.contains(&Metric::EditDist) {
        edit(&mut record, &mut scores, order.edits, longest);
    }
    finish(record, scores, image)
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

/// The normalised text, or the text as it is where nothing is left of it.
fn text<'a>(norm: &'a str, raw: &'a str) -> &'a str {
    if norm.is_empty() { raw } else { norm }
}

fn edit(
    record: &mut Map<String, Value>,
    scores: &mut Map<String, Value>,
    edits: usize,
    longest: usize,
) {
    record.insert("upper_len".into(), json!(longest));
    if longest > 0 {
        record.insert("Edit_num".into(), json!(edits));
        scores.insert("Edit_dist".into(), json!(edits as f64 / longest as f64));
    }
}

fn finish(mut record: Map<String, Value>, scores: Map<String, Value>, image: &str) -> Value {
    record.insert("image_name".into(), json!(image));
    record.insert("metric".into(), Value::Object(scores));
    Value::Object(record)
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
            scores: scores
                .into_iter()
                .flatten()
                .filter_map(|(name, score)| Some((name.clone(), score.as_f64()?)))
                .collect(),
            length: count("upper_len").unwrap_or(0),
            edits: count("Edit_num"),
            labels,
            texts: [kept("norm_gt", "gt"), kept("norm_pred", "pred")],
        }
    }
}
