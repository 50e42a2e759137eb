//! Pages for the proof, and predictions made of their own text.

use std::borrow::Cow;
use std::path::Path;

use base::rng::Rng;
use serde_json::Value;

use crate::omnidocbench::Protocol;
use crate::omnidocbench::merge::{FORMULA, IGNORED, TEXT, merge};
use crate::omnidocbench::normalize::latex_to_text;
use crate::omnidocbench::page::{Block, Page};

/// Characters from which on a paragraph is long.
const LONG: usize = 60;

/// Made-up pages.
const MADE: u64 = 24;

/// Where pages are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The benchmark's demonstration pages.
    Demo,
    /// Made up here.
    Made,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Demo => "of the benchmark's demonstration pages",
            Self::Made => "made-up pages",
        }
    }

    /// The note of the report.
    pub fn said(self, count: usize) -> String {
        match self {
            Self::Demo => format!(
                "Pages: the {count} public demonstration pages of the benchmark, read from its fixtures."
            ),
            Self::Made => format!(
                "Pages: {count} made up by a seeded generator, because the benchmark's demonstration pages are not here."
            ),
        }
    }
}

/// The demonstration pages in a fixture, or made-up ones.
pub(super) fn read(demo: &Path) -> (Kind, Vec<Page>) {
    let json: Option<Value> = std::fs::read(demo)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let pages = json.as_ref().and_then(|json| json.get("gt")?.as_array());
    let pages: Vec<Page> = pages
        .into_iter()
        .flatten()
        .filter_map(|page| Some(Page::read(page.as_object()?)))
        .collect();
    match pages.is_empty() {
        true => (Kind::Made, (0..MADE).map(made).collect()),
        false => (Kind::Demo, pages),
    }
}

/// A page of paragraphs and formulas out of syllables.
fn made(seed: u64) -> Page {
    const SYLLABLES: [&str; 16] = [
        "ka", "lo", "mi", "ter", "son", "via", "que", "ral", "den", "pro", "nus", "est", "or",
        "tam", "bel", "ix",
    ];
    const FORMULAS: [&str; 4] = [
        "$$\\alpha^2 + \\beta^2 = \\gamma^2$$",
        "$$\\sum_{i=1}^n x_i \\leq \\infty$$",
        "$$\\mathbf{A} x = \\lambda x$$",
        "$$\\frac{a}{b} \\neq \\sqrt{c}$$",
    ];
    let mut rng = Rng::new(seed).child("pages");
    let mut blocks = Vec::new();
    for order in 1..=8 {
        let words: Vec<String> = (0..5 + rng.below(40))
            .map(|_| {
                (0..1 + rng.below(3))
                    .map(|_| SYLLABLES[rng.below(16)])
                    .collect()
            })
            .collect();
        let formula = order == 4;
        blocks.push(Block {
            category: if formula { FORMULA } else { "text_block" }.into(),
            order: Some(f64::from(order)),
            id: Some(order.to_string()),
            text: (!formula).then(|| words.join(" ") + "."),
            latex: formula.then(|| FORMULAS[rng.below(4)].to_owned()),
            ..Block::default()
        });
    }
    Page {
        image: format!("made_{seed:02}.jpg"),
        blocks,
        ..Page::default()
    }
}

/// Blocks that are scored as text or formulas, in reading order, torn ones joined.
fn scored(page: &Page) -> Vec<Block> {
    let wanted = |block: &Block| {
        let name = block.category.as_str();
        name == FORMULA || (TEXT.contains(&name) && !IGNORED.contains(&name))
    };
    let whole = merge(page, Protocol::V1_5).into_iter().map(Cow::into_owned);
    let mut blocks: Vec<Block> = whole.filter(wanted).collect();
    blocks.sort_by(|a, b| a.order.unwrap_or(0.0).total_cmp(&b.order.unwrap_or(0.0)));
    blocks
}

/// A block's text as one paragraph.
fn paragraph(block: &Block) -> Option<String> {
    let lines = block.text.as_deref()?.lines().map(str::trim);
    let text = lines
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n");
    (!text.is_empty()).then_some(text)
}

/// The page with its text blocks only, and its own text cut differently: a share `split` of the long paragraphs in the
/// middle, a share `glued` of the others joined to the one before. `None` for pages with fewer than two long paragraphs.
pub(super) fn torn(page: &Page, rng: &mut Rng, split: f32, glued: f32) -> Option<(Page, String)> {
    let mut blocks = scored(page);
    blocks.retain(|block| block.category != FORMULA && paragraph(block).is_some());
    let texts: Vec<Vec<char>> = blocks
        .iter()
        .filter_map(paragraph)
        .map(|text| text.chars().collect())
        .collect();
    if texts.iter().filter(|text| text.len() >= LONG).count() < 2 {
        return None;
    }
    let mut parts: Vec<String> = Vec::new();
    for text in texts {
        if text.len() >= LONG && rng.chance(split) {
            let (first, second) = text.split_at(text.len() / 2);
            parts.extend([first.iter().collect::<String>(), second.iter().collect()]);
            continue;
        }
        let whole: String = text.iter().collect();
        match parts.last_mut().filter(|_| rng.chance(glued)) {
            Some(before) => {
                before.push('\n');
                before.push_str(&whole);
            }
            None => parts.push(whole),
        }
    }
    let page = Page {
        blocks,
        truncated: Vec::new(),
        ..page.clone()
    };
    Some((page, parts.join("\n\n")))
}

/// The page with its text and formulas, and its own text with formulas in Unicode. `None` for pages without formulas.
pub(super) fn in_unicode(page: &Page) -> Option<(Page, String)> {
    let mut blocks = scored(page);
    blocks.retain(|block| block.category == FORMULA || paragraph(block).is_some());
    if !blocks.iter().any(|block| block.category == FORMULA) {
        return None;
    }
    let parts: Vec<String> = blocks
        .iter()
        .filter_map(|block| match block.category.as_str() {
            FORMULA => {
                let latex = block.latex.as_deref().unwrap_or("");
                let text = latex_to_text(latex).unwrap_or_else(|_| latex.to_owned());
                Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
            }
            _ => paragraph(block),
        })
        .collect();
    let page = Page {
        blocks,
        truncated: Vec::new(),
        ..page.clone()
    };
    Some((page, parts.join("\n\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_changes_no_character() {
        let page = made(3);
        let mut rng = Rng::new(1);
        let bare = |text: &str| {
            text.chars()
                .filter(|c| !c.is_whitespace())
                .collect::<String>()
        };
        let (page, markdown) = torn(&page, &mut rng, 0.6, 0.3).unwrap_or_default();
        let own: String = page.blocks.iter().filter_map(paragraph).collect();
        assert_eq!(bare(&markdown), bare(&own));
        assert!(!markdown.is_empty());
    }
}
