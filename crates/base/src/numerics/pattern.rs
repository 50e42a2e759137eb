//! A sequence compared with many others, 64 cells of the table of edit distances at a time.
//!
//! A column of the table is kept as two bit vectors, where it rises and where it falls (Myers, JACM 46(3), 1999, in
//! the form of Hyyrö, "A bit-vector algorithm for computing Levenshtein and Damerau edit distances", 2003); patterns of
//! more than 64 symbols are chained in blocks. Of those only a band along the diagonal is worked out (Ukkonen,
//! Information and Control 64, 1985), which is widened until the distance found is certain.

/// Bits of a block.
const BITS: usize = 64;

/// Edits that the first band has room for: so many, and one more for so many symbols.
const NARROW: usize = 16;
const OFTEN: usize = 32;

/// Blocks up to which all are worked out: a band would save little.
const FEW: usize = 4;

/// A sequence of numbered symbols made ready to be compared with many others. Numbers are best small.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Number of symbols.
    len: usize,
    /// Where in `masks` the row of a symbol begins; 0 for symbols that do not occur.
    rows: Vec<u32>,
    /// For each different symbol, where it stands: `blocks` words a row.
    masks: Vec<u64>,
    /// Words a row.
    blocks: usize,
}

/// The way of a block from one column to the next.
struct Step {
    /// Where symbols agree, or the old column falls.
    vertical: u64,
    /// Where a row rises, and where it falls, going right.
    rise: u64,
    fall: u64,
}

impl Step {
    /// From where symbols agree and how the old column goes; `falls` says whether the row above falls.
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

/// Takes blocks, where symbols agree and how their columns go, to the next column, whose top cell is `carry` (0 or 1) more
/// than the last one's. Returns the new score of the cell in row `last` of the lowest block.
#[inline(always)]
fn advance(
    equal: &[u64],
    column: &mut [(u64, u64)],
    carry: u64,
    score: usize,
    last: usize,
) -> usize {
    let (Some((&bottom, equal)), Some((lowest, column))) =
        (equal.split_last(), column.split_last_mut())
    else {
        return score;
    };
    let (mut rises, mut falls) = (carry, 0);
    for (&equal, place) in equal.iter().zip(column) {
        let step = Step::new(equal, place.0, place.1, falls);
        *place = step.below(rises, falls);
        (rises, falls) = (step.rise >> (BITS - 1), step.fall >> (BITS - 1));
    }
    let step = Step::new(bottom, lowest.0, lowest.1, falls);
    *lowest = step.below(rises, falls);
    step.bottom(score, last)
}

impl Pattern {
    /// Reads a pattern.
    pub fn new(symbols: &[u32]) -> Self {
        let blocks = symbols.len().div_ceil(BITS);
        let mut rows = vec![0; symbols.iter().max().map_or(0, |&last| last as usize + 1)];
        let mut end = blocks;
        for &symbol in symbols {
            let row = &mut rows[symbol as usize];
            if *row == 0 {
                *row = end as u32;
                end += blocks;
            }
        }
        let mut masks = vec![0; end];
        for (at, &symbol) in symbols.iter().enumerate() {
            masks[rows[symbol as usize] as usize + at / BITS] |= 1 << (at % BITS);
        }
        Self {
            len: symbols.len(),
            rows,
            masks,
            blocks,
        }
    }

    /// Number of symbols.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no symbol.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The edit distance to `text`.
    pub fn distance(&self, text: &[u32]) -> usize {
        self.within(text, usize::MAX).unwrap_or(usize::MAX)
    }

    /// The edit distance to `text` where it is at most `limit`.
    pub fn within(&self, text: &[u32], limit: usize) -> Option<usize> {
        let apart = self.len.abs_diff(text.len());
        if apart > limit {
            return None;
        }
        if self.is_empty() {
            return Some(text.len());
        }
        if self.blocks <= FEW {
            let mut score = self.len;
            self.walk(text, 1, |at, found| {
                score = found;
                // Every column that is left can lower the score by one at most.
                score.saturating_sub(text.len() - at) <= limit
            });
            return (score <= limit).then_some(score);
        }
        let most = limit.min(self.len.max(text.len()));
        let mut room = apart + NARROW + self.len / OFTEN;
        loop {
            // A band of nearly all blocks saves nothing.
            if room + 2 * BITS > self.len {
                room = most;
            }
            room = room.min(most);
            let found = self.banded(text, room);
            if found <= room {
                return Some(found);
            }
            if room == most {
                return None;
            }
            // So many edits are enough.
            room = found;
        }
    }

    /// The edit distance to `text` where it is at most `room`, which is no less than the lengths differ by; else more than
    /// `room`.
    ///
    /// So few edits insert and delete no more than what `inserted` and `deleted` say, so that they lead through cells no
    /// farther from the diagonal. Others are taken to rise away from the band, as if all there were edits.
    fn banded(&self, text: &[u32], room: usize) -> usize {
        let inserted = (room + text.len() - self.len.min(room + text.len())) / 2;
        let deleted = (room + self.len - text.len().min(room + self.len)) / 2;
        let block = |row: usize| (row.clamp(1, self.len) - 1) / BITS;
        let size = |block: usize| BITS.min(self.len - block * BITS);
        let mut column = vec![(!0, 0); self.blocks];
        let mut lowest = block(deleted);
        let mut score = lowest * BITS + size(lowest);
        for (at, &symbol) in text.iter().enumerate() {
            let wanted = block(at + 1 + deleted);
            if lowest < wanted {
                lowest = wanted;
                score += size(lowest);
            }
            let highest = block((at + 1).saturating_sub(inserted));
            let row = self.row(symbol);
            if let (Some(equal), Some(column)) =
                (row.get(highest..=lowest), column.get_mut(highest..=lowest))
            {
                score = advance(equal, column, 1, score, size(lowest) - 1);
            }
        }
        score
    }

    /// For each place of `text`, the least distance of the pattern to any stretch that ends there (Sellers); `each` gets
    /// the place after the stretch and that distance, and ends the search with `false`.
    pub fn search(&self, text: &[u32], each: impl FnMut(usize, usize) -> bool) {
        if !self.is_empty() {
            self.walk(text, 0, each);
        }
    }

    /// Goes along a text with whole columns, each of which has a top cell `carry` (0 or 1) more than the last one's; `each`
    /// gets the number of columns and the score of the bottom, and ends the walk with `false`.
    fn walk(&self, text: &[u32], carry: u64, each: impl FnMut(usize, usize) -> bool) {
        match self.blocks {
            1 => self.walk_few::<1>(text, carry, each),
            2 => self.walk_few::<2>(text, carry, each),
            3 => self.walk_few::<3>(text, carry, each),
            FEW => self.walk_few::<FEW>(text, carry, each),
            blocks => {
                let mut column = vec![(!0, 0); blocks];
                let next = |score, symbol| {
                    advance(self.row(symbol), &mut column, carry, score, self.last())
                };
                self.follow(text, next, each);
            }
        }
    }

    /// [`Self::walk`] for a pattern of so many blocks, whose column stays in registers.
    fn walk_few<const BLOCKS: usize>(
        &self,
        text: &[u32],
        carry: u64,
        each: impl FnMut(usize, usize) -> bool,
    ) {
        let mut column = [(!0, 0); BLOCKS];
        let none = [0; BLOCKS];
        let next = |score, symbol| {
            let equal = self.row(symbol).first_chunk().unwrap_or(&none);
            advance(equal, &mut column, carry, score, self.last())
        };
        self.follow(text, next, each);
    }

    #[inline(always)]
    fn follow(
        &self,
        text: &[u32],
        mut next: impl FnMut(usize, u32) -> usize,
        mut each: impl FnMut(usize, usize) -> bool,
    ) {
        let mut score = self.len;
        for (at, &symbol) in text.iter().enumerate() {
            score = next(score, symbol);
            if !each(at + 1, score) {
                return;
            }
        }
    }

    /// The bit of the last symbol in its block.
    #[inline(always)]
    fn last(&self) -> usize {
        (self.len + BITS - 1) % BITS
    }

    /// Where a symbol stands.
    #[inline(always)]
    fn row(&self, symbol: u32) -> &[u64] {
        let begin = self
            .rows
            .get(symbol as usize)
            .map_or(0, |&row| row as usize);
        self.masks.get(begin..begin + self.blocks).unwrap_or(&[])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::levenshtein::tests::{slow, word};
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn limits_do_not_change_the_distance() {
        let mut rng = Rng::new(1);
        for round in 0..600 {
            let most = [3, 12, 64, 70, 200, 700][round % 6];
            let letters = [1, 2, 4, 30][round % 4];
            let (a, b) = (word(&mut rng, most, letters), word(&mut rng, most, letters));
            let expected = *slow(&a, &b, false).last().unwrap();
            let pattern = Pattern::new(&a);
            assert_eq!(pattern.distance(&b), expected, "{a:?} {b:?}");
            for limit in [expected, expected + 1, expected + 40] {
                assert_eq!(pattern.within(&b, limit), Some(expected), "{a:?} {b:?}");
            }
            if expected > 0 {
                assert_eq!(pattern.within(&b, expected - 1), None);
            }
        }
    }

    #[test]
    fn few_edits_in_long_texts_are_found_in_a_band() {
        let mut rng = Rng::new(6);
        for round in 0..60 {
            let a = word(&mut rng, 1500, 20);
            let mut b = a.clone();
            for _ in 0..[2, 20, 90, 300][round % 4] {
                let at = rng.below(b.len() + 1);
                match rng.below(3) {
                    0 => b.insert(at, rng.below(20) as u32),
                    1 => drop(b.splice(at..(at + rng.below(9)).min(b.len()), [])),
                    _ => b
                        .iter_mut()
                        .skip(at)
                        .take(1)
                        .for_each(|symbol| *symbol += 1),
                }
            }
            let expected = *slow(&a, &b, false).last().unwrap();
            assert_eq!(Pattern::new(&a).distance(&b), expected);
            assert_eq!(Pattern::new(&b).distance(&a), expected);
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
            let mut seen = 0;
            Pattern::new(&a).search(&b, |end, distance| {
                assert_eq!(distance, expected[end], "round {round}");
                seen += 1;
                seen < 100
            });
            assert_eq!(seen, b.len().min(100));
        }
    }
}
