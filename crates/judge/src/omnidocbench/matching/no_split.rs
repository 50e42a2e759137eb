//! No-split match: a page's annotated lines, in reading order, against its predicted ones, as two texts.

use super::distance::distance;
use super::lines::{Line, Lines, Reader};
use super::record::{Match, Place, start};
use crate::omnidocbench::Protocol;
use crate::omnidocbench::page::Block;

/// Name of the category that the official tool gives to joined lines.
pub(crate) const MERGED: &str = "text_merge";

/// The one match of a list; none where there is nothing on both sides.
pub(super) fn matches(
    gt: &[&Block],
    pred: &[&Block],
    lines: Lines,
    protocol: Protocol,
    image: &str,
) -> Vec<Match> {
    let mut reader = Reader::new(lines, protocol);
    let gt_lines = reader.gt(gt);
    let pred_lines = reader.pred(pred);
    // Lines without a place are left out.
    let mut gt_places: Vec<(f64, &Line)> = gt_lines
        .iter()
        .zip(gt)
        .filter_map(|(line, block)| Some((Place::of(block)?.0, line)))
        .filter(|(at, _)| *at != 0.0)
        .collect();
    gt_places.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut pred_places: Vec<(i64, &Line)> = pred_lines
        .iter()
        .zip(pred)
        .map(|(line, block)| (start(block).unwrap_or(0), line))
        .collect();
    pred_places.sort_by_key(|(at, _)| *at);
    let gt_sorted: Vec<&Line> = gt_places.into_iter().map(|(_, line)| line).collect();
    let pred_sorted: Vec<&Line> = pred_places.into_iter().map(|(_, line)| line).collect();
    let (gt, norm_gt) = joined(&gt_sorted);
    let (pred, norm_pred) = joined(&pred_sorted);
    if norm_gt.is_empty() && norm_pred.is_empty() {
        return Vec::new();
    }
    let edit = distance(&reader.symbols(&norm_gt), &reader.symbols(&norm_pred));
    vec![Match {
        gt_idx: vec![0],
        gt_category: MERGED.into(),
        gt_position: vec![None],
        gt_attribute: vec![Default::default()],
        pred_idx: vec![0],
        pred_category: MERGED.into(),
        edit,
        image: image.to_owned(),
        gt,
        norm_gt,
        pred,
        norm_pred,
        ..Match::default()
    }]
}

/// Lines with blank lines between them, as they are and normalised.
fn joined(lines: &[&Line]) -> (String, String) {
    let raw: Vec<&str> = lines.iter().map(|line| line.raw).collect();
    let norm: Vec<&str> = lines.iter().map(|line| line.norm.as_ref()).collect();
    (raw.join("\n\n"), norm.join("\n\n"))
}
