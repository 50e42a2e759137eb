//! From lines that belong together to matches with everything that the official tool says of them.

use super::LineSubset;
use crate::omnidocbench::Protocol;
use crate::omnidocbench::matching::lines::Line;
use crate::omnidocbench::matching::pool::Shared;
use crate::omnidocbench::matching::record::{Match, Place, kind, start};
use crate::omnidocbench::merge::{FORMULA, IGNORED};
use crate::omnidocbench::normalize::without_delimiters;

impl LineSubset<'_> {
    /// Matches with everything that the official tool says of them.
    pub(super) fn matches(&self, shared: Vec<Shared>) -> Vec<Match> {
        shared
            .into_iter()
            .map(|shared| self.matched(&shared))
            .collect()
    }

    fn matched(&self, shared: &Shared) -> Match {
        let place = |list: &[usize], at: &usize| list.get(*at).copied();
        let gts: Vec<usize> = shared
            .gts
            .iter()
            .filter_map(|at| place(&self.gt, at))
            .collect();
        let preds: Vec<usize> = shared
            .preds
            .iter()
            .filter_map(|at| place(&self.pred, at))
            .collect();
        let gt_lines: Vec<&Line> = gts.iter().filter_map(|&at| self.list.gt.get(at)).collect();
        let pred_lines: Vec<&Line> = preds
            .iter()
            .filter_map(|&at| self.list.pred.get(at))
            .collect();
        // Blocks of parts are those of the part's lines, counted like them.
        let all = self.list.gt_blocks;
        let gt_blocks = gts.iter().filter_map(|&at| all.get(at));
        let first = preds
            .first()
            .and_then(|&at| self.list.pred_blocks.get(at).copied());
        let gt_category = category(&gt_lines);
        let edits = match (gt_lines.as_slice(), pred_lines.as_slice()) {
            ([a], [b]) if shared.apart.is_some() => {
                let longest = a.length.max(b.length);
                shared
                    .apart
                    .map(|apart| (apart * longest as f64).round() as usize)
            }
            _ => None,
        };
        let pred_category = first.map(kind).unwrap_or_default();
        Match {
            gt: raw(&gt_lines, self.arrays.filter(|_| gt_category == FORMULA)),
            norm_gt: joined(gt_lines.iter().map(|line| line.norm.as_ref())),
            gt_category,
            gt_position: match gts.is_empty() {
                true => vec![None],
                false => gt_blocks.clone().map(|block| Place::of(block)).collect(),
            },
            gt_attribute: match gts.is_empty() {
                true => vec![Default::default()],
                false => gt_blocks.map(|block| block.attribute.clone()).collect(),
            },
            gt_idx: gts,
            pred: raw(
                &pred_lines,
                self.arrays.filter(|_| pred_category.contains("equation")),
            ),
            norm_pred: joined(pred_lines.iter().map(|line| line.norm.as_ref())),
            pred_category,
            pred_position: first.and_then(start),
            pred_idx: preds,
            edit: shared.edit,
            edits,
            image: self.list.image.to_owned(),
        }
    }
}

/// The most frequent category of lines that are scored, else of all; of equally frequent ones the first.
fn category(lines: &[&Line]) -> String {
    let scored: Vec<&str> = {
        let all = lines.iter().map(|line| line.category);
        let scored: Vec<&str> = all.clone().filter(|name| !IGNORED.contains(name)).collect();
        if scored.is_empty() {
            all.collect()
        } else {
            scored
        }
    };
    let count = |name: &str| scored.iter().filter(|other| **other == name).count();
    let mut best = ("", 0);
    for name in &scored {
        let times = count(name);
        if times > best.1 {
            best = (name, times);
        }
    }
    best.0.to_owned()
}

/// Texts one after the other.
fn joined<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> String {
    let mut all = String::with_capacity(texts.clone().map(str::len).sum());
    all.extend(texts);
    all
}

/// Lines one after the other; several formulas, where `arrays` says by whose rules, as the lines of an array.
fn raw(lines: &[&Line], arrays: Option<Protocol>) -> String {
    let Some(protocol) = arrays.filter(|_| lines.len() > 1) else {
        return joined(lines.iter().map(|line| line.raw));
    };
    array(lines.iter().map(|line| match protocol {
        Protocol::V1_6 => without_delimiters(line.raw),
        _ => line.raw.trim_matches('$').trim_matches('\n'),
    }))
}

/// Formulas as the lines of an array.
pub(in crate::omnidocbench::matching) fn array<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let rows: Vec<String> = lines.map(|line| format!("{{{line}}}")).collect();
    format!(
        "\\begin{{array}}{{l}} {} \\end{{array}}",
        rows.join(" \\\\ ")
    )
}
