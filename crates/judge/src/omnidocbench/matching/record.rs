//! A match: annotated blocks and the predicted pieces that belong to them.

use serde_json::{Value, json};

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
    pub gt_attribute: Vec<Attributes>,
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
    /// File name of the page's picture.
    pub image: String,
}

impl Match {
    /// The match as the official tool writes it.
    pub fn to_json(&self) -> Value {
        let indices = |list: &[usize]| match list.is_empty() {
            true => json!([""]),
            false => json!(list),
        };
        let places = self.gt_position.iter().map(|place| match place {
            Some(Place(at)) => number(*at),
            None => json!(""),
        });
        let places: Vec<Value> = places.collect();
        json!({
            "gt_idx": indices(&self.gt_idx),
            "gt": self.gt,
            "norm_gt": self.norm_gt,
            "gt_category_type": self.gt_category,
            "gt_position": places,
            "gt_attribute": self.gt_attribute,
            "pred_idx": indices(&self.pred_idx),
            "pred": self.pred,
            "norm_pred": self.norm_pred,
            "pred_category_type": self.pred_category,
            "pred_position": self.pred_position.map_or(json!(""), |at| json!(at)),
            "edit": number(self.edit),
            "img_id": self.image,
        })
    }
}

/// A number, written whole where it is whole.
pub(crate) fn number(value: f64) -> Value {
    match value.fract() == 0.0 && value.abs() < 1e15 {
        true => json!(value as i64),
        false => json!(value),
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
