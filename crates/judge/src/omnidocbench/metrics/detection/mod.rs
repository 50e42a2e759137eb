//! Layout and formula detection: COCO's average precision of boxes.
//!
//! Boxes are corners `[x1, y1, x2, y2]` in pixels. A class's average precision is the mean precision at 101 recalls over
//! ten thresholds of overlap, .50 to .95; of a page and class at most the 100 best-scored boxes count. Everything follows
//! `pycocotools`, through which mmeval's `COCODetection` computes what the official evaluator reports: stable order among
//! equal scores, areas by half-open sizes of 32² and 96² pixels, no crowds.

mod coco;
mod dataset;

pub use coco::evaluate;
pub use dataset::{Classes, DetectionError, Layout, Pages, read};

/// An annotated box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// Left, top, right, bottom in pixels.
    pub corners: [f64; 4],
    /// Index of its class.
    pub label: usize,
}

/// A detected box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Left, top, right, bottom in pixels.
    pub corners: [f64; 4],
    /// Index of its class.
    pub label: usize,
    /// Confidence; higher is surer.
    pub score: f64,
}

/// A page with what is on it and what was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Annotated boxes.
    pub truth: Vec<Truth>,
    /// Detected boxes.
    pub found: Vec<Found>,
}

/// Average precisions, between 0 and 1; `None` where there is no annotated box to find.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detection {
    /// Over all thresholds and classes.
    pub mean: Option<f64>,
    /// At an overlap of .50.
    pub at_50: Option<f64>,
    /// At an overlap of .75.
    pub at_75: Option<f64>,
    /// Of boxes up to 32² pixels.
    pub small: Option<f64>,
    /// Of boxes between 32² and 96² pixels.
    pub medium: Option<f64>,
    /// Of boxes from 96² pixels on.
    pub large: Option<f64>,
    /// Of each class, over all thresholds.
    pub classes: Vec<Option<f64>>,
}

impl Detection {
    /// The figures under the names of the official report, given those of the classes.
    pub fn named(&self, classes: &[String]) -> Vec<(String, Option<f64>)> {
        let overall = [
            ("mAP", self.mean),
            ("mAP_50", self.at_50),
            ("mAP_75", self.at_75),
            ("mAP_s", self.small),
            ("mAP_m", self.medium),
            ("mAP_l", self.large),
        ];
        let overall = overall
            .iter()
            .map(|(name, value)| (format!("bbox_{name}"), *value));
        let each = classes.iter().zip(&self.classes);
        overall
            .chain(each.map(|(name, value)| (format!("bbox_{name}_precision"), *value)))
            .collect()
    }
}
