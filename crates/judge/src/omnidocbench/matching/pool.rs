//! From an assignment to matches: several annotated lines may share predicted ones, and nothing is lost.

use base::numerics::assign;
use rustc_hash::{FxHashMap, FxHashSet};

use super::distance::distance;
use super::lines::Line;
use super::merge_splits::joined;
use super::set_order::difference;
use crate::omnidocbench::Protocol;

/// Annotated lines with the predicted lines that they share.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shared {
    /// Predicted lines, rising.
    pub preds: Vec<usize>,
    /// Annotated lines.
    pub gts: Vec<usize>,
    /// Normalised edit distance.
    pub edit: f64,
    /// The same where it is known to be that of these lines, joined by blanks, and not merely a token of no match.
    pub apart: Option<f64>,
}

/// The normalised distance of each annotated line to each predicted one.
pub(super) type Near<'a> = &'a dyn Fn(usize, usize) -> f64;

/// Matches by their predicted lines, in the order in which they came up.
#[derive(Default)]
pub(super) struct Pool {
    shared: Vec<Shared>,
    /// Of each, an annotated line whose distance to the predicted ones is known.
    known: Vec<Option<(usize, f64)>>,
    places: FxHashMap<Vec<usize>, usize>,
    placed: FxHashSet<usize>,
}

impl Pool {
    /// An annotated line matches predicted ones; an annotated line that has a match keeps that one.
    ///
    /// `cost` is their normalised distance, the predicted ones joined by blanks, where it is known.
    pub fn add(&mut self, gt: usize, preds: Vec<usize>, cost: Option<f64>) {
        let is_new = self.placed.insert(gt);
        let next = self.shared.len();
        let at = *self.places.entry(preds.clone()).or_insert(next);
        if at == next {
            self.shared.push(Shared {
                preds,
                gts: Vec::new(),
                edit: 1.0,
                apart: None,
            });
            self.known.push(cost.map(|cost| (gt, cost)));
        }
        if let Some(shared) = self.shared.get_mut(at).filter(|_| is_new) {
            shared.gts.push(gt);
        }
    }

    /// Distances of what is matched now: several annotated lines, joined, to the first predicted line only; one to all of
    /// its predicted lines, joined by blanks.
    fn measure(&mut self, gt: &[&Line], pred: &[&Line], near: Near) {
        for (shared, known) in self.shared.iter_mut().zip(&self.known) {
            shared.gts.sort_unstable();
            shared.edit = match (&shared.gts[..], &shared.preds[..], known) {
                ([], _, _) => 1.0,
                (&[only], _, &Some((gt, cost))) if gt == only => cost,
                (&[gt], &[pred], _) => near(gt, pred),
                (&[only], _, _) => {
                    let line = gt.get(only).map_or(&[][..], |line| &line.symbols);
                    distance(line, &joined(&pick(pred, &shared.preds)))
                }
                _ => {
                    let whole: Vec<u32> = pick(gt, &shared.gts)
                        .iter()
                        .flat_map(|line| line.symbols.iter().copied())
                        .collect();
                    let first = pick(pred, &shared.preds);
                    distance(&whole, first.first().map_or(&[], |line| &line.symbols))
                }
            };
            shared.apart = (!shared.gts.is_empty()).then_some(shared.edit);
        }
    }

    /// All matches: those made, then pairs of what is left on both sides, then, of the side that has more, the rest.
    pub fn settle(
        mut self,
        gt: &[&Line],
        pred: &[&Line],
        near: Near,
        protocol: Protocol,
    ) -> Vec<Shared> {
        self.measure(gt, pred, near);
        let mut gt_seen = vec![false; gt.len()];
        let mut pred_seen = vec![false; pred.len()];
        for shared in &self.shared {
            shared.gts.iter().for_each(|&at| gt_seen[at] = true);
            shared.preds.iter().for_each(|&at| pred_seen[at] = true);
        }
        let gts = difference(gt.len(), |at| gt_seen[at]);
        let preds = difference(pred.len(), |at| pred_seen[at]);
        let mut out = self.shared;
        out.retain(|shared| !shared.gts.is_empty());
        let single = |gts: Vec<usize>, preds: Vec<usize>| Shared {
            preds,
            gts,
            edit: 1.0,
            apart: None,
        };
        if gts.is_empty() && !preds.is_empty() {
            out.push(single(Vec::new(), preds));
            return out;
        }
        for (row, column) in leftover(gt, &gts, pred, &preds, near, protocol) {
            gt_seen[gts[row]] = true;
            let (gt, pred) = (gts[row], preds[column]);
            out.push(Shared {
                apart: Some(near(gt, pred)),
                ..single(vec![gt], vec![pred])
            });
        }
        if protocol == Protocol::V1_0 && preds.is_empty() {
            // The evaluator of v1.0 lists these once here and once below.
            out.extend(gts.iter().map(|&at| single(vec![at], Vec::new())));
        }
        let unseen = (0..gt.len()).filter(|&at| !gt_seen[at]);
        out.extend(unseen.map(|at| single(vec![at], Vec::new())));
        out
    }
}

/// What is left on both sides, paired at the least total distance: normalised, under v1.0 not.
fn leftover(
    gt: &[&Line],
    gts: &[usize],
    pred: &[&Line],
    preds: &[usize],
    near: Near,
    protocol: Protocol,
) -> Vec<(usize, usize)> {
    let longest = |a: usize, b: usize| gt[a].symbols.len().max(pred[b].symbols.len());
    let pairs = gts.iter().flat_map(|&a| preds.iter().map(move |&b| (a, b)));
    let cost: Vec<f64> = pairs
        .map(|(a, b)| match protocol {
            Protocol::V1_0 => (near(a, b) * longest(a, b) as f64).round(),
            Protocol::V1_5 | Protocol::V1_6 => near(a, b),
        })
        .collect();
    assign(&cost, gts.len(), preds.len())
}

/// The lines at the given places.
pub(super) fn pick<'a>(lines: &[&'a Line<'a>], places: &[usize]) -> Vec<&'a Line<'a>> {
    places
        .iter()
        .filter_map(|&at| lines.get(at).copied())
        .collect()
}
