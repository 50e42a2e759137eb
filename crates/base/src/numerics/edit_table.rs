//! Edit distances of many sequences to many others.

use super::edit_columns::{EDIT_LANES, edit_columns};
use super::levenshtein_numbered;

/// Items of a block.
const BITS: usize = 64;

/// Reading a block of a group costs about as much as taking it along so many items.
const READING: usize = 64;

/// The edit distance of each of `a` with each of `b`: `[a, b]`, row by row. Symbols are numbered, best with small numbers.
///
/// Eight sequences of one side are worked on together, along each of the other. They are as long as each other, more or
/// less; of the longest, which would be nearly alone, each is taken along the other side instead, eight of that together.
pub fn levenshtein_table(a: &[&[u32]], b: &[&[u32]]) -> Vec<usize> {
    if a.len() <= 1 || b.len() <= 1 {
        let rows = a.iter();
        return rows
            .flat_map(|a| b.iter().map(move |b| levenshtein_numbered(a, b)))
            .collect();
    }
    let (by_a, by_b) = (sorted(a), sorted(b));
    let (mut distances, width) = (vec![0; a.len() * b.len()], b.len());
    let ((work_a, few_a), (work_b, few_b)) = (split(a, &by_a, b, &by_b), split(b, &by_b, a, &by_a));
    match work_a <= work_b {
        true => both((a, &by_a), (b, &by_b), few_a, |row, column, distance| {
            distances[row * width + column] = distance;
        }),
        false => both((b, &by_b), (a, &by_a), few_b, |column, row, distance| {
            distances[row * width + column] = distance;
        }),
    }
    distances
}

/// Places of sequences, the shortest first.
fn sorted(list: &[&[u32]]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..list.len()).collect();
    order.sort_by_key(|&at| list[at].len());
    order
}

/// The groups of a sorted list. Those of the longest are full.
fn groups(order: &[usize]) -> impl Iterator<Item = &[usize]> {
    order.rchunks(EDIT_LANES)
}

/// How many of `a`'s shortest are best taken in groups along all of `b`, while `b` is taken in groups along the others, and
/// what that costs: blocks that are worked out.
fn split(a: &[&[u32]], by_a: &[usize], b: &[&[u32]], by_b: &[usize]) -> (usize, usize) {
    let blocks = |list: &[&[u32]], at: usize| list[at].len().div_ceil(BITS);
    let all = |list: &[&[u32]]| list.iter().map(|item| item.len()).sum::<usize>();
    let whole: usize = groups(by_b)
        .filter_map(|group| group.last())
        .map(|&at| blocks(b, at))
        .sum();
    let (along_b, mut left) = (all(b) + READING, all(a));
    let mut best = (whole * (left + READING), 0);
    // Blocks of the groups of as many as its index says.
    let mut grouped = vec![0];
    for (at, &place) in by_a.iter().enumerate() {
        left -= a[place].len();
        let before = (at + 1).saturating_sub(EDIT_LANES);
        grouped.push(grouped[before] + blocks(a, place));
        let others = match at + 1 < by_a.len() {
            true => whole * (left + READING),
            false => 0,
        };
        best = best.min((grouped[at + 1] * along_b + others, at + 1));
    }
    best
}

/// Takes the `few` shortest of `a` in groups along `b`, and `b` in groups along the others; `each` gets places in `a` and `b`
/// and their distance.
fn both(
    (a, by_a): (&[&[u32]], &[usize]),
    (b, by_b): (&[&[u32]], &[usize]),
    few: usize,
    mut each: impl FnMut(usize, usize, usize),
) {
    let (few, others) = by_a.split_at(few);
    along((a, few), (b, by_b), &mut each);
    along((b, by_b), (a, others), |at, other, distance| {
        each(other, at, distance);
    });
}

/// Takes some patterns in groups along some texts; `each` gets the places of both and their distance.
fn along(
    (patterns, order): (&[&[u32]], &[usize]),
    (texts, chosen): (&[&[u32]], &[usize]),
    mut each: impl FnMut(usize, usize, usize),
) {
    if chosen.is_empty() {
        return;
    }
    let last = order.iter().flat_map(|&at| patterns[at]).max();
    let mut group = Group::new(last.map_or(0, |&last| last as usize + 1));
    for places in groups(order) {
        let members: Vec<&[u32]> = places.iter().map(|&at| patterns[at]).collect();
        group.read(&members);
        for &at in chosen {
            let found = group.distances(texts[at]);
            for (&place, distance) in places.iter().zip(found) {
                each(place, at, distance);
            }
        }
    }
}

/// Up to eight patterns.
struct Group {
    /// The row of `masks` that a symbol has; the first is that of symbols that do not occur.
    rows: Vec<u32>,
    /// Symbols that occur.
    known: Vec<u32>,
    /// `[rows, blocks, 8]`: where they stand.
    masks: Vec<u64>,
    /// `[blocks, 8]`: which bits count.
    counted: Vec<u64>,
    up: Vec<u64>,
    down: Vec<u64>,
    text: Vec<u32>,
    blocks: usize,
}

impl Group {
    fn new(symbols: usize) -> Self {
        Self {
            rows: vec![0; symbols],
            known: Vec::new(),
            masks: Vec::new(),
            counted: Vec::new(),
            up: Vec::new(),
            down: Vec::new(),
            text: Vec::new(),
            blocks: 0,
        }
    }

    /// Takes other patterns.
    fn read(&mut self, patterns: &[&[u32]]) {
        for symbol in self.known.drain(..) {
            self.rows[symbol as usize] = 0;
        }
        let longest = patterns.iter().map(|pattern| pattern.len()).max();
        self.blocks = longest.unwrap_or(0).div_ceil(BITS);
        let width = self.blocks * EDIT_LANES;
        for list in [&mut self.masks, &mut self.counted] {
            list.clear();
            list.resize(width, 0);
        }
        self.up.resize(width, 0);
        self.down.resize(width, 0);
        for &symbol in patterns.iter().copied().flatten() {
            let row = &mut self.rows[symbol as usize];
            if *row == 0 {
                self.known.push(symbol);
                *row = self.known.len() as u32;
            }
        }
        self.masks.resize((self.known.len() + 1) * width, 0);
        for (lane, pattern) in patterns.iter().enumerate() {
            for (block, symbols) in pattern.chunks(BITS).enumerate() {
                let word = block * EDIT_LANES + lane;
                self.counted[word] = !0 >> (BITS - symbols.len());
                for (bit, &symbol) in symbols.iter().enumerate() {
                    self.masks[self.rows[symbol as usize] as usize * width + word] |= 1 << bit;
                }
            }
        }
    }

    /// The distance of each pattern to `text`.
    fn distances(&mut self, text: &[u32]) -> [usize; EDIT_LANES] {
        let width = self.blocks * EDIT_LANES;
        let rows = &self.rows;
        self.text.clear();
        self.text.extend(
            text.iter()
                .map(|&symbol| rows.get(symbol as usize).copied().unwrap_or(0)),
        );
        let (up, down) = (&mut self.up[..width], &mut self.down[..width]);
        edit_columns(&self.masks, &self.text, self.blocks, up, down);
        let mut distances = [text.len(); EDIT_LANES];
        for (word, &counted) in self.counted.iter().enumerate() {
            let lane = &mut distances[word % EDIT_LANES];
            *lane += (up[word] & counted).count_ones() as usize;
            *lane -= (down[word] & counted).count_ones() as usize;
        }
        distances
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn slices(words: &[Vec<u32>]) -> Vec<&[u32]> {
        words.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn every_pair_has_its_distance() {
        let mut rng = Rng::new(4);
        for round in 0..60 {
            let (most, letters) = ([5, 64, 65, 300][round % 4], 1 + round % 7);
            // Now and then one is much longer than the others.
            let mut words = |count: usize| -> Vec<Vec<u32>> {
                let mut word = || {
                    let most = most << (4 * (rng.below(8) / 7));
                    (0..rng.below(most + 1))
                        .map(|_| rng.below(letters) as u32)
                        .collect()
                };
                (0..count).map(|_| word()).collect()
            };
            let (a, b) = (words(round % 20), words(round % 13));
            let found = levenshtein_table(&slices(&a), &slices(&b));
            let expected: Vec<usize> = a
                .iter()
                .flat_map(|a| b.iter().map(move |b| levenshtein_numbered(a, b)))
                .collect();
            assert_eq!(found, expected);
        }
    }
}
