//! Averages: over all samples, by attribute of a block, and by attribute of a page.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde_json::{Map, Value, json};

use super::{Metric, Sample, labels::page_labels};
use crate::omnidocbench::Protocol;
use crate::omnidocbench::metrics::{bleu::bleu, meteor::meteor};
use crate::omnidocbench::page::Attributes;

/// Attributes of pages, by the file name of their picture.
pub type Pages = BTreeMap<String, Attributes>;

const EDIT: &str = "Edit_dist";

/// What is known of a section besides its records.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// All pages.
    pub pages: &'a Pages,
    /// Pages with annotated blocks: without a record they count as 0, edit distances apart (v1.6; else there are none).
    pub annotated: &'a [&'a str],
}

/// The official result of a section: `all`, `group`, `page`. Averages of nothing are the text `NaN`, as they are there.
pub fn aggregate(
    samples: &[&Sample],
    known: &Known,
    metrics: &[Metric],
    protocol: Protocol,
) -> Value {
    json!({
        "all": all(samples, metrics, protocol),
        "group": group(samples),
        "page": page(samples, known, metrics, protocol),
    })
}

/// The mean; `None` of nothing.
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// A number, or `NaN` as text.
fn number_or_nan(value: Option<f64>) -> Value {
    value
        .filter(|value| value.is_finite())
        .map_or(json!("NaN"), |value| json!(value))
}

/// Scores of one name.
fn scores<'a>(samples: &'a [&'a Sample], name: &'a str) -> impl Iterator<Item = f64> + 'a {
    let of = move |sample: &&'a Sample| sample.scores.0.iter().filter(move |(n, _)| n == name);
    samples.iter().flat_map(of).map(|(_, score)| *score)
}

fn all(samples: &[&Sample], metrics: &[Metric], protocol: Protocol) -> Value {
    let mut out = Map::new();
    let texts = |side: usize| -> Vec<&str> {
        samples
            .iter()
            .map(|sample| sample.texts[side].as_str())
            .collect()
    };
    for metric in metrics {
        match metric {
            Metric::EditDist => {
                out.insert(EDIT.into(), edits(samples, protocol));
            }
            Metric::Teds => {
                for name in ["TEDS", "TEDS_structure_only"] {
                    let values: Vec<f64> = scores(samples, name).collect();
                    out.insert(name.into(), json!({"all": number_or_nan(mean(&values))}));
                }
            }
            Metric::Cdm => {
                let values: Vec<f64> = scores(samples, "CDM").collect();
                out.insert("CDM".into(), json!({"all": number_or_nan(mean(&values))}));
                if protocol < Protocol::V1_6 {
                    let exact = values.iter().map(|f1| f64::from(*f1 == 1.0));
                    let rate = mean(&exact.collect::<Vec<f64>>());
                    out.insert("ExpRate@CDM".into(), json!({"all": number_or_nan(rate)}));
                }
            }
            // The official tool passes the annotation as prediction and the prediction as reference.
            Metric::Bleu => {
                let score = bleu(&texts(0), &texts(1)).map_or(0.0, |bleu| bleu.bleu);
                out.insert("BLEU".into(), json!({"all": score}));
            }
            Metric::Meteor => {
                let score = meteor(&texts(0), &texts(1)).unwrap_or(0.0);
                out.insert("METEOR".into(), json!({"all": score}));
            }
            Metric::CdmPlain => {}
        }
    }
    Value::Object(out)
}

/// Neighbouring samples of one page, with its name.
fn by_page<'a>(samples: &'a [&'a Sample]) -> impl Iterator<Item = (&'a str, &'a [&'a Sample])> {
    let pages = samples.chunk_by(|a, b| a.image == b.image);
    pages.filter_map(|page| Some((page.first()?.image.as_str(), page)))
}

/// Edit distances: mean over pages of a page's edits by its characters, all edits by all characters, mean over samples.
fn edits(samples: &[&Sample], protocol: Protocol) -> Value {
    let mut pages: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut whole = (0, 0);
    for (image, samples) in by_page(samples) {
        let measured = samples.iter().filter(|sample| sample.edits.is_some());
        if measured.clone().next().is_none() {
            continue;
        }
        let page = pages.entry(image).or_default();
        for sample in measured {
            for sum in [&mut *page, &mut whole] {
                sum.0 += sample.edits.unwrap_or(0);
                sum.1 += sample.length;
            }
        }
    }
    let share = |(edits, length): (usize, usize)| edits as f64 / length as f64;
    let shares: Vec<f64> = pages.values().map(|sums| share(*sums)).collect();
    let page_average = number_or_nan(mean(&shares));
    if protocol == Protocol::V1_0 || shares.is_empty() {
        return json!({"ALL_page_avg": page_average});
    }
    let each: Vec<f64> = scores(samples, EDIT).collect();
    json!({
        "ALL_page_avg": page_average,
        "edit_whole": number_or_nan(Some(share(whole))),
        "edit_sample_avg": number_or_nan(mean(&each)),
    })
}

/// Means by attribute of a block, and how many samples there are of each.
fn group(samples: &[&Sample]) -> Value {
    let mut sums: FxHashMap<(&str, &str), (f64, usize)> = FxHashMap::default();
    let mut counts: FxHashMap<&str, usize> = FxHashMap::default();
    for sample in samples {
        for label in &sample.labels {
            let mut count = None;
            for (name, score) in &sample.scores.0 {
                let sum = sums.entry((name, label)).or_default();
                *sum = (sum.0 + score, sum.1 + 1);
                count = Some(sum.1);
            }
            if let Some(count) = count {
                counts.insert(label, count);
            }
        }
    }
    let mut out = Map::new();
    for ((name, label), (sum, count)) in sums {
        let means = out.entry(name).or_insert_with(|| json!({}));
        means[label] = json!(sum / count as f64);
    }
    out.insert("sample_count".into(), json!(counts));
    Value::Object(out)
}

/// Means over pages by attribute of a page; of edit distances, under v1.0, also the variance.
fn page(samples: &[&Sample], known: &Known, metrics: &[Metric], protocol: Protocol) -> Value {
    let pages = known.pages;
    // Metric → page → (weighted sum of scores, sum of weights).
    let mut sums: BTreeMap<&str, BTreeMap<&str, (f64, f64)>> = BTreeMap::new();
    let ours = by_page(samples).filter(|(image, _)| pages.contains_key(*image));
    for (image, samples) in ours {
        for (name, score, length) in samples.iter().flat_map(|sample| {
            let scores = sample.scores.0.iter();
            scores.map(|(name, score)| (name.as_ref(), score, sample.length))
        }) {
            let weight = match name {
                EDIT => length as f64,
                _ => 1.0,
            };
            let sum = sums.entry(name).or_default().entry(image).or_default();
            *sum = (sum.0 + score * weight, sum.1 + weight);
        }
    }
    for name in metrics.iter().flat_map(|metric| names(*metric)) {
        for image in known.annotated {
            let of_pages = sums.entry(name).or_default();
            of_pages.entry(image).or_insert((0.0, 1.0));
        }
    }
    let mut out = Map::new();
    for (name, of_pages) in sums {
        let mut by_label: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (image, (sum, weight)) in of_pages {
            let score = sum / weight;
            let labels = pages.get(image).map(page_labels).unwrap_or_default();
            for label in labels.into_iter().chain(["ALL".to_owned()]) {
                by_label.entry(label).or_default().push(score);
            }
        }
        let means: Map<String, Value> = by_label
            .iter()
            .map(|(label, scores)| (label.clone(), json!(mean(scores))))
            .collect();
        out.insert(name.to_owned(), Value::Object(means));
        if name == EDIT && protocol == Protocol::V1_0 {
            let variances: Map<String, Value> = by_label
                .iter()
                .map(|(label, scores)| (label.clone(), json!(variance(scores))))
                .collect();
            out.insert("Edit_dist_var".into(), Value::Object(variances));
        }
    }
    Value::Object(out)
}

/// Scores of a metric that a page without a record has none of.
fn names(metric: Metric) -> &'static [&'static str] {
    match metric {
        Metric::Teds => &["TEDS", "TEDS_structure_only"],
        Metric::Cdm => &["CDM"],
        Metric::EditDist | Metric::Bleu | Metric::Meteor | Metric::CdmPlain => &[],
    }
}

/// The sample variance; `None` of fewer than two.
fn variance(values: &[f64]) -> Option<f64> {
    let center = mean(values)?;
    let squares = values
        .iter()
        .map(|value| (value - center).powi(2))
        .sum::<f64>();
    (values.len() > 1).then(|| squares / (values.len() - 1) as f64)
}
