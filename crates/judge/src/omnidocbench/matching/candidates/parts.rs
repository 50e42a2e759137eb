//! Formulas of several rows, parted at some of their rows, in every way that is not too many.

use std::borrow::Cow;

use super::{Piece, merged, rows, sorted};
use crate::omnidocbench::merge::FORMULA;

/// Most ways to part the formulas of a page.
const WAYS: usize = 128;
/// Most rows of a formula that is parted.
const ROWS: usize = 8;

/// All ways to part pieces; none where nothing can be parted, or there are too many.
pub(super) fn parts<'a>(pieces: &'a [Piece<'a>]) -> Vec<Vec<Piece<'a>>> {
    let mut choices: Vec<Vec<Vec<Piece>>> = Vec::new();
    let (mut total, mut any) = (1usize, false);
    for piece in pieces {
        let rows = rows(piece);
        if !(2..=ROWS).contains(&rows.len()) {
            choices.push(vec![vec![piece.clone()]]);
            continue;
        }
        any = true;
        total *= 1 << (rows.len() - 1);
        if total > WAYS {
            return Vec::new();
        }
        // A bit says that a part ends after that row.
        let ways = 0..1usize << (rows.len() - 1);
        choices.push(ways.map(|ends| grouped(&rows, ends)).collect());
    }
    if !any {
        return Vec::new();
    }
    let mut all: Vec<Vec<Piece>> = vec![Vec::new()];
    for choice in choices {
        let longer = all.iter().flat_map(|begin| {
            choice.iter().map(move |rest| {
                let mut whole = begin.clone();
                whole.extend(rest.iter().cloned());
                whole
            })
        });
        all = longer.collect();
    }
    all.into_iter().map(sorted).collect()
}

fn grouped<'a>(rows: &[Piece<'a>], ends: usize) -> Vec<Piece<'a>> {
    let mut parts = Vec::new();
    let mut first = 0;
    for at in 0..rows.len() {
        if at + 1 == rows.len() || ends & (1 << at) != 0 {
            parts.extend(one(&rows[first..=at]));
            first = at + 1;
        }
    }
    parts
}

/// Rows as one piece.
fn one<'a>(rows: &[Piece<'a>]) -> Option<Piece<'a>> {
    let [first, .., last] = rows else {
        return rows.first().cloned();
    };
    let contents = rows
        .iter()
        .map(|row| row.block.content.as_deref().unwrap_or(""));
    let content = merged(contents);
    let mut block = first.block.as_ref().clone();
    block.content = Some(format!("\\[{content}\\]"));
    block.position = Some([
        first.block.position.unwrap_or_default()[0],
        last.block.position.unwrap_or_default()[1],
    ]);
    block.fine = Some(FORMULA.to_owned());
    Some(Piece {
        block: Cow::Owned(block),
        source: first.source,
    })
}
