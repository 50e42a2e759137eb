//! Levenshtein's edit distance of two sequences.

use super::{Alphabet, Pattern, Symbol};

/// How many items must be inserted, deleted or replaced to make `b` of `a`.
///
/// Takes `O(⌈min/64⌉ · max)` time in the lengths of what is left after the common beginning and end, and less where
/// little differs.
pub fn levenshtein<T: Symbol>(a: &[T], b: &[T]) -> usize {
    let (a, b) = differing(a, b);
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    match short {
        [] => long.len(),
        [only] => long.len() - usize::from(long.contains(only)),
        _ => {
            let mut alphabet = Alphabet::default();
            let short: Vec<u32> = short.iter().map(|&item| alphabet.number(item)).collect();
            let long: Vec<u32> = long.iter().map(|&item| alphabet.known(item)).collect();
            Pattern::new(&short).distance(&long)
        }
    }
}

/// [`levenshtein`] of symbols that are numbered already, with small numbers.
pub fn levenshtein_numbered(a: &[u32], b: &[u32]) -> usize {
    let (a, b) = differing(a, b);
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    match short {
        [] => long.len(),
        [only] => long.len() - usize::from(long.contains(only)),
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::rng::Rng;

    /// The table's last row, cell by cell.
    pub fn slow(a: &[u32], b: &[u32], free_start: bool) -> Vec<usize> {
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

    /// At most `most` random letters.
    pub fn word(rng: &mut Rng, most: usize, letters: usize) -> Vec<u32> {
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
            assert_eq!(levenshtein_numbered(&a, &b), expected, "{a:?} {b:?}");
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
