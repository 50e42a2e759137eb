//! Formulas in their order, each with a run of pieces that are joined, at the least total cost.

use super::{Match, Sides};
use crate::omnidocbench::matching::distance::share;
use base::numerics::levenshtein_numbered;

/// Most pieces that are joined, where both sides have about as many, and where they have not.
const MOST: [usize; 2] = [10, 12];

/// What the formulas so far cost: distances, edits, characters, inline formulas.
#[derive(Clone, Copy)]
struct State {
    total: f64,
    edits: usize,
    characters: usize,
    inline: usize,
}

/// How a state was reached.
#[derive(Clone)]
struct Step {
    gt: usize,
    pred: usize,
    /// The formula's pieces; `None` where none was taken, and `gt` tells which side was passed over.
    pieces: Option<Vec<usize>>,
}

impl State {
    fn is_better_than(&self, other: Option<&Self>) -> bool {
        let Some(other) = other else {
            return true;
        };
        if (self.total - other.total).abs() > super::EQUAL {
            return self.total < other.total;
        }
        match (self.characters, other.characters) {
            (0, 0) => {}
            (0, _) => return false,
            (_, 0) => return true,
            (mine, others) => {
                let (left, right) = (self.edits * others, other.edits * mine);
                if left != right {
                    return left < right;
                }
            }
        }
        self.inline < other.inline
    }

    fn dearer(self) -> Self {
        Self {
            total: self.total + 1.0,
            ..self
        }
    }
}

/// A run of pieces that may be joined.
struct Run {
    pieces: Vec<usize>,
    symbols: Vec<u32>,
    inline: bool,
}

impl Sides<'_> {
    /// Each formula with a run of pieces, in order; with `gaps` a piece or two of a run may be left out.
    pub(super) fn joined(&self, gaps: bool) -> Option<Vec<Match>> {
        let (gts, preds) = (self.gt.len(), self.pred.len());
        if gts == 0 || preds == 0 {
            return None;
        }
        let width = preds + 1;
        let mut states: Vec<Option<State>> = vec![None; (gts + 1) * width];
        let mut steps: Vec<Option<Step>> = vec![None; states.len()];
        states[0] = Some(State {
            total: 0.0,
            edits: 0,
            characters: 0,
            inline: 0,
        });
        let runs: Vec<Vec<Run>> = (0..preds).map(|first| self.runs(first, gaps)).collect();
        for gt in 0..=gts {
            for pred in 0..width {
                let Some(state) = states[gt * width + pred] else {
                    continue;
                };
                let mut reach = |at: usize, next: State, pieces: Option<&[usize]>| {
                    if next.is_better_than(states[at].as_ref()) {
                        states[at] = Some(next);
                        let pieces = pieces.map(<[usize]>::to_vec);
                        steps[at] = Some(Step { gt, pred, pieces });
                    }
                };
                if pred < preds {
                    reach(gt * width + pred + 1, state.dearer(), None);
                }
                let Some(line) = self.gt.get(gt) else {
                    continue;
                };
                reach((gt + 1) * width + pred, state.dearer(), None);
                for run in runs.get(pred).into_iter().flatten() {
                    let longest = line.symbols.len().max(run.symbols.len());
                    let edits = levenshtein_numbered(&line.symbols, &run.symbols);
                    let next = State {
                        total: state.total + share(edits, longest, 0),
                        edits: state.edits + edits,
                        characters: state.characters + longest,
                        inline: state.inline + usize::from(run.inline),
                    };
                    let last = run.pieces.last().copied().unwrap_or(pred);
                    reach((gt + 1) * width + last + 1, next, Some(&run.pieces));
                }
            }
        }
        let mut found = Vec::with_capacity(gts);
        let (mut gt, mut pred) = (gts, preds);
        while gt > 0 || pred > 0 {
            let step = steps[gt * width + pred].as_ref()?;
            match &step.pieces {
                Some(pieces) => found.push(self.found(step.gt, pieces)),
                None if step.gt < gt => found.push(self.found(step.gt, &[])),
                None => {}
            }
            (gt, pred) = (step.gt, step.pred);
        }
        found.reverse();
        (found.len() == gts).then_some(found)
    }

    /// The runs that begin with a piece: each longer one after the shorter one that it goes on.
    fn runs(&self, first: usize, gaps: bool) -> Vec<Run> {
        let (gts, preds) = (self.gt.len(), self.pred.len());
        let apart = gts.abs_diff(preds);
        let most = MOST[usize::from(gts > 1 && apart >= 2)].min(preds);
        let skips = match gaps {
            false => 0,
            true if apart >= 3 => 2,
            true => usize::from(apart >= 1 || preds >= 4),
        };
        let span = if gaps { preds.min(most + 2) } else { most };
        let end = preds.min(first + span);
        let mut runs = Vec::new();
        self.longer(vec![first], (most, end, skips), &mut runs);
        runs
    }

    fn longer(
        &self,
        run: Vec<usize>,
        (most, end, skips): (usize, usize, usize),
        runs: &mut Vec<Run>,
    ) {
        // What may not be joined may not be part of more.
        if !self.may_join(&run) {
            return;
        }
        runs.extend(self.run(&run));
        let Some(&last) = run.last().filter(|_| run.len() < most) else {
            return;
        };
        for next in last + 1..end {
            let skipped = next - last - 1;
            if skipped > skips {
                break;
            }
            let mut run = run.clone();
            run.push(next);
            self.longer(run, (most, end, skips - skipped), runs);
        }
    }

    /// Whether pieces may be one formula: all from one, or neighbours of which none is inline.
    fn may_join(&self, run: &[usize]) -> bool {
        let pieces = || run.iter().filter_map(|&at| self.pieces.get(at));
        let source = pieces().next().map(|piece| piece.source);
        let [first, .., last] = run else {
            return true;
        };
        pieces().all(|piece| Some(piece.source) == source)
            || (last - first + 1 == run.len()
                && pieces().all(|piece| piece.category() == super::FORMULA))
    }

    fn run(&self, run: &[usize]) -> Option<Run> {
        let mut symbols = Vec::new();
        for (at, line) in run.iter().filter_map(|&at| self.pred.get(at)).enumerate() {
            if at > 0 {
                symbols.push(super::super::lines::BLANK);
            }
            symbols.extend(&line.symbols);
        }
        let first = run.first().and_then(|&at| self.pieces.get(at))?;
        Some(Run {
            inline: run.len() == 1 && first.block.is_inline(),
            pieces: run.to_vec(),
            symbols,
        })
    }
}

impl super::Piece<'_> {
    fn category(&self) -> String {
        super::plain(super::kind(&self.block))
    }
}
