//! Text that matches badly looks for a run of predicted pieces of its own (v1.6).

use std::borrow::Borrow;

use base::numerics::levenshtein;

use super::distance::share;
use super::lines::text;
use super::quick::inline_last;
use super::record::{Match, start};
use crate::omnidocbench::Protocol;
use crate::omnidocbench::merge::FORMULA;
use crate::omnidocbench::normalize::{regex, text_to_unicode, without_delimiters};
use crate::omnidocbench::page::Block;

const PROTOCOL: Protocol = Protocol::V1_6;

/// At most this normalised distance a match is left as it is.
const FAR: f64 = 0.45;
/// A run must be nearer than the match by this much.
const GAIN: f64 = 0.2;
/// Shorter text, in characters, without a formula in it is left as it is; titles never are.
const SHORT: usize = 80;
/// How many pieces before and after those of the match are looked at.
const AROUND: usize = 8;

/// Text or formula, as text.
fn as_text(is_formula: bool, raw: &str) -> String {
    let raw = if is_formula {
        without_delimiters(raw)
    } else {
        raw
    };
    text_to_unicode(raw, PROTOCOL)
}

fn is_formula(category: &str) -> bool {
    matches!(category, FORMULA | "equation_inline")
}

/// The normalised distance of two texts; 1 where one of them is empty.
pub(super) fn distance(a: &str, b: &str) -> f64 {
    let [a, b] = [a, b].map(|text| text.chars().collect::<Vec<char>>());
    share(levenshtein(&a, &b), a.len(), b.len())
}

/// Where text was matched with a formula, or a formula with text, both are compared as text.
pub(super) fn across_kinds(found: &mut Match) {
    let categories = [&found.gt_category, &found.pred_category];
    let [gt, pred] = categories.map(|category| is_formula(category));
    if gt == pred || categories.iter().any(|category| category.is_empty()) {
        return;
    }
    found.gt = as_text(gt, &found.gt);
    found.pred = as_text(pred, &found.pred);
    found.norm_gt = text(&found.gt, PROTOCOL);
    found.norm_pred = text(&found.pred, PROTOCOL);
    found.edit = distance(&found.norm_gt, &found.norm_pred);
    found.edits = None;
}

/// A predicted piece.
struct Piece<'a> {
    is_formula: bool,
    raw: &'a str,
    text: String,
    position: [i64; 2],
}

/// A run of pieces for a match.
struct Run {
    found: usize,
    gain: f64,
    edit: f64,
    pieces: Vec<usize>,
    norm: String,
}

/// Text that matches badly takes the run of pieces that is nearest to it, where that is nearer by far and no other's.
pub(super) fn repair(found: &mut [Match], pred: &[impl Borrow<Block>]) {
    let pred: Vec<&Block> = pred.iter().map(Borrow::borrow).collect();
    let pool: Vec<Piece> = inline_last(&pred).into_iter().map(piece).collect();
    if pool.is_empty() {
        return;
    }
    let owned: Vec<Vec<usize>> = found.iter().map(|found| owned(found, &pool)).collect();
    let mut owners = vec![0usize; pool.len()];
    for (found, owned) in found.iter().zip(&owned) {
        if !found.gt_idx.is_empty() {
            owned.iter().for_each(|&at| owners[at] += 1);
        }
    }
    let mut runs: Vec<Run> = Vec::new();
    for (at, (found, owned)) in found.iter().zip(&owned).enumerate() {
        if !is_far(found) {
            continue;
        }
        let blocked = |piece: usize| owners[piece] > usize::from(owned.contains(&piece));
        if let Some(mut run) = nearest(found, owned, &pool, &blocked) {
            run.found = at;
            runs.push(run);
        }
    }
    runs.sort_by(|a, b| b.gain.total_cmp(&a.gain));
    let mut used = vec![false; pool.len()];
    for run in runs {
        if run.pieces.iter().any(|&at| used[at]) {
            continue;
        }
        run.pieces.iter().for_each(|&at| used[at] = true);
        let Some(found) = found.get_mut(run.found) else {
            continue;
        };
        let pieces = run.pieces.iter().filter_map(|&at| pool.get(at));
        found.pred = pieces.clone().map(|piece| piece.raw).collect();
        found.pred_position = pieces.map(|piece| piece.position[0]).next();
        found.pred_idx = run.pieces;
        found.pred_category = "text_block".to_owned();
        found.norm_pred = run.norm;
        found.edit = run.edit;
        found.edits = None;
    }
}

fn piece(block: &Block) -> Piece<'_> {
    let raw = block.content.as_deref().unwrap_or("");
    Piece {
        is_formula: block.is_formula(),
        raw,
        text: as_text(block.is_formula(), raw),
        position: block.position.unwrap_or([start(block).unwrap_or(0); 2]),
    }
}

/// The pieces of a match, by their numbers, else by where it stands.
fn owned(found: &Match, pool: &[Piece]) -> Vec<usize> {
    let numbered = found.pred_idx.iter().copied();
    let mut numbered: Vec<usize> = numbered.filter(|at| *at < pool.len()).collect();
    if !numbered.is_empty() {
        numbered.sort_unstable();
        numbered.dedup();
        return numbered;
    }
    let Some(at) = found.pred_position else {
        return Vec::new();
    };
    let holds = |piece: &Piece| (piece.position[0]..=piece.position[1]).contains(&at);
    (0..pool.len())
        .filter(|&number| holds(&pool[number]))
        .collect()
}

/// Whether a match is text that matches badly.
fn is_far(found: &Match) -> bool {
    let category = found.gt_category.as_str();
    !found.gt_idx.is_empty()
        && found.edit > FAR
        && match category {
            "title" => true,
            "text_block" => {
                holds_formula(&found.gt) || found.norm_gt.chars().nth(SHORT - 1).is_some()
            }
            _ => false,
        }
}

/// Whether a text seems to hold a formula.
fn holds_formula(text: &str) -> bool {
    regex!(INLINE, r"\$[^$]+\$|\\\([^)]*\\\)");
    const COMMANDS: [&str; 6] = ["\\frac", "\\sum", "\\int", "\\sqrt", "\\left", "\\right"];
    INLINE.as_ref().is_some_and(|inline| inline.is_match(text))
        || COMMANDS.iter().any(|name| text.contains(name))
        || (text.contains(['^', '_']) && text.contains(['$', '\\']))
}

/// The run that is nearest to a match's text, where it is near enough; of equally near ones the shortest, then the one
/// that begins nearest to the match's first piece.
fn nearest(
    found: &Match,
    owned: &[usize],
    pool: &[Piece],
    blocked: &dyn Fn(usize) -> bool,
) -> Option<Run> {
    let with_formulas = holds_formula(&found.gt);
    let (longest, most) = if with_formulas { (8, 0.45) } else { (4, 0.35) };
    let gt = match with_formulas {
        true => text(&with_bare_formulas(&found.gt), PROTOCOL),
        false => text(&text_to_unicode(&found.gt, PROTOCOL), PROTOCOL),
    };
    if gt.is_empty() {
        return None;
    }
    let gt: Vec<char> = gt.chars().collect();
    let last = pool.len() - 1;
    let (from, to) = match (owned.first(), owned.last()) {
        (Some(first), Some(end)) => (first.saturating_sub(AROUND), last.min(end + AROUND)),
        _ => (0, last),
    };
    let may = |at: usize| (with_formulas || !pool[at].is_formula) && !blocked(at);
    let mut best: Option<(f64, usize, usize, Run)> = None;
    for first in from..=to {
        let away = owned.first().map_or(0, |owned| owned.abs_diff(first));
        let mut joined = String::new();
        let till = to.min(first + longest - 1);
        for (end, piece) in pool.iter().enumerate().take(till + 1).skip(first) {
            if !may(end) {
                break;
            }
            joined.push_str(&piece.text);
            let norm = text(&joined, PROTOCOL);
            if norm.is_empty() {
                continue;
            }
            let pred: Vec<char> = norm.chars().collect();
            let edit = share(levenshtein(&gt, &pred), gt.len(), pred.len());
            let len = end - first + 1;
            let better = best.as_ref().is_none_or(|(least, shortest, nearest, _)| {
                edit + 1e-12 < *least
                    || (edit <= *least + 1e-12
                        && (len < *shortest || (len == *shortest && away < *nearest)))
            });
            if better {
                let run = Run {
                    found: 0,
                    gain: found.edit - edit,
                    edit,
                    pieces: (first..=end).collect(),
                    norm,
                };
                best = Some((edit, len, away, run));
            }
        }
    }
    let (edit, .., run) = best?;
    (edit < found.edit - GAIN && edit <= most).then_some(run)
}

/// A text whose inline formulas are in their normal form.
fn with_bare_formulas(text: &str) -> String {
    regex!(INLINE, r"\$(.*?)\$|\\\((.*?)\\\)");
    let Some(inline) = INLINE.as_ref() else {
        return text.to_owned();
    };
    let bare = |found: &regex::Captures| {
        let inner = found.get(1).or(found.get(2));
        crate::omnidocbench::normalize::formula(inner.map_or("", |inner| inner.as_str()), PROTOCOL)
    };
    inline.replace_all(text, bare).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(content: &str, at: i64) -> Block {
        Block {
            category: "text_all".into(),
            content: Some(content.into()),
            position: Some([at, at + content.len() as i64]),
            ..Block::default()
        }
    }

    #[test]
    fn a_title_that_matches_badly_takes_pieces_that_are_no_ones() {
        let pred = [
            piece("The long", 0),
            piece("title here", 8),
            piece("text", 18),
        ];
        let mut found = [Match {
            gt_idx: vec![0],
            gt: "The long title here".into(),
            norm_gt: "Thelongtitlehere".into(),
            gt_category: "title".into(),
            pred_idx: vec![0],
            pred: "The long".into(),
            norm_pred: "Thelong".into(),
            pred_category: "text_block".into(),
            edit: 0.5625,
            ..Match::default()
        }];
        repair(&mut found, &pred);
        assert_eq!(
            (found[0].pred_idx.as_slice(), found[0].edit),
            (&[0, 1][..], 0.0)
        );
        assert_eq!(found[0].pred, "The longtitle here");
    }

    #[test]
    fn kinds_are_compared_as_text() {
        let mut found = Match {
            gt: "x_1 is".into(),
            gt_category: "text_block".into(),
            pred: "\\[x_1 is\\]".into(),
            pred_category: FORMULA.into(),
            edit: 1.0,
            ..Match::default()
        };
        across_kinds(&mut found);
        assert_eq!((found.edit, found.pred.as_str()), (0.0, "x_1 is"));
    }
}
