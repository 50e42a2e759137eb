//! Levenshtein's edit distance, 64 cells of its table at a time.
//!
//! A column of the table is kept as two bit vectors, where it rises and where it falls (Myers, JACM 46(3), 1999, in
//! the form of Hyyrö, "A bit-vector algorithm for computing Levenshtein and Damerau edit distances", 2003); patterns of
//! more than 64 items are chained in blocks. Items are characters, tokens or numbers: anything that can be told apart.

use std::hash::Hash;

use rustc_hash::FxHashMap;

/// Bits of a block.
const BITS: usize = 64;

/// How many items must be inserted, deleted or replaced to make `b` of `a`.
///
/// Takes `O(⌈min/64⌉ · max)` time in the lengths of what is left after the common beginning and end.
pub fn levenshtein<T: Eq + Hash + Copy>(a: &[T], b: &[T]) -> usize {
    let (a, b) = differing(a, b);
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    match short.len() {
        0 => long.len(),
        1 => long.len() - usize::from(long.contains(&short[0])),
        _ => Pattern::new(short).distance(long),
    }
}

/// The two without what they begin and end with in common.
fn differing<'a, T: Eq>(a: &'a [T], b: &'a [T]) -> (&'a [T], &'a [T]) {
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[same..], &b[same..]);
    let pairs = a.iter().rev().zip(b.iter().rev());
    let same = pairs.take_while(|(x, y)| x == y).count();
    (&a[..a.len() - same], &b[..b.len() - same])
}

/// A sequence made ready to be compared with many others.
#[derive(Clone, Debug)]
pub struct Pattern<T> {
    /// Number of items.
    len: usize,
    /// Which row of `masks` an item has.
    rows: FxHashMap<T, usize>,
    /// For each different item, where it stands: `blocks` words a row. The first row is that of items that do not occur.
    masks: Vec<u64>,
    /// Words a row.
    blocks: usize,
}

/// A column of the table.
struct Column {
    /// Where it rises, and where it falls, going down.
    up: Vec<u64>,
    down: Vec<u64>,
}

/// The way of a block from one column to the next.
struct Step {
    /// Where items agree, or the old column falls.
    vertical: u64,
    /// Where a row rises, and where it falls, going right.
    rise: u64,
    fall: u64,
}

impl Step {
    /// From where items agree and how the old column goes; `falls` says whether the row above falls.
    #[inline(always)]
    fn new(equal: u64, up: u64, down: u64, falls: u64) -> Self {
        let vertical = equal | down;
        let equal = equal | falls;
        let diagonal = ((equal & up).wrapping_add(up) ^ up) | equal;
        Self {
            vertical,
            rise: down | !(diagonal | up),
            fall: up & diagonal,
        }
    }

    /// The score of the cell in row `last`, given that of the column before.
    #[inline(always)]
    fn bottom(&self, score: usize, last: usize) -> usize {
        score + (self.rise >> last & 1) as usize - (self.fall >> last & 1) as usize
    }

    /// The new column, given how the row above it goes.
    #[inline(always)]
    fn below(&self, rises: u64, falls: u64) -> (u64, u64) {
        let (rise, fall) = (self.rise << 1 | rises, self.fall << 1 | falls);
        (fall | !(self.vertical | rise), rise & self.vertical)
    }
}

impl<T: Eq + Hash + Copy> Pattern<T> {
    /// Reads a pattern.
    pub fn new(items: &[T]) -> Self {
        let blocks = items.len().div_ceil(BITS);
        let mut rows =
            FxHashMap::with_capacity_and_hasher(items.len().min(BITS), Default::default());
        let mut masks = Vec::with_capacity(blocks * items.len().min(BITS));
        masks.resize(blocks, 0);
        for (at, &item) in items.iter().enumerate() {
            let next = rows.len() + 1;
            let row = *rows.entry(item).or_insert(next);
            if row == next {
                masks.resize((next + 1) * blocks, 0);
            }
            if let Some(word) = masks.get_mut(row * blocks + at / BITS) {
                *word |= 1 << (at % BITS);
            }
        }
        Self {
            len: items.len(),
            rows,
            masks,
            blocks,
        }
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The edit distance to `text`.
    pub fn distance(&self, text: &[T]) -> usize {
        self.within(text, usize::MAX).unwrap_or(usize::MAX)
    }

    /// The edit distance to `text` where it is at most `limit`; stops as soon as it cannot be.
    pub fn within(&self, text: &[T], limit: usize) -> Option<usize> {
        if self.len.abs_diff(text.len()) > limit {
            return None;
        }
        if self.is_empty() {
            return Some(text.len());
        }
        if self.blocks == 1 {
            return self.within_word(text, limit);
        }
        let mut column = self.first_column();
        let mut score = self.len;
        for (at, item) in text.iter().enumerate() {
            score = score.wrapping_add_signed(self.advance(&mut column, item, 1));
            // Every column that is left can lower the score by one at most.
            if score.saturating_sub(text.len() - at - 1) > limit {
                return None;
            }
        }
        (score <= limit).then_some(score)
    }

    /// [`Self::within`] for a pattern of one block, whose column stays in registers.
    fn within_word(&self, text: &[T], limit: usize) -> Option<usize> {
        let (mut up, mut down) = (!0, 0);
        let mut score = self.len;
        for (at, item) in text.iter().enumerate() {
            let step = Step::new(self.word(item), up, down, 0);
            score = step.bottom(score, self.len - 1);
            (up, down) = step.below(1, 0);
            if score.saturating_sub(text.len() - at - 1) > limit {
                return None;
            }
        }
        (score <= limit).then_some(score)
    }

    /// For each place of `text`, the least distance of the pattern to any stretch that ends there (Sellers); `each` gets
    /// the place after the stretch and that distance.
    pub fn search(&self, text: &[T], mut each: impl FnMut(usize, usize)) {
        let mut score = self.len;
        if self.blocks == 1 {
            let (mut up, mut down) = (!0, 0);
            for (at, item) in text.iter().enumerate() {
                let step = Step::new(self.word(item), up, down, 0);
                score = step.bottom(score, self.len - 1);
                (up, down) = step.below(0, 0);
                each(at + 1, score);
            }
            return;
        }
        let mut column = self.first_column();
        for (at, item) in text.iter().enumerate() {
            score = score.wrapping_add_signed(self.advance(&mut column, item, 0));
            each(at + 1, score);
        }
    }

    /// Where an item stands in a pattern of one block.
    fn word(&self, item: &T) -> u64 {
        let row = self.rows.get(item).copied().unwrap_or(0);
        self.masks.get(row).copied().unwrap_or(0)
    }

    fn first_column(&self) -> Column {
        Column {
            up: vec![!0; self.blocks],
            down: vec![0; self.blocks],
        }
    }

    /// The next column, whose top cell is `carry` (0 or 1) more than the last one's; returns the step of the bottom cell.
    fn advance(&self, column: &mut Column, item: &T, carry: u64) -> isize {
        let row = self.rows.get(item).copied().unwrap_or(0) * self.blocks;
        let masks = self.masks.get(row..row + self.blocks).unwrap_or(&[]);
        let (mut rises, mut falls) = (carry, 0);
        let last = (self.len.wrapping_sub(1)) % BITS;
        let (mut bottom_rises, mut bottom_falls) = (0, 0);
        for ((&equal, up), down) in masks.iter().zip(&mut column.up).zip(&mut column.down) {
            let step = Step::new(equal, *up, *down, falls);
            (bottom_rises, bottom_falls) = (step.rise >> last & 1, step.fall >> last & 1);
            let (rise_in, fall_in) = (rises, falls);
            (rises, falls) = (step.rise >> (BITS - 1), step.fall >> (BITS - 1));
            (*up, *down) = step.below(rise_in, fall_in);
        }
        bottom_rises as isize - bottom_falls as isize
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// The table, cell by cell.
    fn slow(a: &[u32], b: &[u32], free_start: bool) -> Vec<usize> {
        let mut row: Vec<usize> = (0..=b.len())
            .map(|j| if free_start { 0 } else { j })
            .collect();
        for (i, x) in a.iter().enumerate() {
            let mut corner = row[0];
            row[0] = i + 1;
            for (j, y) in b.iter().enumerate() {
                let replace = corner + usize::from(x != y);
                corner = row[j + 1];
                row[j + 1] = replace.min(row[j] + 1).min(corner + 1);
            }
        }
        row
    }

    fn word(rng: &mut Rng, most: usize, letters: usize) -> Vec<u32> {
        let len = rng.below(most + 1);
        (0..len).map(|_| rng.below(letters) as u32).collect()
    }

    #[test]
    fn all_lengths_agree_with_the_plain_table() {
        let mut rng = Rng::new(1);
        for round in 0..600 {
            let most = [3, 12, 64, 70, 200][round % 5];
            let letters = [1, 2, 4, 30][round % 4];
            let (a, b) = (word(&mut rng, most, letters), word(&mut rng, most, letters));
            let expected = *slow(&a, &b, false).last().unwrap();
            assert_eq!(levenshtein(&a, &b), expected, "{a:?} {b:?}");
            let pattern = Pattern::new(&a);
            assert_eq!(pattern.distance(&b), expected);
            assert_eq!(pattern.within(&b, expected), Some(expected));
            assert_eq!(
                expected
                    .checked_sub(1)
                    .and_then(|less| pattern.within(&b, less)),
                None
            );
        }
    }

    #[test]
    fn a_search_finds_the_nearest_stretch_at_each_end() {
        let mut rng = Rng::new(2);
        for round in 0..100 {
            let (a, b) = (word(&mut rng, 90, 3), word(&mut rng, 150, 3));
            if a.is_empty() {
                continue;
            }
            let expected = slow(&a, &b, true);
            Pattern::new(&a).search(&b, |end, distance| {
                assert_eq!(distance, expected[end], "round {round}");
            });
        }
    }

    #[test]
    fn known_words() {
        let distance = |a: &str, b: &str| {
            let items = |s: &str| s.chars().collect::<Vec<char>>();
            levenshtein(&items(a), &items(b))
        };
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "абв"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
