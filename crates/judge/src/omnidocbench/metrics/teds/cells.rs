//! Contents of cells, and how far apart they are.

use std::borrow::Cow;

use base::numerics::{Alphabet, levenshtein_numbered};
use rustc_hash::FxHashMap;

use super::super::html::Tree;
use super::super::tree_distance::Rename;
use super::table::{Numbers, Table};

/// Words of 64 comparisons after which two tables are too large.
const MOST_WORDS: u64 = 1 << 31;

/// How many distances of long cells are remembered, and for how many pairs of short cells there is a table.
const MOST_REMEMBERED: usize = 1 << 20;
const MOST_TABLED: usize = 1 << 24;

/// The contents of the cells of both tables: each a sequence of tokens, which are characters and tags.
#[derive(Default)]
pub struct Contents {
    /// Shapes as text, and the one that is being looked up.
    shapes: Numbers<String>,
    shape: String,
    /// Tokens have even numbers where they are characters and odd ones where they are tags, which are named `<tag` and
    /// `/tag`.
    characters: Alphabet<char>,
    tags: Numbers<String>,
    /// The largest of these numbers, and one more.
    tokens: usize,
    numbers: Numbers<Vec<u32>>,
    cells: Vec<Vec<u32>>,
}

impl Contents {
    /// The number of what a node is besides its contents: tag, colspan and rowspan, the spans of cells only.
    pub fn shape(&mut self, name: &str, spans: &[Cow<'_, str>; 2]) -> u32 {
        let shape = &mut self.shape;
        shape.clear();
        for part in [name, " ", &spans[0], " ", &spans[1]] {
            shape.push_str(part);
        }
        self.shapes.of(shape.as_str())
    }

    /// The number of the contents of the cell at `index`; equal contents have equal numbers.
    pub fn number(&mut self, tree: &Tree, index: usize) -> u32 {
        let tokens = self.tokens_of(tree, index);
        let number = self.numbers.of(tokens.as_slice());
        if number as usize == self.cells.len() {
            self.cells.push(tokens);
        }
        number
    }

    /// All text and tags within an element, in order.
    fn tokens_of(&mut self, tree: &Tree, index: usize) -> Vec<u32> {
        let mut tokens = Vec::new();
        let mut open = vec![(index, 0)];
        while let Some((at, visited)) = open.pop() {
            let Some(element) = tree.get(at) else {
                continue;
            };
            let inside = !open.is_empty();
            if visited == 0 {
                if inside {
                    tokens.push(self.tag('<', &element.name));
                }
                self.spell(&element.text, &mut tokens);
            }
            if let Some(&child) = element.children.get(visited) {
                open.push((at, visited + 1));
                open.push((child, 0));
            } else if inside {
                // `unk` is the one tag that PubTabNet does not close, and a cell's tail is nobody's.
                if element.name != "unk" {
                    tokens.push(self.tag('/', &element.name));
                }
                if element.name != "td" {
                    self.spell(&element.tail, &mut tokens);
                }
            }
        }
        tokens
    }

    fn spell(&mut self, text: &str, tokens: &mut Vec<u32>) {
        for c in text.chars() {
            let token = 2 * self.characters.number(c);
            self.tokens = self.tokens.max(token as usize + 1);
            tokens.push(token);
        }
    }

    fn tag(&mut self, mark: char, name: &str) -> u32 {
        let token = 2 * self.tags.of(format!("{mark}{name}").as_str()) + 1;
        self.tokens = self.tokens.max(token as usize + 1);
        token
    }
}

/// What renaming costs between two tables.
pub struct Comparison<'a> {
    a: &'a Table,
    b: &'a Table,
    contents: Option<&'a Contents>,
    /// Where each token stands in the short cell that was last compared, and which that is.
    places: Vec<u64>,
    placed: Option<u32>,
    /// Distances of long cells.
    remembered: FxHashMap<(u32, u32), f64>,
    /// Edit distances of short cells, a row for each cell of the first table; 0 where unknown, for cells that are compared
    /// differ. Empty where there are too many.
    table: Vec<u16>,
    /// The column of each of the second table's cells, by number; and how many there are.
    column: Vec<u32>,
    columns: usize,
    /// Words of 64 comparisons made so far.
    words: u64,
}

impl<'a> Comparison<'a> {
    /// Compares with contents where they are given, else by shape alone.
    pub fn new(a: &'a Table, b: &'a Table, contents: Option<&'a Contents>) -> Self {
        Self {
            a,
            b,
            contents,
            places: vec![0; contents.map_or(0, |known| known.tokens)],
            placed: None,
            remembered: FxHashMap::default(),
            table: Vec::new(),
            column: Vec::new(),
            columns: 0,
            words: 0,
        }
        .tabled()
    }

    /// Lays out the table of short cells.
    fn tabled(mut self) -> Self {
        let rows = self
            .a
            .contents
            .iter()
            .flatten()
            .max()
            .map_or(0, |&last| last as usize + 1);
        let cells = self.contents.map_or(0, |known| known.cells.len());
        self.column = vec![0; cells];
        let mut seen = vec![false; cells];
        for &number in self.b.contents.iter().flatten() {
            if let (Some(seen), Some(column)) = (
                seen.get_mut(number as usize),
                self.column.get_mut(number as usize),
            ) && !std::mem::replace(seen, true)
            {
                *column = self.columns as u32;
                self.columns += 1;
            }
        }
        if cells > 0 && rows * self.columns <= MOST_TABLED {
            self.table = vec![0; rows * self.columns];
        }
        self
    }

    /// Where the table has the distance of two cells.
    fn place_in_table(&self, a: u32, b: u32) -> usize {
        let column = self.column.get(b as usize).copied().unwrap_or(0);
        a as usize * self.columns + column as usize
    }

    /// Whether there was too much to compare, so that the costs are not to be trusted.
    pub fn gave_up(&self) -> bool {
        self.words > MOST_WORDS
    }

    /// The edit distance of two different contents, divided by the length of the longer.
    fn apart(&mut self, known: &Contents, a: u32, b: u32) -> f64 {
        let (Some(from), Some(to)) = (known.cells.get(a as usize), known.cells.get(b as usize))
        else {
            return 1.0;
        };
        let longest = from.len().max(to.len());
        if from.is_empty() || to.is_empty() {
            return 1.0;
        }
        if from.len() <= 64 {
            let at = self.place_in_table(a, b);
            if let Some(&found @ 1..) = self.table.get(at) {
                return f64::from(found) / longest as f64;
            }
            self.words += to.len() as u64;
            self.place(known, a, from);
            let found = self.steps(from.len(), to);
            if let (Some(place), Ok(found)) = (self.table.get_mut(at), found.try_into()) {
                *place = found;
            }
            return found as f64 / longest as f64;
        }
        if let Some(&found) = self.remembered.get(&(a, b)) {
            return found;
        }
        let shortest = from.len().min(to.len());
        self.words += shortest.div_ceil(64) as u64 * longest as u64;
        if self.gave_up() {
            return 1.0;
        }
        let found = levenshtein_numbered(from, to) as f64 / longest as f64;
        if self.remembered.len() < MOST_REMEMBERED {
            self.remembered.insert((a, b), found);
        }
        found
    }

    /// Makes `places` those of the cell `number`.
    fn place(&mut self, known: &Contents, number: u32, cell: &[u32]) {
        if self.placed == Some(number) {
            return;
        }
        let before = self
            .placed
            .and_then(|placed| known.cells.get(placed as usize));
        for &token in before.into_iter().flatten() {
            if let Some(place) = self.places.get_mut(token as usize) {
                *place = 0;
            }
        }
        for (at, &token) in cell.iter().enumerate() {
            if let Some(place) = self.places.get_mut(token as usize) {
                *place |= 1 << at;
            }
        }
        self.placed = Some(number);
    }

    /// The edit distance of the placed cell, which has `len` tokens, to `other` (Hyyrö 2003, one word).
    fn steps(&self, len: usize, other: &[u32]) -> usize {
        let last = 1u64 << (len - 1);
        let (mut up, mut down) = (u64::MAX, 0u64);
        let mut score = len;
        for &token in other {
            let equal = self.places.get(token as usize).copied().unwrap_or(0);
            let diagonal = ((equal & up).wrapping_add(up) ^ up) | equal | down;
            let right_up = down | !(diagonal | up);
            let right_down = up & diagonal;
            score += usize::from(right_up & last != 0);
            score -= usize::from(right_down & last != 0);
            let right_up = (right_up << 1) | 1;
            up = (right_down << 1) | !(diagonal | right_up);
            down = right_up & diagonal;
        }
        score
    }
}

impl Rename for Comparison<'_> {
    fn cost(&mut self, a: usize, b: usize) -> f64 {
        if self.a.shapes.get(a) != self.b.shapes.get(b) {
            return 1.0;
        }
        let (Some(known), Some(&Some(from)), Some(&Some(to))) = (
            self.contents,
            self.a.contents.get(a),
            self.b.contents.get(b),
        ) else {
            return 0.0;
        };
        if from == to {
            return 0.0;
        }
        self.apart(known, from, to)
    }
}
