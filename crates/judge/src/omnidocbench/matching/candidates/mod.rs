//! Display formulas are matched in several ways, and the way of least cost counts (v1.6).

mod joined;
mod parts;

use std::borrow::{Borrow, Cow};

use base::numerics::{assign, levenshtein_numbered};

use super::arrays::{split_gt, split_one};
use super::cases::with_arrays;
use super::lines::{Line, Lines, Reader};
use super::quick::{self, array};
use super::record::{Match, Place, kind, start};
use super::{Matching, Pieces, distance};
use crate::omnidocbench::merge::FORMULA;
use crate::omnidocbench::normalize::without_delimiters;
use crate::omnidocbench::page::Block;
use crate::omnidocbench::{Fine, Kind};

/// Costs that differ by less are equal.
const EQUAL: f64 = 1e-12;

/// With more formulas on a page only the quick ways are tried: the others take the square of their number.
const MOST: usize = 2000;

/// A predicted formula, or a row of one, and which formula of the page it comes from.
#[derive(Clone)]
struct Piece<'a> {
    block: Cow<'a, Block>,
    source: usize,
}

/// A way to match the formulas of a page.
struct Way {
    matches: Vec<Match>,
    /// The formula that each predicted piece comes from.
    sources: Vec<usize>,
    /// How many formulas were predicted.
    predicted: usize,
    /// In how many of them cases became arrays.
    rewritten: usize,
}

/// Both sides, ready to be compared. Indices of lines are looked up among all blocks, as the official tool does.
struct Sides<'a> {
    gt: Vec<Line<'a>>,
    pred: Vec<Line<'a>>,
    gt_blocks: &'a [Cow<'a, Block>],
    pieces: &'a [Piece<'a>],
    image: &'a str,
}

/// Categories that a predicted formula is one by any name.
fn plain(category: String) -> String {
    let names = [Fine::TextFormula, Fine::ImageFormula, Fine::TableFormula].map(Fine::name);
    match names.contains(&category.as_str()) || category == Kind::FormulaRescue.name() {
        true => FORMULA.to_owned(),
        false => category,
    }
}

/// The matches of a page's display formulas: those found among all its text, or those of the cheapest other way.
pub(super) fn matches(
    gt: &[&Block],
    pred: &[Block],
    found: Vec<Match>,
    matching: &Matching,
    image: &str,
) -> Vec<Match> {
    let gt_blocks = split_gt(gt, matching.protocol);
    let whole: Vec<Piece> = pred.iter().enumerate().map(piece).collect();
    let expected = Sides::new(&gt_blocks, &[], image).gt.len();
    if expected == 0 {
        return Vec::new();
    }
    let mut ways = vec![Way::new(found, &sorted(whole.clone()), pred.len(), 0)];
    ways.retain(|way| way.is_whole(expected));
    ways.extend(all(gt, &gt_blocks, &whole, 0, matching, image));
    let mut rewritten = 0;
    let rewrite = |piece: &Piece| {
        let content = piece.block.content.as_deref()?;
        with_arrays(content)
    };
    let written: Vec<Piece> = whole
        .iter()
        .map(|piece| match rewrite(piece) {
            Some(content) => {
                rewritten += 1;
                let mut piece = piece.clone();
                piece.block.to_mut().content = Some(content);
                piece
            }
            None => piece.clone(),
        })
        .collect();
    if rewritten > 0 {
        ways.extend(all(gt, &gt_blocks, &written, rewritten, matching, image));
    }
    let mut best: Option<(Cost, Way)> = None;
    for way in ways {
        let cost = way.cost();
        if best.as_ref().is_none_or(|(least, _)| cost.is_below(least)) {
            best = Some((cost, way));
        }
    }
    best.map_or_else(Vec::new, |(_, way)| way.matches)
}

fn piece((source, block): (usize, &Block)) -> Piece<'_> {
    Piece {
        block: Cow::Borrowed(block),
        source,
    }
}

/// Pieces by their first characters; where these are equal, inline formulas last, then by their last characters.
fn sorted(mut pieces: Vec<Piece>) -> Vec<Piece> {
    pieces.sort_by_key(|piece| {
        let [first, last] = piece.block.position.unwrap_or_default();
        (first, piece.block.is_inline(), last)
    });
    pieces
}

/// Every way to match pieces, in the official order.
fn all(
    gt: &[&Block],
    gt_blocks: &[Cow<'_, Block>],
    whole: &[Piece],
    rewritten: usize,
    matching: &Matching,
    image: &str,
) -> Vec<Way> {
    let predicted = whole.len();
    let pieces = &sorted(whole.to_vec())[..];
    let sides = Sides::new(gt_blocks, pieces, image);
    let expected = sides.gt.len();
    let blocks: Vec<&Block> = whole.iter().map(|piece| piece.block.as_ref()).collect();
    let lists = (Lines::Mixed, Pieces::Whole);
    let mut found = vec![quick::matches(gt, &blocks, lists, matching, image).unwrap_or_default()];
    let few = expected + predicted <= MOST;
    if few {
        found.push(sides.one_with_one());
        found.extend([false, true].map(|gaps| sides.joined(gaps).unwrap_or_default()));
    }
    let ways = found.into_iter();
    let ways = ways.map(|matches| Way::new(matches, pieces, predicted, rewritten));
    let mut ways: Vec<Way> = ways.filter(|way| way.is_whole(expected)).collect();
    if !few {
        return ways;
    }
    let mut seen = Vec::new();
    for parts in parts::parts(pieces) {
        let matches = Sides::new(gt_blocks, &parts, image).one_with_one();
        let key: Vec<_> = matches.iter().map(key).collect();
        if !seen.contains(&key) {
            seen.push(key);
            ways.push(Way::new(matches, &parts, predicted, rewritten));
        }
    }
    let rows: Vec<Piece> = pieces.iter().flat_map(rows).collect();
    if rows.len() > pieces.len() {
        let sides = Sides::new(gt_blocks, &rows, image);
        for gaps in [false, true] {
            if let Some(matches) = sides.joined(gaps) {
                ways.push(Way::new(matches, &rows, predicted, rewritten));
            }
        }
    }
    ways
}

/// What tells a match from another: places, pieces, distance.
fn key(found: &Match) -> (Vec<u64>, Vec<usize>, i64) {
    let places = found.gt_position.iter().flatten();
    let places = places.map(|Place(at)| at.to_bits()).collect();
    (
        places,
        found.pred_idx.clone(),
        (found.edit * 1e6).round() as i64,
    )
}

/// A piece row by row.
fn rows<'a>(piece: &'a Piece<'a>) -> Vec<Piece<'a>> {
    let rows = split_one(&piece.block, crate::omnidocbench::Protocol::V1_6).into_iter();
    let source = piece.source;
    rows.map(|block| Piece { block, source }).collect()
}

impl<'a> Sides<'a> {
    fn new(gt_blocks: &'a [Cow<'a, Block>], pieces: &'a [Piece<'a>], image: &'a str) -> Self {
        let mut reader = Reader::new(Lines::Mixed, crate::omnidocbench::Protocol::V1_6);
        let gt: Vec<&Block> = gt_blocks.iter().map(AsRef::as_ref).collect();
        let pred: Vec<&Block> = pieces.iter().map(|piece| piece.block.borrow()).collect();
        Self {
            gt: reader.gt(&gt),
            pred: reader.pred(&pred),
            gt_blocks,
            pieces,
            image,
        }
    }

    /// An annotated formula with pieces; with none where there are none.
    fn found(&self, gt: usize, pieces: &[usize]) -> Match {
        let block = self.gt_blocks.get(gt).map(AsRef::as_ref);
        let first = pieces.first().and_then(|&at| self.pieces.get(at));
        let first: Option<&Block> = first.map(|piece| piece.block.as_ref());
        let lines: Vec<&Line> = pieces.iter().filter_map(|&at| self.pred.get(at)).collect();
        let norms: Vec<&str> = lines.iter().map(|line| line.norm.as_ref()).collect();
        let line = self.gt.get(gt);
        let norm_gt = line.map_or("", |line| line.norm.as_ref());
        let norm_pred = norms.join(" ");
        let norm_pred = norm_pred.trim_matches(crate::omnidocbench::python::is_space);
        let place = block.and_then(|block| {
            let order = block.order.map(Place);
            order.or_else(|| Place::of(block))
        });
        Match {
            gt_idx: vec![gt],
            gt: line.map_or("", |line| line.raw).to_owned(),
            norm_gt: norm_gt.to_owned(),
            gt_category: line.map_or("", |line| line.category).to_owned(),
            gt_position: vec![place],
            gt_attribute: vec![
                block
                    .map(|block| block.attribute.clone())
                    .unwrap_or_default(),
            ],
            pred: match lines.as_slice() {
                [line] => line.raw.to_owned(),
                lines => merged(lines.iter().map(|line| line.raw)),
            },
            norm_pred: norm_pred.to_owned(),
            pred_category: match (pieces.len(), first) {
                (0, _) => String::new(),
                (1, Some(block)) => plain(kind(block)),
                _ => FORMULA.to_owned(),
            },
            pred_position: first.and_then(start),
            pred_idx: pieces.to_vec(),
            edit: match pieces {
                [] => 1.0,
                _ => super::spans::distance(norm_gt, norm_pred),
            },
            edits: None,
            image: self.image.to_owned(),
        }
    }

    /// Each with one or none, at the least total cost; one without a partner costs 1, on either side.
    fn one_with_one(&self) -> Vec<Match> {
        let (gt, pred) = (self.gt.len(), self.pred.len());
        let size = gt + pred;
        let near = |row: usize, column: usize| match (row < gt, column < pred) {
            (true, true) => distance::distance(&self.gt[row].symbols, &self.pred[column].symbols),
            (false, false) => 0.0,
            _ => 1.0,
        };
        let cost: Vec<f64> = (0..size * size)
            .map(|at| near(at / size, at % size))
            .collect();
        let pairs = assign(&cost, size, size).into_iter();
        pairs
            .take_while(|(row, _)| *row < gt)
            .map(|(row, column)| match column < pred {
                true => self.found(row, &[column]),
                false => self.found(row, &[]),
            })
            .collect()
    }
}

/// Formulas as one: the lines of an array, unless there is but one.
fn merged<'a>(formulas: impl Iterator<Item = &'a str>) -> String {
    let bare = formulas
        .map(without_delimiters)
        .filter(|bare| !bare.is_empty());
    let bare: Vec<&str> = bare.collect();
    match bare.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        _ => array(bare.into_iter()),
    }
}

/// What a way costs: the total of its distances, edits by characters, formulas that are not used, the mean distance,
/// formulas whose cases became arrays, annotated formulas without a partner. Compared in this order.
struct Cost([f64; 6]);

impl Cost {
    fn is_below(&self, other: &Self) -> bool {
        for (a, b) in self.0.iter().zip(&other.0) {
            if a + EQUAL < *b {
                return true;
            }
            if *a > b + EQUAL {
                return false;
            }
        }
        false
    }
}

impl Way {
    fn new(mut matches: Vec<Match>, pieces: &[Piece], predicted: usize, rewritten: usize) -> Self {
        matches.retain(|found| !found.gt_idx.is_empty());
        for found in &mut matches {
            found.pred_category = plain(std::mem::take(&mut found.pred_category));
        }
        Self {
            matches,
            sources: pieces.iter().map(|piece| piece.source).collect(),
            predicted,
            rewritten,
        }
    }

    /// Whether every annotated formula is there once, alone, with a formula or nothing.
    fn is_whole(&self, expected: usize) -> bool {
        let mut seen = Vec::new();
        self.matches.len() == expected
            && self.matches.iter().all(|found| {
                let formula = ["", "equation_inline", FORMULA];
                let [gt] = found.gt_idx.as_slice() else {
                    return false;
                };
                let known = seen.contains(gt);
                seen.push(*gt);
                !known && formula.contains(&found.pred_category.as_str())
            })
    }

    fn cost(&self) -> Cost {
        let (mut total, mut edits, mut characters, mut alone) = (0.0, 0, 0, 0);
        let mut used: Vec<usize> = Vec::new();
        for found in &self.matches {
            total += found.edit;
            if found.pred_idx.is_empty() {
                alone += 1;
                continue;
            }
            let pieces = found.pred_idx.iter();
            used.extend(pieces.filter_map(|&at| self.sources.get(at)));
            let [gt, pred] = [&found.norm_gt, &found.norm_pred]
                .map(|text| text.chars().map(u32::from).collect::<Vec<u32>>());
            edits += levenshtein_numbered(&gt, &pred);
            characters += gt.len().max(pred.len());
        }
        used.sort_unstable();
        used.dedup();
        let by_characters = match characters {
            0 => 0.0,
            characters => edits as f64 / characters as f64,
        };
        Cost([
            total,
            by_characters,
            self.predicted.saturating_sub(used.len()) as f64,
            total / self.matches.len().max(1) as f64,
            -(self.rewritten as f64),
            f64::from(alone),
        ])
    }
}
