//! The lines that are compared: of each block its text, and that text normalised.

use crate::omnidocbench::merge::{FORMULA, TEXT};
use crate::omnidocbench::normalize::{clean, formula, text_to_unicode};
use crate::omnidocbench::page::Block;
use crate::omnidocbench::{Kind, Protocol};

/// What kind of lines a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// Text and formulas together, each normalised as what it is (v1.5).
    Mixed,
    /// Text.
    Text,
    /// Formulas.
    Formula,
    /// HTML tables, compared as they are.
    HtmlTable,
    /// LaTeX tables, compared as they are; matches carry the annotated HTML.
    LatexTable,
}

/// A line with something in it.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// As it is.
    pub raw: String,
    /// Normalised, character by character.
    pub norm: Vec<char>,
    /// The block's category, of predictions empty.
    pub category: String,
}

impl Line {
    fn new(raw: &str, norm: &str, category: &str) -> Option<Self> {
        (!raw.is_empty() && !norm.is_empty()).then(|| Self {
            raw: raw.to_owned(),
            norm: norm.chars().collect(),
            category: category.to_owned(),
        })
    }

    /// The normalised text.
    pub fn norm(&self) -> String {
        self.norm.iter().collect()
    }
}

/// Text, normalised.
fn text(raw: &str) -> String {
    match raw.contains(['$', '\\']) {
        true => clean(&text_to_unicode(raw)),
        // There is no maths in it.
        false => clean(raw),
    }
}

/// The annotated lines. Blocks without text give none.
pub(super) fn of_gt(blocks: &[Block], lines: Lines, protocol: Protocol) -> Vec<Line> {
    let line = |block: &Block| {
        let category = block.fine.as_ref().unwrap_or(&block.category);
        let made = |raw: &Option<String>, norm: &dyn Fn(&str) -> String| {
            let raw = raw.as_deref().unwrap_or("");
            Line::new(raw, &norm(raw), category)
        };
        let formula = |raw: &str| formula(raw, protocol);
        let content = &block.content;
        let given = content.is_some();
        match lines {
            Lines::Mixed if given && block.category == Kind::TextAll.name() => made(content, &text),
            Lines::Mixed if given => made(content, &str::to_owned),
            Lines::Mixed if TEXT.contains(&block.category.as_str()) => made(&block.text, &text),
            Lines::Mixed if block.category == FORMULA => made(&block.latex, &formula),
            Lines::Mixed => None,
            Lines::Text if given => made(content, &text),
            Lines::Text => made(&block.text, &text),
            Lines::Formula if given => made(content, &formula),
            Lines::Formula => made(&block.latex, &formula),
            Lines::HtmlTable | Lines::LatexTable if given => made(content, &str::to_owned),
            Lines::HtmlTable => made(&block.html, &str::to_owned),
            Lines::LatexTable => {
                let latex = block.latex.as_deref().unwrap_or("");
                made(&block.html, &|_| latex.to_owned())
            }
        }
    };
    blocks.iter().filter_map(line).collect()
}

/// The predicted lines. Pieces without text give none.
pub(super) fn of_pred(blocks: &[Block], lines: Lines, protocol: Protocol) -> Vec<Line> {
    let line = |block: &Block| {
        let raw = block.content.as_deref().unwrap_or("");
        let norm = match lines {
            Lines::Mixed if block.category == Kind::TextAll.name() => text(raw),
            Lines::Mixed if block.is_formula() => formula(raw, protocol),
            Lines::Text => text(raw),
            Lines::Formula => formula(raw, protocol),
            _ => raw.to_owned(),
        };
        Line::new(raw, &norm, "")
    };
    blocks.iter().filter_map(line).collect()
}
