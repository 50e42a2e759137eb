//! A table as the tree that is compared.

use std::borrow::{Borrow, Cow};

use rustc_hash::FxHashMap;

use super::super::html::{Element, Tree};
use super::super::tree_distance::Postorder;
use super::cells::Contents;
use crate::omnidocbench::python::digit;

/// A table's tree, in postorder. Cells are leaves.
pub struct Table {
    /// How the nodes hang together.
    pub order: Postorder,
    /// A node's shape; equal numbers are equal shapes.
    pub shapes: Vec<u32>,
    /// A cell's contents, as numbered in [`Contents`]; `None` for other nodes.
    pub contents: Vec<Option<u32>>,
    /// Elements below the table, also those inside cells.
    pub nodes: usize,
}

impl Table {
    /// The tree below the element `table`; fails with the name and the value of a span that is no number.
    pub fn new(
        tree: &Tree,
        table: usize,
        known: &mut Contents,
    ) -> Result<Self, (&'static str, String)> {
        let (mut sizes, mut shapes, mut contents) = (Vec::new(), Vec::new(), Vec::new());
        // An element, how many of its children were visited, and how many nodes came before it.
        let mut open = vec![(table, 0, 0)];
        while let Some((index, visited, before)) = open.pop() {
            let Some(element) = tree.get(index) else {
                continue;
            };
            let is_cell = element.name == "td";
            if let Some(&child) = element.children.get(visited).filter(|_| !is_cell) {
                open.push((index, visited + 1, before));
                open.push((child, 0, sizes.len()));
                continue;
            }
            let spans = match is_cell {
                true => [span(element, "colspan")?, span(element, "rowspan")?],
                false => [Cow::Borrowed(""), Cow::Borrowed("")],
            };
            sizes.push(sizes.len() + 1 - before);
            shapes.push(known.shape(&element.name, &spans));
            contents.push(is_cell.then(|| known.number(tree, index)));
        }
        Ok(Self {
            order: Postorder::new(&sizes),
            shapes,
            contents,
            nodes: tree.descendants(table).len(),
        })
    }
}

/// The number in a cell's `name`, 1 where that is absent.
fn span<'a>(
    element: &'a Element,
    name: &'static str,
) -> Result<Cow<'a, str>, (&'static str, String)> {
    let value = element.attribute(name).unwrap_or("1");
    whole_number(value).ok_or_else(|| (name, value.to_owned()))
}

/// What Python's `int` makes of a text, in one spelling: digits with single underscores between them, a sign, blanks
/// around.
fn whole_number(text: &str) -> Option<Cow<'_, str>> {
    if !text.is_ascii() {
        // Digits of all scripts count.
        let digit = |c: char| digit(c).and_then(|digit| char::from_digit(digit, 10));
        let ascii: String = text.chars().map(|c| digit(c).unwrap_or(c)).collect();
        return ascii_number(&ascii).map(|number| number.into_owned().into());
    }
    ascii_number(text)
}

fn ascii_number(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim_matches(is_python_blank);
    let (minus, digits) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    let groups = digits.split('_');
    let fits = |group: &str| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit());
    // Python refuses numbers of more than 4,300 digits.
    let count = digits.len() - digits.matches('_').count();
    if count > 4300 || !groups.clone().all(fits) {
        return None;
    }
    let bare = |digits: &str| digits.trim_start_matches('0').to_owned();
    let digits: Cow<'_, str> = match digits.contains('_') {
        true => bare(&groups.collect::<String>()).into(),
        false => digits.trim_start_matches('0').into(),
    };
    Some(match (digits.is_empty(), minus) {
        (true, _) => "0".into(),
        (false, true) => format!("-{digits}").into(),
        (false, false) => digits,
    })
}

/// Python's white space.
pub fn is_python_blank(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Numbers for things that are to be told apart.
pub struct Numbers<T>(FxHashMap<T, u32>);

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self(FxHashMap::default())
    }
}

impl<T: std::hash::Hash + Eq> Numbers<T> {
    /// The number of `thing`, a new one if it was not seen before.
    pub fn of<B>(&mut self, thing: &B) -> u32
    where
        T: Borrow<B>,
        B: std::hash::Hash + Eq + ToOwned<Owned = T> + ?Sized,
    {
        if let Some(&number) = self.0.get(thing) {
            return number;
        }
        let next = self.0.len() as u32;
        self.0.insert(thing.to_owned(), next);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::whole_number;

    #[test]
    fn spans_are_read_as_python_reads_numbers() {
        for (text, number) in [
            ("2", Some("2")),
            (" 02\n", Some("2")),
            ("+1_0", Some("10")),
            ("-0", Some("0")),
            ("-3", Some("-3")),
            ("\u{0663}", Some("3")),
            ("1\u{09ec}", Some("16")),
            ("\u{b2}", None),
            ("", None),
            ("2.0", None),
            ("1__0", None),
            ("_1", None),
            ("x", None),
        ] {
            assert_eq!(whole_number(text).as_deref(), number, "{text:?}");
        }
    }
}
