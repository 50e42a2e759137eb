//! Edit distances as shares of the longer line.

use base::numerics::{levenshtein_numbered, levenshtein_table};

use super::lines::Line;

/// `distance` as a share of the longer of two lengths; 0 for two empty lines.
pub(super) fn share(distance: usize, a: usize, b: usize) -> f64 {
    match a.max(b) {
        0 => 0.0,
        longest => distance as f64 / longest as f64,
    }
}

/// The normalised distance of two lines, as numbered characters.
pub(super) fn distance(a: &[u32], b: &[u32]) -> f64 {
    share(levenshtein_numbered(a, b), a.len(), b.len())
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
    table(&norms(gt), &norms(pred))
}

/// The characters of lines.
pub(super) fn norms<'a>(lines: &[&'a Line]) -> Vec<&'a [u32]> {
    lines.iter().map(|line| line.symbols.as_slice()).collect()
}

/// Normalised distances of each of `gt` to each of `pred`, row by row.
pub(super) fn table(gt: &[&[u32]], pred: &[&[u32]]) -> Vec<f64> {
    let lengths = gt
        .iter()
        .flat_map(|gt| pred.iter().map(|pred| (gt.len(), pred.len())));
    let edits = levenshtein_table(gt, pred).into_iter();
    edits
        .zip(lengths)
        .map(|(edits, (gt, pred))| share(edits, gt, pred))
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
