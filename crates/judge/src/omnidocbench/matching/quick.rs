//! Adjacency search match: paragraphs that a parser split or joined are found and matched whole.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Instant;

use base::numerics::{Pattern, assign};

use super::Matching;
use super::Pieces;
use super::arrays::{split_gt, split_pred};
use super::distance::{distance, largest, matrix};
use super::lines::{Line, Lines, Reader};
use super::merge_splits::{SURE, columns};
use super::pool::{Pool, Shared, pick};
use super::record::{Match, start};
use super::windows::occurs;
use crate::omnidocbench::Protocol;
use crate::omnidocbench::merge::{FORMULA, IGNORED};
use crate::omnidocbench::page::Block;

mod records;

pub(super) use records::array;

/// An assignment at more than this normalised distance is none.
const FAR: f64 = 0.7;

/// An unmatched annotated line joins a predicted one where it occurs with less than this share of it changed.
const INSIDE: f64 = 0.4;

/// Both sides of a list.
struct List<'a> {
    gt: Vec<Line<'a>>,
    pred: Vec<Line<'a>>,
    /// Blocks that indices of lines are looked up in. Lines without text are left out, so that an index may lead to a
    /// neighbour: the official tool does that too.
    gt_blocks: &'a [&'a Block],
    pred_blocks: &'a [&'a Block],
    image: &'a str,
}

/// Some lines of both sides, and what places in the list they have.
struct LineSubset<'a> {
    list: &'a List<'a>,
    gt: Vec<usize>,
    pred: Vec<usize>,
    /// By whose rules formulas of several lines are set as an array; `None` where they are not.
    arrays: Option<Protocol>,
}

/// The matches of a list; `None` when the time was up.
pub(super) fn matches(
    gt: &[&Block],
    pred: &[&Block],
    (lines, pieces): (Lines, Pieces),
    matching: &Matching,
    image: &str,
) -> Option<Vec<Match>> {
    let protocol = matching.protocol;
    let sorted = inline_last(pred);
    let gt = split_gt(gt, protocol);
    let pred = match (protocol, pieces) {
        (Protocol::V1_0, _) => whole(pred),
        (_, Pieces::Whole) => whole(&sorted),
        (_, Pieces::Rows) => split_pred(&sorted, protocol),
    };
    let (gt, pred) = (borrowed(&gt), borrowed(&pred));
    let mut reader = Reader::new(lines, protocol);
    let mut list = List {
        gt: reader.gt(&gt),
        pred: reader.pred(&pred),
        gt_blocks: &gt,
        pred_blocks: &pred,
        image,
    };
    if let Some(shared) = list.trivial() {
        list.forget();
        return Some(list.whole().matches(shared));
    }
    let begun = Instant::now();
    let late = || matching.limit.is_some_and(|limit| begun.elapsed() > limit);
    let (mut ignored, mut taken) = (Vec::new(), HashSet::new());
    let is_ignored = |line: &Line| protocol >= Protocol::V1_5 && IGNORED.contains(&line.category);
    let (unscored, scored): (Vec<usize>, Vec<usize>) =
        (0..list.gt.len()).partition(|&at| is_ignored(&list.gt[at]));
    if !unscored.is_empty() {
        (ignored, taken) = list.ignored(unscored, protocol);
    }
    let part = LineSubset {
        list: &list,
        gt: scored,
        pred: (0..list.pred.len())
            .filter(|at| !taken.contains(at))
            .collect(),
        arrays: (protocol >= Protocol::V1_5).then_some(protocol),
    };
    let shared = part.search(protocol, &late)?;
    let LineSubset { gt, pred, .. } = part;
    list.forget();
    let part = LineSubset {
        list: &list,
        gt,
        pred,
        arrays: (protocol >= Protocol::V1_5).then_some(protocol),
    };
    let mut matches = part.matches(shared);
    if protocol >= Protocol::V1_5 {
        let inline = |m: &Match| m.gt_idx.is_empty() && m.pred_category == "equation_inline";
        matches.retain(|found| !inline(found));
    }
    matches.extend(ignored);
    Some(matches)
}

fn whole<'a>(blocks: &[&'a Block]) -> Vec<Cow<'a, Block>> {
    blocks.iter().map(|&block| Cow::Borrowed(block)).collect()
}

fn borrowed<'a>(blocks: &'a [Cow<'a, Block>]) -> Vec<&'a Block> {
    blocks.iter().map(AsRef::as_ref).collect()
}

/// Predicted pieces by their first character, inline formulas after all others as they come.
pub(super) fn inline_last<'a>(pred: &[&'a Block]) -> Vec<&'a Block> {
    let mut sorted = pred.to_vec();
    sorted.sort_by_key(|block| (block.is_inline(), start(block).unwrap_or(0)));
    sorted
}

impl List<'_> {
    /// Drops the characters of lines, which have been compared: a long line has more of them than text.
    fn forget(&mut self) {
        let lines = self.gt.iter_mut().chain(&mut self.pred);
        lines.for_each(|line| line.symbols = Vec::new());
    }

    /// Nothing on one side, or one line on each.
    fn trivial(&self) -> Option<Vec<Shared>> {
        let single = |gts: Vec<usize>, preds: Vec<usize>, edit: f64| Shared {
            apart: (!gts.is_empty() && !preds.is_empty()).then_some(edit),
            preds,
            gts,
            edit,
        };
        Some(match (self.gt.as_slice(), self.pred.as_slice()) {
            ([], pred) => (0..pred.len())
                .map(|at| single(vec![], vec![at], 1.0))
                .collect(),
            (gt, []) => (0..gt.len())
                .map(|at| single(vec![at], vec![], 1.0))
                .collect(),
            ([a], [b]) => {
                let edit = distance(&a.symbols, &b.symbols);
                vec![single(vec![0], vec![0], edit)]
            }
            _ => return None,
        })
    }

    /// All lines.
    fn whole(&self) -> LineSubset<'_> {
        LineSubset {
            list: self,
            gt: (0..self.gt.len()).collect(),
            pred: (0..self.pred.len()).collect(),
            arrays: None,
        }
    }

    /// Lines that are not scored take the predicted lines that are surely theirs (v1.5). Returns their matches, and the
    /// predicted lines that are gone.
    fn ignored(&self, gts: Vec<usize>, protocol: Protocol) -> (Vec<Match>, HashSet<usize>) {
        let gt_lines: Vec<&Line> = gts.iter().map(|&at| &self.gt[at]).collect();
        let pred_lines: Vec<&Line> = self.pred.iter().collect();
        let cost = matrix(&gt_lines, &pred_lines);
        // A predicted line stands in the pool once for each hit.
        let mut hits = Vec::new();
        let mut last_of: Vec<Option<usize>> = vec![None; gts.len()];
        for (row, costs) in cost.chunks(self.pred.len().max(1)).enumerate() {
            for (at, _) in costs.iter().enumerate().filter(|(_, cost)| **cost < SURE) {
                last_of[row] = Some(hits.len());
                hits.push(at);
            }
        }
        let mut pool = Pool::default();
        for (row, hit) in last_of.iter().enumerate() {
            if let Some(hit) = hit {
                pool.add(row, vec![*hit], None);
            }
        }
        let hit_lines = pick(&pred_lines, &hits);
        let near = |row: usize, hit: usize| cost[row * pred_lines.len() + hits[hit]];
        let shared = pool.settle(&gt_lines, &hit_lines, &near, protocol);
        let taken = hits.iter().copied().collect();
        let part = LineSubset {
            list: self,
            gt: gts,
            pred: hits,
            arrays: None,
        };
        (part.matches(shared), taken)
    }
}

impl LineSubset<'_> {
    /// The search itself: sure pairs, split paragraphs, assignment, joined paragraphs, and what is left.
    fn search(&self, protocol: Protocol, late: &dyn Fn() -> bool) -> Option<Vec<Shared>> {
        let gt: Vec<&Line> = self.gt.iter().map(|&at| &self.list.gt[at]).collect();
        let pred: Vec<&Line> = self.pred.iter().map(|&at| &self.list.pred[at]).collect();
        let cost = matrix(&gt, &pred);
        let found = columns(&gt, &pred, &cost, protocol, late)?;
        let width = found.spans.len();
        let mut pool = Pool::default();
        let mut matched = vec![false; gt.len()];
        for (row, column) in assign(&found.cost, gt.len(), width) {
            let cost = found.cost.get(row * width + column).copied();
            if let (Some(cost), Some(&(first, len))) = (cost, found.spans.get(column))
                && cost <= FAR
            {
                matched[row] = true;
                pool.add(row, (first..first + len).collect(), Some(cost));
            }
        }
        let open: Vec<(usize, Pattern, usize)> = (0..gt.len())
            .filter(|&row| !matched[row])
            // A formula is not looked for within text (v1.6).
            .filter(|&row| protocol < Protocol::V1_6 || gt[row].category != FORMULA)
            .filter_map(|row| {
                let line = &gt[row].symbols;
                let limit = largest(line.len(), |share| share < INSIDE)?;
                Some((row, Pattern::new(line), limit))
            })
            .collect();
        for (at, line) in pred.iter().enumerate() {
            if late() {
                return None;
            }
            for (row, pattern, limit) in &open {
                if occurs(pattern, &line.symbols, *limit) {
                    pool.add(*row, vec![at], None);
                }
            }
        }
        let near = |row: usize, at: usize| cost[row * pred.len() + at];
        Some(pool.settle(&gt, &pred, &near, protocol))
    }
}
