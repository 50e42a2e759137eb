//! All lists of a page: text, display formulas, tables, and the reading order.

use super::lines::Lines;
use super::order::ReadingOrder;
use super::record::Match;
use super::{Matched, Matching, Method, simple};
use crate::omnidocbench::merge::{FORMULA, IGNORED, TEXT, formulas, merge, tables, texts};
use crate::omnidocbench::normalize::{clean, html_table, latex_to_text, table_cells};
use crate::omnidocbench::page::{Block, Page};
use crate::omnidocbench::{Element, Kind, Protocol};

/// What was matched on a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageMatches {
    /// Text.
    pub text: Vec<Match>,
    /// Display formulas that were predicted as text; scored as text (v1.5).
    pub formula_as_text: Vec<Match>,
    /// Display formulas.
    pub formula: Vec<Match>,
    /// Tables that were matched with HTML, or with nothing.
    pub html_table: Vec<Match>,
    /// Tables that were matched with LaTeX; these are not read, as in the official tool.
    pub latex_table: Vec<Match>,
    /// Reading order, where there is one.
    pub order: Option<ReadingOrder>,
    /// Lists that were matched simply because the time was up.
    pub out_of_time: usize,
    /// Whether predicted LaTeX tables met annotated ones without LaTeX, where the official tool fails.
    pub without_latex: bool,
}

/// Predicted pieces by kind.
#[derive(Default)]
pub(super) struct Lists {
    pub text: Vec<Block>,
    pub formula: Vec<Block>,
    pub html: Vec<Block>,
    pub latex: Vec<Block>,
    /// Text that is like a formula (v1.6).
    pub guessed: Vec<Block>,
    /// Whether a formula was the first of text and formulas.
    formula_first: bool,
}

impl Lists {
    pub fn of(pred: Vec<Element>) -> Self {
        let mut lists = Self::default();
        for piece in pred {
            lists.formula_first |= piece.kind == Kind::EquationIsolated && lists.text.is_empty();
            let list = match piece.kind {
                Kind::TextAll => &mut lists.text,
                Kind::EquationIsolated => &mut lists.formula,
                Kind::HtmlTable => &mut lists.html,
                Kind::LatexTable => &mut lists.latex,
                Kind::FormulaRescue => &mut lists.guessed,
            };
            list.push(piece.into());
        }
        lists
    }

    /// Text and formulas, kind by kind in the order of their first pieces.
    pub fn mixed(self) -> Vec<Block> {
        let [first, second] = match self.formula_first {
            true => [self.formula, self.text],
            false => [self.text, self.formula],
        };
        let mut all = first;
        all.extend(second);
        all
    }
}

pub(super) fn refs(blocks: &[Block]) -> Vec<&Block> {
    blocks.iter().collect()
}

/// Matches the pieces of a prediction with an annotated page.
pub fn match_page(page: &Page, pred: Vec<Element>, matching: &Matching) -> PageMatches {
    if matching.protocol >= Protocol::V1_6 {
        return super::page_v1_6::match_page(page, pred, matching);
    }
    let blocks = merge(page, matching.protocol);
    let image = page.image.as_str();
    let mut found = PageMatches::default();
    let pred = Lists::of(pred);
    let cells = found.match_tables(&tables(&blocks), &pred, matching, image);
    let gt = texts(&blocks, matching.protocol);
    let scored = |found: &Match| !IGNORED.contains(&found.gt_category.as_str());
    match matching.protocol {
        Protocol::V1_0 => {
            if !gt.is_empty() {
                let matched = matching.run(&gt, &pred.text, Lines::Text, image);
                found.text = found.take(matched);
                found.text.retain(scored);
            }
            let gt = formulas(&blocks);
            if !gt.is_empty() {
                let matched = matching.run(&gt, &pred.formula, Lines::Formula, image);
                found.formula = found.take(matched);
                found.formula.retain(|found| !found.gt_idx.is_empty());
            }
        }
        Protocol::V1_5 | Protocol::V1_6 => {
            let mut pred = pred.mixed();
            pred.extend(cells);
            let matched = matching.run(&gt, &pred, Lines::Mixed, image);
            found.sort_out(matched, matching);
        }
    }
    let text: Vec<&Match> = found.text.iter().collect();
    found.order = ReadingOrder::of(&text);
    found.finish_tables(matching.protocol);
    found
}

/// Matches the pieces of two markdown texts; nothing is ignored, tables are compared with those of their own kind.
pub fn match_markdown(
    gt: Vec<Element>,
    pred: Vec<Element>,
    matching: &Matching,
    image: &str,
) -> PageMatches {
    let mut found = PageMatches::default();
    let [mut gt, pred] = [gt, pred].map(Lists::of);
    // Inline formulas stand in the annotated text; alone they are none of its blocks.
    gt.formula.retain(|block| !block.is_inline());
    let mut list = |gt: &[Block], pred: &[Block], lines: Lines| {
        if gt.is_empty() {
            return Vec::new();
        }
        let matched = matching.run(gt, pred, lines, image);
        found.take(matched)
    };
    let text = list(&gt.text, &pred.text, Lines::Text);
    // Under v1.5 the annotated formula is compared as it stands: the official tool normalises the predicted one only.
    let formulas = match matching.protocol {
        Protocol::V1_0 => Lines::Formula,
        Protocol::V1_5 | Protocol::V1_6 => Lines::Mixed,
    };
    let mut formula = list(&gt.formula, &pred.formula, formulas);
    formula.retain(|found| !found.gt_idx.is_empty());
    let table = |gt: &[Block], pred: &[Block], lines| {
        let mut matches =
            simple::matches(&refs(gt), &refs(pred), lines, matching.protocol, image).0;
        matches.retain(|found| !found.gt_idx.is_empty());
        matches
    };
    found.html_table = table(&gt.html, &pred.html, Lines::HtmlTable);
    found.latex_table = table(&gt.latex, &pred.latex, Lines::LatexTable);
    found.order = ReadingOrder::of(&text.iter().collect::<Vec<_>>());
    found.text = text;
    found.formula = formula;
    found.finish_tables(matching.protocol);
    found
}

impl PageMatches {
    /// The matches of a list; whether its time was up is counted.
    fn take(&mut self, matched: Matched) -> Vec<Match> {
        self.out_of_time += usize::from(matched.out_of_time);
        matched.matches
    }

    /// Matches tables with predicted ones of the kind that is more frequent. Returns the cells of tables left over, which
    /// may be text (v1.5).
    fn match_tables(
        &mut self,
        gt: &[&Block],
        pred: &Lists,
        matching: &Matching,
        image: &str,
    ) -> Vec<Block> {
        if gt.is_empty() {
            return Vec::new();
        }
        let (latex, html) = (&pred.latex, &pred.html);
        self.without_latex =
            latex.len() > html.len() && gt.iter().any(|table| table.latex.is_none());
        let (pred, lines, place) = match latex.len() > html.len() {
            true => (latex, Lines::LatexTable, &mut self.latex_table),
            false => (html, Lines::HtmlTable, &mut self.html_table),
        };
        let (matches, left) = simple::matches(gt, &refs(pred), lines, matching.protocol, image);
        *place = matches;
        place.retain(|found| !found.gt_idx.is_empty());
        if matching.protocol == Protocol::V1_0 || place.is_empty() {
            return Vec::new();
        }
        let left = left.iter().filter_map(|&at| pred.get(at));
        left.flat_map(|table| {
            let cells = table_cells(table.content.as_deref().unwrap_or(""));
            cells.into_iter().map(|cell| Block {
                category: Kind::TextAll.name().to_owned(),
                content: Some(cell.replace("$\\cdot$", "").trim().to_owned()),
                ..table.clone()
            })
        })
        .collect()
    }

    /// Matches of mixed lists: text, formulas, and formulas that were predicted as text (v1.5).
    fn sort_out(&mut self, matched: Matched, matching: &Matching) {
        for mut found in self.take(matched) {
            let category = found.gt_category.as_str();
            let merged = matching.method == Method::NoSplit;
            if merged || TEXT.contains(&category) && !IGNORED.contains(&category) {
                self.text.push(found);
            } else if category == FORMULA {
                match found.pred_category.as_str() {
                    "" | "equation_inline" | FORMULA => self.formula.push(found),
                    _ => {
                        if let Ok(text) = latex_to_text(&found.gt) {
                            found.gt = text;
                        }
                        found.norm_gt = clean(&found.gt, matching.protocol);
                        found.edits = None;
                        self.formula_as_text.push(found);
                    }
                }
            }
        }
    }

    /// Tables in the form that they are scored in. Predictions in LaTeX are not read: under v1.5 they are emptied, under
    /// v1.0, which passed them to a converter that may be absent, they stay but give no table.
    fn finish_tables(&mut self, protocol: Protocol) {
        for found in &mut self.html_table {
            found.norm_gt = html_table(&found.gt, protocol);
            found.norm_pred = html_table(&found.pred, protocol);
        }
        for found in &mut self.latex_table {
            found.norm_gt = html_table(&found.gt, protocol);
            found.norm_pred.clear();
            if protocol == Protocol::V1_5 {
                found.pred_idx.clear();
                found.pred.clear();
                found.pred_category.clear();
                found.pred_position = None;
                found.edit = 1.0;
            }
        }
    }
}
