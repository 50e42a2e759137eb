//! The ground truth of a page as lists to match with: torn paragraphs joined, categories chosen, reading order kept.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::Protocol;
use super::page::{Block, Page};

/// Categories that are matched as text.
pub const TEXT: [&str; 16] = [
    "text_block",
    "title",
    "code_txt",
    "code_txt_caption",
    "reference",
    "equation_caption",
    "figure_caption",
    "figure_footnote",
    "table_caption",
    "table_footnote",
    "code_algorithm",
    "code_algorithm_caption",
    "header",
    "footer",
    "page_footnote",
    "page_number",
];

/// Text categories that are matched, so that their text does not count as an error elsewhere, but not scored.
pub const IGNORED: [&str; 11] = [
    "figure_caption",
    "figure_footnote",
    "table_caption",
    "table_footnote",
    "code_algorithm",
    "code_algorithm_caption",
    "header",
    "footer",
    "page_footnote",
    "page_number",
    "equation_caption",
];

/// Category of display formulas.
pub const FORMULA: &str = "equation_isolated";

/// Category of tables.
pub const TABLE: &str = "table";

/// A page's blocks with torn paragraphs joined, in the order of the annotation, joined ones last. Since v1.6 blocks marked
/// `ignore` are left out, and paragraphs that have a part marked so.
pub fn merge(page: &Page, protocol: Protocol) -> Vec<Cow<'_, Block>> {
    let since_1_6 = protocol >= Protocol::V1_6;
    let chains = match since_1_6 {
        true => groups(&page.truncated),
        false => chains(&page.truncated),
    };
    let torn: FxHashMap<&str, &Block> = {
        let named = page.truncated.iter().flatten().map(String::as_str);
        let mut torn: FxHashMap<&str, Option<&Block>> = named.map(|id| (id, None)).collect();
        for block in &page.blocks {
            let id = block.id.as_deref();
            if let Some(place) = id.and_then(|id| torn.get_mut(id)) {
                *place = Some(block);
            }
        }
        let found = torn.into_iter();
        found.filter_map(|(id, block)| Some((id, block?))).collect()
    };
    let whole = |block: &&Block| {
        let id = block.id.as_deref();
        let belongs_to_a_chain = id.is_some_and(|id| torn.contains_key(id));
        let left_out = since_1_6 && block.ignore;
        !belongs_to_a_chain && !left_out
    };
    let whole = page.blocks.iter().filter(whole);
    let mut blocks: Vec<Cow<'_, Block>> = whole.map(Cow::Borrowed).collect();
    for chain in chains {
        let mut parts: Vec<&Block> = chain
            .iter()
            .filter_map(|id| torn.get(id).copied())
            .collect();
        parts.sort_by(|a, b| order(a).total_cmp(&order(b)));
        let Some(first) = parts.first() else { continue };
        if since_1_6 && parts.iter().any(|part| part.ignore) {
            continue;
        }
        let texts = parts.iter().filter_map(|part| part.text.as_deref());
        blocks.push(Cow::Owned(Block {
            category: first.category.clone(),
            order: first.order,
            id: first.id.clone(),
            text: Some(texts.collect()),
            ..Block::default()
        }));
    }
    blocks
}

/// Paragraphs of more than two parts: a relation is added to every chain that knows one of its ends, and a part is named
/// once for each relation that it is in (the official tool repeats its text then, and so do we).
fn chains(relations: &[[String; 2]]) -> Vec<Vec<&str>> {
    let mut chains: Vec<Vec<&str>> = Vec::new();
    let mut known: FxHashMap<&str, Vec<usize>> = FxHashMap::default();
    for [source, target] in relations {
        let pair = [source.as_str(), target.as_str()];
        let mut joined: Vec<usize> = pair
            .iter()
            .filter_map(|id| known.get(id))
            .flatten()
            .copied()
            .collect();
        joined.sort_unstable();
        joined.dedup();
        if joined.is_empty() {
            joined.push(chains.len());
            chains.push(Vec::new());
        }
        for at in joined {
            if let Some(chain) = chains.get_mut(at) {
                chain.extend(pair);
            }
            for id in pair {
                let places = known.entry(id).or_default();
                if !places.contains(&at) {
                    places.push(at);
                }
            }
        }
    }
    chains
}

/// The same under v1.6: relations that share a part are of one paragraph, and each part is named once.
fn groups(relations: &[[String; 2]]) -> Vec<Vec<&str>> {
    let mut groups: Vec<Vec<&str>> = Vec::new();
    for [source, target] in relations {
        let mut group = vec![source.as_str(), target.as_str()];
        groups.retain(|other| {
            let apart = !other.iter().any(|id| group.contains(id));
            if !apart {
                group.extend(other);
            }
            apart
        });
        group.sort_unstable();
        group.dedup();
        groups.push(group);
    }
    groups
}

/// Place in the reading order, where absent the first.
fn order(block: &Block) -> f64 {
    block.order.unwrap_or(0.0)
}

/// Blocks of the given categories, category by category, then sorted by reading order.
fn listed<'a>(blocks: &'a [Cow<'a, Block>], categories: &[&str]) -> Vec<&'a Block> {
    let mut list: Vec<&Block> = Vec::new();
    for category in categories {
        let of = |block: &&Block| block.category == *category;
        list.extend(blocks.iter().map(AsRef::as_ref).filter(of));
    }
    list.sort_by(|a, b| order(a).total_cmp(&order(b)));
    list
}

/// What predicted text is matched with: text of every category, under v1.5 display formulas as well.
pub fn texts<'a>(blocks: &'a [Cow<'a, Block>], protocol: Protocol) -> Vec<&'a Block> {
    match protocol {
        Protocol::V1_0 => listed(blocks, &TEXT),
        Protocol::V1_5 | Protocol::V1_6 => listed(blocks, &[&TEXT[..], &[FORMULA]].concat()),
    }
}

/// Display formulas.
pub fn formulas<'a>(blocks: &'a [Cow<'a, Block>]) -> Vec<&'a Block> {
    listed(blocks, &[FORMULA])
}

/// Tables.
pub fn tables<'a>(blocks: &'a [Cow<'a, Block>]) -> Vec<&'a Block> {
    listed(blocks, &[TABLE])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(id: &str, category: &str, order: f64, text: &str) -> Block {
        Block {
            category: category.into(),
            order: Some(order),
            id: Some(id.into()),
            text: Some(text.into()),
            ..Block::default()
        }
    }

    #[test]
    fn torn_paragraphs_are_joined_in_reading_order() {
        let page = Page {
            blocks: vec![
                block("1", "text_block", 3.0, "end"),
                block("2", "title", 1.0, "Title"),
                block("3", "text_block", 2.0, "begin "),
            ],
            truncated: vec![["1".into(), "3".into()], ["8".into(), "9".into()]],
            ..Page::default()
        };
        let merged = merge(&page, Protocol::V1_5);
        let texts: Vec<_> = merged
            .iter()
            .map(|b| b.text.clone().unwrap_or_default())
            .collect();
        assert_eq!(texts, ["Title", "begin end"]);
        assert_eq!(merged[1].order, Some(2.0));
    }

    #[test]
    fn formulas_stand_in_the_mixed_list_only() {
        let blocks = [
            block("1", "table_caption", 1.0, "Table 1"),
            block("2", "equation_isolated", 0.0, ""),
            block("3", "figure", 0.0, ""),
        ]
        .map(Cow::Owned);
        assert_eq!(texts(&blocks, Protocol::V1_0).len(), 1);
        assert_eq!(texts(&blocks, Protocol::V1_5).len(), 2);
        assert_eq!((formulas(&blocks).len(), tables(&blocks).len()), (1, 0));
    }
}
