//! Edit distances as shares of the longer line.

use engine::numerics::{Pattern, levenshtein};

use super::lines::Line;

/// `distance` as a share of the longer of two lengths; 0 for two empty lines.
pub(super) fn share(distance: usize, a: usize, b: usize) -> f64 {
    match a.max(b) {
        0 => 0.0,
        longest => distance as f64 / longest as f64,
    }
}

/// The normalised distance of two lines.
pub(super) fn distance(a: &[char], b: &[char]) -> f64 {
    share(levenshtein(a, b), a.len(), b.len())
}

/// Annotated lines made ready to be compared with many others.
pub(super) struct Patterns(Vec<Pattern<char>>);

impl Patterns {
    /// Of each line its pattern.
    pub fn of<'a>(lines: impl Iterator<Item = &'a [char]>) -> Self {
        Self(lines.map(Pattern::new).collect())
    }

    /// The normalised distance of line `at` to `other`.
    pub fn distance(&self, at: usize, other: &[char]) -> f64 {
        let len = self.len(at);
        let edits = self.0.get(at).map_or(other.len(), |p| p.distance(other));
        share(edits, len, other.len())
    }

    /// Whether the normalised distance of line `at` to `other` is at most `most`.
    pub fn within(&self, at: usize, other: &[char], most: f64) -> bool {
        let longest = self.len(at).max(other.len());
        let limit = largest(longest, |share| share <= most);
        match (self.0.get(at), limit) {
            (Some(pattern), Some(limit)) => pattern.within(other, limit).is_some(),
            _ => false,
        }
    }

    /// Length of line `at`.
    pub fn len(&self, at: usize) -> usize {
        self.0.get(at).map_or(0, Pattern::len)
    }
}

/// The largest number of edits that, as a share of `len`, still passes; `None` where not even 0 does.
///
/// Shares are compared as floating-point numbers, like those of the official tool.
pub(super) fn largest(len: usize, passes: impl Fn(f64) -> bool) -> Option<usize> {
    if len == 0 {
        return passes(0.0).then_some(0);
    }
    let share = |edits: usize| edits as f64 / len as f64;
    let first_failing = {
        let (mut low, mut high) = (0, len + 1);
        while low < high {
            let middle = (low + high) / 2;
            match passes(share(middle)) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    };
    first_failing.checked_sub(1)
}

/// Normalised distances `[gt, pred]`, row by row.
pub(super) fn matrix(gt: &[&Line], pred: &[&Line]) -> Vec<f64> {
    let patterns = Patterns::of(gt.iter().map(|line| line.norm.as_slice()));
    let rows = 0..gt.len();
    rows.flat_map(|row| {
        let patterns = &patterns;
        pred.iter()
            .map(move |line| patterns.distance(row, &line.norm))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::largest;

    #[test]
    fn bounds_on_shares_become_bounds_on_edits() {
        assert_eq!(largest(10, |share| share <= 0.6), Some(6));
        assert_eq!(largest(10, |share| share < 0.6), Some(5));
        assert_eq!(largest(3, |share| share < 0.4), Some(1));
        assert_eq!(largest(7, |share| share < 0.0), None);
        assert_eq!(largest(2, |_| true), Some(2));
    }
}
