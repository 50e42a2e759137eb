//! A match: annotated blocks and the predicted pieces that belong to them.

use std::borrow::Cow;
use std::sync::Arc;

use serde::ser::{Serialize, Serializer};
use serde_json::Value;

use crate::omnidocbench::page::{Attributes, Block};

/// Where an annotated block stands: its reading order, or, in a ground truth that is markdown, its first character.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Place(pub f64);

/// Annotated blocks and predicted pieces that belong together.
///
/// An empty list of indices is the official `[""]`: nothing on that side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Match {
    /// Annotated blocks, counted in the list that was matched.
    pub gt_idx: Vec<usize>,
    /// Their text as annotated.
    pub gt: String,
    /// Their text, normalised.
    pub norm_gt: String,
    /// Their category; of several the most frequent that is scored.
    pub gt_category: String,
    /// Where each stands, where known.
    pub gt_position: Vec<Option<Place>>,
    /// Attributes of each.
    pub gt_attribute: Vec<Arc<Attributes>>,
    /// Predicted pieces, counted in the list that was matched.
    pub pred_idx: Vec<usize>,
    /// Their text as predicted.
    pub pred: String,
    /// Their text, normalised.
    pub norm_pred: String,
    /// Kind of the first piece; empty without one.
    pub pred_category: String,
    /// First character of the first piece.
    pub pred_position: Option<i64>,
    /// Normalised edit distance that the match was made at; not a score.
    pub edit: f64,
    /// Edits between the normalised texts, where they are known from matching.
    pub edits: Option<usize>,
    /// File name of the page's picture.
    pub image: String,
}

impl Match {
    /// The match as the official tool writes it.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(Record::of(self)).unwrap_or_default()
    }
}

/// A match as the official tool writes it, with its scores once it has some.
#[derive(serde::Serialize)]
pub(crate) struct Record<'a> {
    #[serde(rename = "CDM_failed", skip_serializing_if = "Option::is_none")]
    pub cdm_failed: Option<String>,
    #[serde(rename = "CDM_precision", skip_serializing_if = "Option::is_none")]
    pub cdm_precision: Option<f64>,
    #[serde(rename = "CDM_recall", skip_serializing_if = "Option::is_none")]
    pub cdm_recall: Option<f64>,
    #[serde(rename = "Edit_num", skip_serializing_if = "Option::is_none")]
    pub edit_num: Option<usize>,
    #[serde(rename = "TEDS_failed", skip_serializing_if = "Option::is_none")]
    pub teds_failed: Option<String>,
    edit: PyFloat,
    gt: &'a str,
    gt_attribute: Vec<&'a Attributes>,
    gt_category_type: &'a str,
    gt_idx: Indices<'a>,
    gt_position: Vec<Spot>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_name: Option<&'a str>,
    img_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<Scores>,
    norm_gt: &'a str,
    norm_pred: &'a str,
    pred: &'a str,
    pred_category_type: &'a str,
    pred_idx: Indices<'a>,
    pred_position: Spot,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper_len: Option<usize>,
}

impl<'a> Record<'a> {
    /// The record of a match without scores.
    pub fn of(found: &'a Match) -> Self {
        let places = found.gt_position.iter();
        Self {
            cdm_failed: None,
            cdm_precision: None,
            cdm_recall: None,
            edit_num: None,
            teds_failed: None,
            edit: PyFloat(found.edit),
            gt: &found.gt,
            gt_attribute: found.gt_attribute.iter().map(AsRef::as_ref).collect(),
            gt_category_type: &found.gt_category,
            gt_idx: Indices(&found.gt_idx),
            gt_position: places.map(|at| Spot(at.map(|Place(at)| at))).collect(),
            image_name: None,
            img_id: &found.image,
            metric: None,
            norm_gt: &found.norm_gt,
            norm_pred: &found.norm_pred,
            pred: &found.pred,
            pred_category_type: &found.pred_category,
            pred_idx: Indices(&found.pred_idx),
            pred_position: Spot(found.pred_position.map(|at| at as f64)),
            upper_len: None,
        }
    }
}

/// Scores by their official names, in the order of the names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores(pub Vec<(Cow<'static, str>, f64)>);

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, score)| (name, score)))
    }
}

/// Indices; none are the official `[""]`.
struct Indices<'a>(&'a [usize]);

impl Serialize for Indices<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [] => [""].serialize(to),
            list => list.serialize(to),
        }
    }
}

/// A number, written whole where it is whole.
pub(crate) struct PyFloat(pub f64);

impl Serialize for PyFloat {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.fract() == 0.0 && self.0.abs() < 1e15 {
            true => to.serialize_i64(self.0 as i64),
            false => to.serialize_f64(self.0),
        }
    }
}

/// A place; the official tool writes an empty text where there is none.
struct Spot(Option<f64>);

impl Serialize for Spot {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(at) => PyFloat(at).serialize(to),
            None => to.serialize_str(""),
        }
    }
}

impl Place {
    /// Where an annotated block stands: its order unless that is 0, else its first character.
    pub(super) fn of(block: &Block) -> Option<Self> {
        let order = block.order.filter(|order| *order != 0.0);
        order
            .or_else(|| block.position.map(|at| at[0] as f64))
            .map(Self)
    }
}

/// The kind of a predicted piece, as fine as it is known.
pub(super) fn kind(block: &Block) -> String {
    block.fine.as_ref().unwrap_or(&block.category).clone()
}

/// The first character of a predicted piece.
pub(super) fn start(block: &Block) -> Option<i64> {
    block.position.map(|at| at[0])
}
