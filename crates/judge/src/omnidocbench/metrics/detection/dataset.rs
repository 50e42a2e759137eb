//! Annotations and predictions as they come.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::{Found, Page, Truth};
use crate::omnidocbench::page::Page as Annotated;
use crate::omnidocbench::source::passes;

/// What is to be detected, as in the official configuration.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Layout {
    /// The classes of the report.
    pub eval_cat: Classes,
    /// Annotated category → class; a category that is not named stands for itself, and one that leads to no class does
    /// not count.
    pub gt_cat_mapping: BTreeMap<String, String>,
    /// Predicted category → class, likewise; in the simple format a category that is not named does not count.
    pub pred_cat_mapping: BTreeMap<String, String>,
}

/// Classes by where their boxes stand in the annotation.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Classes {
    /// Among the blocks, `layout_dets`.
    pub block_level: Vec<String>,
    /// Among their spans, `line_with_spans`.
    pub span_level: Vec<String>,
}

impl Layout {
    /// All classes in the order of their labels.
    pub fn classes(&self) -> Vec<String> {
        let spans = self.eval_cat.span_level.iter();
        let spans = spans.filter(|name| !self.eval_cat.block_level.contains(name));
        self.eval_cat
            .block_level
            .iter()
            .chain(spans)
            .cloned()
            .collect()
    }
}

/// Pages ready to be evaluated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pages {
    /// In the order of the annotation.
    pub pages: Vec<Page>,
    /// Boxes that were passed over, and why: one line each.
    pub skipped: Vec<String>,
    /// Annotated pages for which there is no prediction.
    pub missing: Vec<String>,
}

/// Why nothing could be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DetectionError {
    /// The annotation is not a list of pages.
    #[error("the ground truth is not a list of pages with `layout_dets` and `page_info`")]
    GroundTruth,
    /// The prediction is in neither format.
    #[error(
        "the prediction is neither a list of pages like the ground truth, with `score`, nor an object with `results` and \
         `categories`"
    )]
    Prediction,
    /// There is no class to report on.
    #[error(
        "the configuration names no class: add some to `eval_cat.block_level` or `eval_cat.span_level`"
    )]
    NoClass,
}

/// Reads annotations and predictions, of either format: pages like the annotation's whose boxes have a `score`, or the
/// simple one, `{"results": [{image_name, bbox, category_id, score}], "categories": {id: name}}`. Only pages with all
/// attributes of `filter` count.
///
/// # Errors
/// When either is something else altogether; single boxes without four finite numbers or without a score are passed over
/// and listed.
pub fn read(
    ground_truth: &Value,
    prediction: &Value,
    layout: &Layout,
    filter: &[(String, String)],
) -> Result<Pages, DetectionError> {
    let classes = layout.classes();
    if classes.is_empty() {
        return Err(DetectionError::NoClass);
    }
    let mut found = Pages::default();
    let annotated = ground_truth.as_array().ok_or(DetectionError::GroundTruth)?;
    let counts = |page: &&Value| match page.as_object() {
        Some(page) => passes(&Annotated::read_head(page), filter),
        None => filter.is_empty(),
    };
    let annotated: Vec<&Value> = annotated.iter().filter(counts).collect();
    let mut places = BTreeMap::new();
    for (index, page) in annotated.iter().enumerate() {
        let name = page_name(page).ok_or(DetectionError::GroundTruth)?;
        places.entry(name.clone()).or_insert(index);
        let mut truth = Vec::new();
        for (label, item) in labelled(page, layout, &layout.gt_cat_mapping, &classes) {
            match corners(item) {
                Some(corners) => truth.push(Truth { corners, label }),
                None => found.skipped.push(format!(
                    "{name}: an annotated box is not a box: {}",
                    short(item)
                )),
            }
        }
        found.pages.push(Page {
            truth,
            found: Vec::new(),
        });
    }
    let mut seen = vec![false; annotated.len()];
    for (name, label, item) in predicted(prediction, layout, &classes)? {
        let Some(&index) = places.get(&name) else {
            continue;
        };
        if let Some(seen) = seen.get_mut(index) {
            *seen = true;
        }
        let Some(label) = label else {
            continue;
        };
        let score = item.get("score").and_then(Value::as_f64);
        // In the annotation's format no score, and none above 0, is full confidence.
        let score = match prediction.is_array() {
            true => score.filter(|score| *score != 0.0).or(Some(1.0)),
            false => score,
        };
        let score = score.filter(|score| score.is_finite());
        let corners = match prediction.is_array() {
            true => corners(item),
            false => given(item).or_else(|| corners(item)),
        };
        match (corners, score) {
            (Some(corners), Some(score)) => {
                if let Some(page) = found.pages.get_mut(index) {
                    page.found.push(Found {
                        corners,
                        label,
                        score,
                    });
                }
            }
            (None, _) => found.skipped.push(format!(
                "{name}: a detected box is not a box: {}",
                short(item)
            )),
            (_, None) => found.skipped.push(format!(
                "{name}: a detected box has no score: {}",
                short(item)
            )),
        }
    }
    for (name, &index) in &places {
        if seen.get(index) == Some(&false) {
            found.missing.push(name.clone());
        }
    }
    Ok(found)
}

/// A predicted box with its page and label; no label where the category does not count.
type Predicted<'a> = (String, Option<usize>, &'a Value);

/// All predicted boxes, of either format.
fn predicted<'a>(
    prediction: &'a Value,
    layout: &Layout,
    classes: &[String],
) -> Result<Vec<Predicted<'a>>, DetectionError> {
    if let Some(pages) = prediction.as_array() {
        let mut all = Vec::new();
        for page in pages {
            let name = page_name(page).ok_or(DetectionError::Prediction)?;
            let items = labelled(page, layout, &layout.pred_cat_mapping, classes);
            all.extend(
                items
                    .into_iter()
                    .map(|(label, item)| (name.clone(), Some(label), item)),
            );
        }
        return Ok(all);
    }
    let results = prediction.get("results").and_then(Value::as_array);
    let categories = prediction.get("categories").and_then(Value::as_object);
    let (Some(results), Some(categories)) = (results, categories) else {
        return Err(DetectionError::Prediction);
    };
    let one = |item: &'a Value| {
        let name = stem(item.get("image_name")?.as_str()?);
        let id = match item.get("category_id")? {
            Value::String(id) => id.clone(),
            id => id.to_string(),
        };
        // In this format a category that the mapping does not name does not count.
        let category = categories.get(&id).and_then(Value::as_str);
        let class = category.and_then(|category| layout.pred_cat_mapping.get(category));
        Some((name, class.and_then(|class| label(class, classes)), item))
    };
    Ok(results.iter().filter_map(one).collect())
}

/// The boxes of a page that lead to a class.
fn labelled<'a>(
    page: &'a Value,
    layout: &Layout,
    mapping: &BTreeMap<String, String>,
    classes: &[String],
) -> Vec<(usize, &'a Value)> {
    let blocks = page
        .get("layout_dets")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    // A category that the mapping does not name stands for itself.
    let class_of = |item: &'a Value| {
        let category = item.get("category_type")?.as_str()?;
        Some(mapping.get(category).map_or(category, String::as_str))
    };
    let mut all = Vec::new();
    for block in blocks {
        let spans = block
            .get("line_with_spans")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let level = [(&layout.eval_cat.block_level, block)].into_iter();
        for (level, item) in level.chain(spans.map(|span| (&layout.eval_cat.span_level, span))) {
            if let Some(class) = class_of(item).filter(|class| level.iter().any(|one| one == class))
                && let Some(label) = label(class, classes)
            {
                all.push((label, item));
            }
        }
    }
    all
}

fn label(class: &str, classes: &[String]) -> Option<usize> {
    classes.iter().position(|name| name == class)
}

/// A page's picture without folder and extension.
fn page_name(page: &Value) -> Option<String> {
    Some(stem(page.get("page_info")?.get("image_path")?.as_str()?))
}

/// A file's name without folder and without the extension of a picture; other points belong to the name.
fn stem(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    match name.rsplit_once('.') {
        Some((stem, "jpg" | "jpeg" | "png")) => stem.to_owned(),
        _ => name.to_owned(),
    }
}

/// The numbers of a field.
fn numbers(item: &Value, key: &str) -> Option<Vec<f64>> {
    let numbers = item.get(key)?.as_array()?.iter().map(Value::as_f64);
    numbers.collect()
}

/// The box of an item: its `bbox`.
fn given(item: &Value) -> Option<[f64; 4]> {
    <[f64; 4]>::try_from(numbers(item, "bbox")?).ok()
}

/// The box of an item of a page: the official one of its `poly`, else its `bbox`.
fn corners(item: &Value) -> Option<[f64; 4]> {
    match numbers(item, "poly").as_deref() {
        // Upper left, upper right, lower right corner: the left and top of the first, the right of the second, the bottom
        // of the third, also where the box is slanted.
        Some(&[x1, y1, x2, _, _, y3, ..]) => Some([x1.min(x2), y1.min(y3), x1.max(x2), y1.max(y3)]),
        Some(&[x1, y1, x2, y2]) => Some([x1.min(x2), y1.min(y2), x1.max(x2), y1.max(y2)]),
        _ => given(item),
    }
}

/// The beginning of an item, for a message.
fn short(item: &Value) -> String {
    let shown = item
        .get("bbox")
        .or_else(|| item.get("poly"))
        .unwrap_or(item);
    shown.to_string().chars().take(60).collect()
}
