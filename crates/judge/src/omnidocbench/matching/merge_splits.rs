//! Paragraphs that were split: runs of neighbouring predicted lines that together make an annotated one.

use std::borrow::Cow;
use std::cell::{LazyCell, OnceCell};
use std::ops::Deref;

use base::numerics::Pattern;

use super::distance::{largest, norms, share, table};
use super::lines::{BLANK, Line};
use super::subset::{Run, settle};
use super::windows::occurs;
use crate::omnidocbench::Protocol;

/// Below this normalised distance two lines belong together, and neither is looked at further.
pub(super) const SURE: f64 = 0.25;

/// A part of a paragraph occurs in it with at most this share of its length changed.
const PART: f64 = 0.6;

/// Most lines that are joined (v1.6).
const MOST: usize = 160;

/// Normalised distances of annotated lines to columns: single predicted lines, or runs of them joined by blanks.
pub(super) struct Columns<'a> {
    /// First line and number of lines of each column.
    pub spans: Vec<(usize, usize)>,
    /// `[gt, column]`, row by row.
    pub cost: Cow<'a, [f64]>,
}

/// What the search works on.
struct Search<'a> {
    gt: &'a [&'a Line<'a>],
    pred: &'a [&'a Line<'a>],
    /// `[gt, pred]`.
    cost: &'a [f64],
    /// Predicted lines that surely belong to some annotated line.
    taken: Vec<bool>,
    /// Of each predicted line its pattern, once it was looked for.
    patterns: Vec<OnceCell<Pattern>>,
    /// Most lines that are joined.
    most: usize,
}

/// The columns after split paragraphs were found; `late` says that time is up, then there are none.
pub(super) fn columns<'a>(
    gt: &[&Line],
    pred: &[&Line],
    cost: &'a [f64],
    protocol: Protocol,
    late: &dyn Fn() -> bool,
) -> Option<Columns<'a>> {
    let width = pred.len();
    let mut taken = vec![false; width];
    let mut open = Vec::new();
    for (row, costs) in cost.chunks(width.max(1)).enumerate() {
        let mut sure = false;
        for (at, _) in costs.iter().enumerate().filter(|(_, cost)| **cost < SURE) {
            taken[at] = true;
            sure = true;
        }
        if !sure {
            open.push(row);
        }
    }
    let search = Search {
        gt,
        pred,
        cost,
        taken,
        patterns: vec![OnceCell::new(); width],
        most: match protocol {
            Protocol::V1_0 | Protocol::V1_5 => usize::MAX,
            Protocol::V1_6 => MOST,
        },
    };
    let mut best = Vec::new();
    for row in open {
        if late() {
            return None;
        }
        best.extend(search.best(row));
    }
    let runs = settle(best);
    let spans = spans(width, &runs);
    if spans.len() == width {
        return Some(Columns {
            spans,
            cost: cost.into(),
        });
    }
    let long = spans.iter().filter(|(_, len)| *len > 1);
    let runs: Vec<Vec<u32>> = long
        .map(|&(first, len)| joined(&pred[first..first + len]))
        .collect();
    let texts: Vec<&[u32]> = runs.iter().map(Vec::as_slice).collect();
    let far = table(&norms(gt), &texts);
    let mut merged = Vec::with_capacity(gt.len() * spans.len());
    for row in 0..gt.len() {
        let mut far = far.iter().skip(row * texts.len());
        for &(first, len) in &spans {
            let cost = match len {
                1 => None,
                _ => far.next().copied(),
            };
            merged.push(cost.unwrap_or_else(|| search.single(row, first)));
        }
    }
    Some(Columns {
        spans,
        cost: merged.into(),
    })
}

/// All predicted lines, those of a run as one.
fn spans(width: usize, runs: &[Run]) -> Vec<(usize, usize)> {
    let mut spans = Vec::with_capacity(width);
    let mut sorted: Vec<(usize, usize)> = runs.iter().map(|run| (run.first, run.len)).collect();
    sorted.sort_unstable();
    let mut at = 0;
    for (first, len) in sorted {
        spans.extend((at..first).map(|line| (line, 1)));
        spans.push((first, len));
        at = first + len;
    }
    spans.extend((at..width).map(|line| (line, 1)));
    spans
}

/// Lines joined by blanks.
pub(super) fn joined(lines: &[&Line]) -> Vec<u32> {
    let mut all = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            all.push(BLANK);
        }
        all.extend(&line.symbols);
    }
    all
}

impl Search<'_> {
    /// The nearest run for an annotated line; of equally near ones the first.
    fn best(&self, row: usize) -> Option<Run> {
        let mut best: Option<Run> = None;
        let text = &self.gt[row].symbols;
        let pattern = LazyCell::new(|| Pattern::new(text));
        let mut occurs = Occurrences::new(text, self);
        for first in (0..self.pred.len()).filter(|&at| !self.taken[at]) {
            let run = self.grow((row, &pattern), first, &mut occurs);
            if best.is_none_or(|best| run.cost < best.cost) {
                best = Some(run);
            }
        }
        best
    }

    /// The run that begins with `first`, as long as each line makes it nearer.
    fn grow(
        &self,
        (row, pattern): (usize, &impl Deref<Target = Pattern>),
        first: usize,
        occurs: &mut Occurrences,
    ) -> Run {
        let mut text = Vec::new();
        let mut run = Run {
            first,
            len: 1,
            cost: self.single(row, first),
        };
        loop {
            let next = first + run.len;
            let may = run.len < self.most && self.taken.get(next) == Some(&false);
            let Some(line) = self.pred.get(next).filter(|_| may) else {
                return run;
            };
            if text.is_empty() {
                text.extend(&self.pred[first].symbols);
            }
            let before = text.len();
            text.push(BLANK);
            text.extend(&line.symbols);
            // The parts are looked at before the whole: they are shorter, and most fail.
            let parts =
                occurs.at_most(next, false) && (first..next).all(|part| occurs.at_most(part, true));
            let nearer = parts.then(|| within(pattern, &text, run.cost)).flatten();
            let Some(cost) = nearer else {
                text.truncate(before);
                return run;
            };
            run.len += 1;
            run.cost = cost;
            if text.len() > self.gt[row].symbols.len() {
                return run;
            }
        }
    }

    fn single(&self, row: usize, at: usize) -> f64 {
        self.cost
            .get(row * self.pred.len() + at)
            .copied()
            .unwrap_or(1.0)
    }
}

/// The normalised distance of the pattern to `text` where it is at most `most`.
fn within(pattern: &Pattern, text: &[u32], most: f64) -> Option<f64> {
    let longest = pattern.len().max(text.len());
    let limit = largest(longest, |share| share <= most)?;
    let edits = pattern.within(text, limit)?;
    Some(share(edits, pattern.len(), text.len()))
}

/// Whether predicted lines occur in one annotated line; each is looked for once.
struct Occurrences<'a> {
    text: &'a [u32],
    search: &'a Search<'a>,
    /// For each predicted line: within [`PART`], and below it.
    known: Vec<[Option<bool>; 2]>,
}

impl<'a> Occurrences<'a> {
    fn new(text: &'a [u32], search: &'a Search<'a>) -> Self {
        Self {
            text,
            search,
            known: vec![[None; 2]; search.pred.len()],
        }
    }

    /// Whether line `at` occurs with a share of changes of at most [`PART`], or, unless `inclusive`, of less.
    fn at_most(&mut self, at: usize, inclusive: bool) -> bool {
        let slot = usize::from(inclusive);
        if let Some(known) = self.known.get(at).and_then(|known| known[slot]) {
            return known;
        }
        let search = self.search;
        let Some((line, pattern)) = search.pred.get(at).zip(search.patterns.get(at)) else {
            return false;
        };
        let len = line.symbols.len();
        let limits = [
            largest(len, |share| share < PART),
            largest(len, |share| share <= PART),
        ];
        let pattern = || pattern.get_or_init(|| Pattern::new(&line.symbols));
        let found = len <= self.text.len()
            && limits[slot].is_some_and(|limit| occurs(pattern(), self.text, limit));
        if let Some(known) = self.known.get_mut(at) {
            // As shares of most lengths the two are as many edits.
            match limits[0] == limits[1] {
                true => *known = [Some(found); 2],
                false => known[slot] = Some(found),
            }
        }
        found
    }
}
