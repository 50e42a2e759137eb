//! Zhang and Shasha's tables of forests, as far as they lie in a strip.

use super::{Postorder, Rename};

/// One computation with a strip of a given width.
pub struct Pass<'a> {
    a: &'a Postorder,
    b: &'a Postorder,
    /// How many insertions and deletions the strip has room for.
    inserted: usize,
    deleted: usize,
    /// Distances of subtrees where the first tree's node, or only the second's, has children; infinite where unknown.
    /// Those of two leaves are what renaming costs.
    of_a: Strip,
    of_b: Strip,
    /// Rows that are used again, for reuse.
    spare: Vec<Row>,
}

/// A table of which each row keeps one stretch of places.
struct Strip {
    width: usize,
    values: Vec<f64>,
}

impl Strip {
    fn new(rows: usize, width: usize) -> Self {
        Self {
            width,
            values: vec![f64::INFINITY; rows * width],
        }
    }

    fn get(&self, row: usize, at: Option<usize>) -> f64 {
        match at {
            Some(at) if at < self.width => {
                let found = self.values.get(row * self.width + at);
                found.copied().unwrap_or(f64::INFINITY)
            }
            _ => f64::INFINITY,
        }
    }

    fn set(&mut self, row: usize, at: Option<usize>, value: f64) {
        if let Some(at) = at.filter(|&at| at < self.width)
            && let Some(place) = self.values.get_mut(row * self.width + at)
        {
            *place = value;
        }
    }
}

/// A row of a table of forests: the places `start..start + values.len()`; all others are infinite.
#[derive(Clone, Default)]
struct Row {
    start: usize,
    values: Vec<f64>,
}

impl Row {
    fn get(&self, at: usize) -> f64 {
        // A place before the start wraps around to one far behind the end.
        let found = self.values.get(at.wrapping_sub(self.start));
        found.copied().unwrap_or(f64::INFINITY)
    }

    fn clear(&mut self, start: usize) {
        self.start = start;
        self.values.clear();
    }

    fn copy_from(&mut self, other: &Self) {
        self.clear(other.start);
        self.values.extend_from_slice(&other.values);
    }
}

impl<'a> Pass<'a> {
    pub fn new(a: &'a Postorder, b: &'a Postorder, inserted: usize, deleted: usize) -> Self {
        let width = inserted + deleted + 1;
        Self {
            a,
            b,
            inserted,
            deleted,
            of_a: Strip::new(a.inners(), width.min(b.len())),
            of_b: Strip::new(b.inners(), width.min(a.len())),
            spare: Vec::new(),
        }
    }

    /// Places that such a pass keeps.
    pub fn kept(a: &Postorder, b: &Postorder, inserted: usize, deleted: usize) -> f64 {
        let width = inserted + deleted + 1;
        a.inners() as f64 * width.min(b.len()) as f64
            + b.inners() as f64 * width.min(a.len()) as f64
    }

    /// The least cost of the mappings within the strip.
    pub fn run(mut self, rename: &mut impl Rename) -> f64 {
        let mut found = f64::INFINITY;
        let (a, b) = (self.a, self.b);
        for &i in a.paths() {
            // Paths of `b` come by their leftmost leaf, the last first: those in the strip are neighbours.
            let begin = b
                .paths()
                .partition_point(|&j| b.first(j) > a.first(i) + self.inserted);
            for &j in b.paths().get(begin..).unwrap_or_default() {
                if b.first(j) + self.deleted < a.first(i) {
                    break;
                }
                let leaves = a.inner(i).is_none() && b.inner(j).is_none();
                if !leaves || (i + 1 == a.len() && j + 1 == b.len()) {
                    found = self.forests(i, j, rename);
                }
            }
        }
        // The roots' paths come last.
        found
    }

    /// The table of all forests that begin at the leftmost leaves below `i` and `j`; fills in the distances of subtrees on
    /// their left paths and returns that of the two whole ones.
    fn forests(&mut self, i: usize, j: usize, rename: &mut impl Rename) -> f64 {
        let (a, b) = (self.a, self.b);
        let (begin, other) = (a.first(i), b.first(j));
        let (rows, columns) = (i + 1 - begin, j + 1 - other);
        // A column may lag behind the row by `behind` and be ahead by `ahead`, both within these subtrees and as
        // counted from the trees' beginnings.
        let behind = self
            .deleted
            .min((self.deleted + other).saturating_sub(begin));
        let ahead = self
            .inserted
            .min((self.inserted + begin).saturating_sub(other));

        let mut zeroth = self.spare.pop().unwrap_or_default();
        zeroth.clear(0);
        zeroth
            .values
            .extend((0..=columns.min(ahead)).map(|column| column as f64));
        let mut above = self.spare.pop().unwrap_or_default();
        above.copy_from(&zeroth);
        let mut row = self.spare.pop().unwrap_or_default();
        // Rows before leaves whose left paths are not yet complete.
        let mut waiting: Vec<(usize, Row)> = Vec::new();

        for at in 1..=rows {
            let x = begin + at - 1;
            let first = a.first(x);
            let on_path = first == begin;
            let inner = a.inner(x);
            if inner.is_none() && !on_path && a.top(x) != x {
                let mut copy = self.spare.pop().unwrap_or_default();
                copy.copy_from(&above);
                waiting.push((a.top(x), copy));
            }
            let before = match waiting.last() {
                _ if on_path => &zeroth,
                Some((_, row)) if inner.is_some() => row,
                _ => &above,
            };
            let start = at.saturating_sub(behind);
            let end = columns.min(at + ahead);
            row.clear(start);
            let mut left = f64::INFINITY;
            for column in start..=end {
                let mut best = above.get(column).min(left) + 1.0;
                if column > 0 {
                    let y = other + column - 1;
                    let leaf = b.first(y);
                    let both = on_path && leaf == other;
                    let already = if both {
                        above.get(column - 1)
                    } else {
                        before.get(leaf - other)
                    };
                    if already < best {
                        let more = match (both, inner, b.inner(y)) {
                            (true, ..) | (_, None, None) => rename.cost(x, y),
                            (_, Some(row), _) => self
                                .of_a
                                .get(row, (y + self.deleted).checked_sub(x.max(self.deleted))),
                            (_, None, Some(row)) => self
                                .of_b
                                .get(row, (x + self.inserted).checked_sub(y.max(self.inserted))),
                        };
                        best = best.min(already + more);
                    }
                    if both {
                        match (inner, b.inner(y)) {
                            (Some(row), _) => self.of_a.set(
                                row,
                                (y + self.deleted).checked_sub(x.max(self.deleted)),
                                best,
                            ),
                            (None, Some(row)) => self.of_b.set(
                                row,
                                (x + self.inserted).checked_sub(y.max(self.inserted)),
                                best,
                            ),
                            (None, None) => {}
                        }
                    }
                }
                row.values.push(best);
                left = best;
            }
            if waiting.last().is_some_and(|&(top, _)| top == x)
                && let Some((_, done)) = waiting.pop()
            {
                self.spare.push(done);
            }
            std::mem::swap(&mut above, &mut row);
        }
        let whole = above.get(columns);
        self.spare.extend([zeroth, above, row]);
        self.spare.extend(waiting.into_iter().map(|(_, row)| row));
        whole
    }
}
