//! Simple match: one annotated line with one predicted line, at the least total distance.

use base::numerics::assign;

use super::distance::matrix;
use super::lines::{Line, Lines, Reader};
use super::record::{Match, Place, kind, start};
use crate::omnidocbench::Protocol;
use crate::omnidocbench::page::Block;

/// The matches of a list, and the predicted blocks that were left over.
pub(super) fn matches(
    gt: &[&Block],
    pred: &[&Block],
    lines: Lines,
    protocol: Protocol,
    image: &str,
) -> (Vec<Match>, Vec<usize>) {
    let mut reader = Reader::new(lines, protocol);
    let gt_lines = reader.gt(gt);
    let pred_lines = reader.pred(pred);
    let gt_refs: Vec<&Line> = gt_lines.iter().collect();
    let pred_refs: Vec<&Line> = pred_lines.iter().collect();
    let width = pred_lines.len();
    let cost = matrix(&gt_refs, &pred_refs);
    let mut partner: Vec<Option<usize>> = vec![None; gt_lines.len()];
    let mut left = vec![true; width];
    for (row, column) in assign(&cost, gt_lines.len(), width) {
        partner[row] = Some(column);
        left[column] = false;
    }
    let left: Vec<usize> = (0..width).filter(|&at| left[at]).collect();
    let mut out: Vec<Match> = partner
        .iter()
        .enumerate()
        .map(|(row, column)| {
            let found = column.and_then(|at| Some((at, pred_lines.get(at)?)));
            // The official tool asks for the index's truth: the first predicted line is matched, but its kind and place
            // are not reported.
            let first = column
                .filter(|at| *at > 0)
                .and_then(|at| pred.get(at).copied());
            let block = gt.get(row).copied();
            Match {
                gt_idx: vec![row],
                gt: gt_lines[row].raw.to_owned(),
                norm_gt: gt_lines[row].norm.to_string(),
                gt_category: gt_lines[row].category.to_owned(),
                gt_position: vec![block.and_then(Place::of)],
                gt_attribute: vec![block.map(|b| b.attribute.clone()).unwrap_or_default()],
                pred_idx: found.iter().map(|(at, _)| *at).collect(),
                pred: found.map_or("", |(_, line)| line.raw).to_owned(),
                norm_pred: found.map_or("", |(_, line)| &line.norm).to_owned(),
                pred_category: first.map(kind).unwrap_or_default(),
                pred_position: first.and_then(start),
                edit: column.map_or(1.0, |at| cost[row * width + at]),
                edits: None,
                image: image.to_owned(),
            }
        })
        .collect();
    let tables = matches!(lines, Lines::HtmlTable | Lines::LatexTable);
    if !left.is_empty() && (!tables || gt_lines.is_empty()) {
        let lines: Vec<&Line> = left.iter().map(|&at| &pred_lines[at]).collect();
        let first = left.first().and_then(|&at| pred.get(at).copied());
        out.push(Match {
            gt_position: vec![None],
            gt_attribute: vec![Default::default()],
            pred_idx: left.clone(),
            pred: lines.iter().map(|line| line.raw).collect(),
            norm_pred: lines.iter().map(|line| line.norm.as_ref()).collect(),
            pred_category: first.map(kind).unwrap_or_default(),
            pred_position: first.and_then(start),
            edit: 1.0,
            image: image.to_owned(),
            ..Match::default()
        });
    }
    (out, left)
}
