//! The lines that are compared: of each block its text, and that text normalised.

use std::borrow::Cow;

use base::numerics::Alphabet;

use crate::omnidocbench::merge::{FORMULA, TEXT};
use crate::omnidocbench::normalize::{clean, formula, html_table, text_to_unicode};
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
pub(super) struct Line<'a> {
    /// As it is.
    pub raw: &'a str,
    /// Normalised.
    pub norm: Cow<'a, str>,
    /// The normalised text character by character, each with the number that its reader gave it.
    pub symbols: Vec<u32>,
    /// How many there are, also once they are dropped.
    pub length: usize,
    /// The block's category, of predictions empty.
    pub category: &'a str,
}

/// The number of a blank.
pub(super) const BLANK: u32 = 1;

/// Reads blocks as lines; equal characters have equal numbers in all lines of a reader.
pub(super) struct Reader {
    lines: Lines,
    protocol: Protocol,
    alphabet: Alphabet<char>,
}

/// Text, normalised.
pub(super) fn text(raw: &str, protocol: Protocol) -> String {
    match raw.bytes().any(|byte| matches!(byte, b'$' | b'\\')) {
        true => clean(&text_to_unicode(raw, protocol), protocol),
        // There is no maths in it.
        false => clean(raw, protocol),
    }
}

/// A table: since v1.6 in the form that it is scored in, before as it is.
fn table(raw: &str, protocol: Protocol) -> Cow<'_, str> {
    let html = raw.as_bytes().windows(6);
    let mut html = html.filter(|piece| piece.eq_ignore_ascii_case(b"<table"));
    match protocol >= Protocol::V1_6 && html.next().is_some() {
        true => html_table(raw, protocol).into(),
        false => raw.into(),
    }
}

impl Reader {
    pub fn new(lines: Lines, protocol: Protocol) -> Self {
        let mut alphabet = Alphabet::default();
        alphabet.number(' ');
        Self {
            lines,
            protocol,
            alphabet,
        }
    }

    /// A text's characters by number.
    pub fn symbols(&mut self, text: &str) -> Vec<u32> {
        let alphabet = &mut self.alphabet;
        let mut symbols = Vec::with_capacity(text.len());
        symbols.extend(text.chars().map(|c| alphabet.number(c)));
        symbols
    }

    fn line<'a>(
        &mut self,
        raw: &'a str,
        norm: Cow<'a, str>,
        category: &'a str,
    ) -> Option<Line<'a>> {
        (!raw.is_empty() && !norm.is_empty()).then(|| {
            // A text that its normal form equals is kept once.
            let norm = if norm == raw { raw.into() } else { norm };
            let symbols = self.symbols(&norm);
            Line {
                raw,
                length: symbols.len(),
                symbols,
                norm,
                category,
            }
        })
    }

    /// The annotated lines. Blocks without text give none.
    pub fn gt<'a>(&mut self, blocks: &[&'a Block]) -> Vec<Line<'a>> {
        let lines = blocks.iter();
        lines.filter_map(|block| self.gt_line(block)).collect()
    }

    fn gt_line<'a>(&mut self, block: &'a Block) -> Option<Line<'a>> {
        let category = block.fine.as_ref().unwrap_or(&block.category);
        let protocol = self.protocol;
        let is_text = TEXT.contains(&block.category.as_str());
        let raw = match (&block.content, self.lines) {
            (Some(content), _) => Some(content),
            (None, Lines::Mixed) if is_text => block.text.as_ref(),
            (None, Lines::Mixed) if block.category == FORMULA => block.latex.as_ref(),
            (None, Lines::Mixed) => None,
            (None, Lines::Text) => block.text.as_ref(),
            (None, Lines::Formula) => block.latex.as_ref(),
            (None, Lines::HtmlTable | Lines::LatexTable) => block.html.as_ref(),
        }?
        .as_str();
        let norm = match (&block.content, self.lines) {
            (Some(_), Lines::Mixed) if block.category == Kind::TextAll.name() => {
                text(raw, self.protocol).into()
            }
            (Some(_), Lines::Mixed) => raw.into(),
            (None, Lines::Mixed) if is_text => text(raw, self.protocol).into(),
            (_, Lines::Text) => text(raw, self.protocol).into(),
            (_, Lines::Mixed | Lines::Formula) => formula(raw, protocol).into(),
            // The official tool fails where the annotation has no LaTeX.
            (None, Lines::LatexTable) => block.latex.as_deref().unwrap_or(raw).into(),
            (_, Lines::HtmlTable | Lines::LatexTable) => table(raw, protocol),
        };
        self.line(raw, norm, category)
    }

    /// The predicted lines. Pieces without text give none.
    pub fn pred<'a>(&mut self, blocks: &[&'a Block]) -> Vec<Line<'a>> {
        let lines = blocks.iter();
        lines.filter_map(|block| self.pred_line(block)).collect()
    }

    fn pred_line<'a>(&mut self, block: &'a Block) -> Option<Line<'a>> {
        let raw = block.content.as_deref().unwrap_or("");
        let norm = match self.lines {
            Lines::Mixed if block.category == Kind::TextAll.name() => {
                text(raw, self.protocol).into()
            }
            Lines::Mixed if block.is_formula() => formula(raw, self.protocol).into(),
            Lines::Text => text(raw, self.protocol).into(),
            Lines::Formula => formula(raw, self.protocol).into(),
            Lines::HtmlTable => table(raw, self.protocol),
            _ => raw.into(),
        };
        self.line(raw, norm, "")
    }
}
