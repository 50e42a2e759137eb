//! All lists of a page under v1.6: formulas are matched in several ways, and all that is scored makes the reading order.

use std::collections::HashSet;

use super::lines::Lines;
use super::order::ReadingOrder;
use super::page::{Lists, PageMatches, refs};
use super::record::Match;
use super::spans::{across_kinds, repair};
use super::{Matching, candidates, simple};
use crate::omnidocbench::Element;
use crate::omnidocbench::merge::{FORMULA, IGNORED, TEXT, formulas, merge, tables, texts};
use crate::omnidocbench::normalize::html_table;
use crate::omnidocbench::page::{Block, Page};

/// Matches the pieces of a prediction with an annotated page. Tables in LaTeX, which are read by LaTeXML there, are left out,
/// as they are there where that is not installed.
pub(super) fn match_page(page: &Page, pred: Vec<Element>, matching: &Matching) -> PageMatches {
    let protocol = matching.protocol;
    let blocks = merge(page, protocol);
    let image = page.image.as_str();
    let pred = Lists::of(pred);
    let lists = (tables(&blocks), refs(&pred.html), Lines::HtmlTable);
    let mut found = PageMatches {
        html_table: simple::matches(&lists.0, &lists.1, lists.2, protocol, image).0,
        ..PageMatches::default()
    };
    found.html_table.retain(|found| !found.gt_idx.is_empty());
    let pool = pool(&pred);
    let mix = pred.mixed();
    let matched = matching.run(&texts(&blocks, protocol), &mix, Lines::Mixed, image);
    found.out_of_time = usize::from(matched.out_of_time);
    let mut matches = matched.matches;
    matches.iter_mut().for_each(across_kinds);
    repair(&mut matches, &mix);
    let mut formula = Vec::new();
    for one in matches {
        let category = one.gt_category.as_str();
        if category == FORMULA {
            formula.push(one);
        } else if TEXT.contains(&category) && !IGNORED.contains(&category) {
            found.text.push(one);
        }
    }
    found.formula = candidates::matches(&formulas(&blocks), &pool, formula, matching, image);
    let lists = [&found.text, &found.formula, &found.html_table];
    let all: Vec<&Match> = lists.into_iter().flatten().collect();
    found.order = ReadingOrder::of(&all);
    for table in &mut found.html_table {
        table.norm_gt = html_table(&table.gt, protocol);
        table.norm_pred = html_table(&table.pred, protocol);
    }
    found
}

/// What may be a display formula: what was written as one, then text that is like one; each once.
fn pool(pred: &Lists) -> Vec<Block> {
    let mut seen = HashSet::new();
    let all = pred.formula.iter().chain(&pred.guessed);
    all.filter(|piece| seen.insert((piece.position, &piece.content, &piece.fine, &piece.category)))
        .map(|piece| Block {
            category: FORMULA.to_owned(),
            ..piece.clone()
        })
        .collect()
}
