//! Orders of conditions.

/// Rows of a balanced Latin square of `n` conditions (Williams, 1949): each condition comes once at each place, and each
/// follows each other one equally often. An even `n` needs `n` rows, an odd one the square and its mirror, `2n`.
pub fn balanced_latin_square(n: usize) -> Vec<Vec<usize>> {
    // 0, 1, n−1, 2, n−2, …
    let first = (0..n).map(|at| match at % 2 {
        _ if at == 0 => 0,
        1 => at.div_ceil(2),
        _ => n - at / 2,
    });
    let first: Vec<usize> = first.collect();
    let row = |shift: usize| {
        first
            .iter()
            .map(|it| (it + shift) % n)
            .collect::<Vec<usize>>()
    };
    let mut rows: Vec<Vec<usize>> = (0..n).map(row).collect();
    if n % 2 == 1 && n > 1 {
        let mirrored: Vec<Vec<usize>> = rows
            .iter()
            .map(|row| row.iter().rev().copied().collect())
            .collect();
        rows.extend(mirrored);
    }
    rows
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn places_and_neighbours_are_balanced() {
        assert_eq!(balanced_latin_square(4)[0], [0, 1, 3, 2]);
        assert_eq!(balanced_latin_square(7).len(), 14);
        assert!(balanced_latin_square(0).is_empty());
        assert_eq!(balanced_latin_square(1), [[0]]);
        for n in 2..12 {
            let rows = balanced_latin_square(n);
            let mut places: BTreeMap<(usize, usize), usize> = BTreeMap::new();
            let mut pairs: BTreeMap<(usize, usize), usize> = BTreeMap::new();
            for row in &rows {
                for (place, it) in row.iter().enumerate() {
                    *places.entry((place, *it)).or_default() += 1;
                }
                for pair in row.windows(2) {
                    *pairs.entry((pair[0], pair[1])).or_default() += 1;
                }
            }
            let times = rows.len() / n;
            assert_eq!(places.len(), n * n);
            assert!(places.values().all(|it| *it == times), "{n}");
            assert_eq!(pairs.len(), n * (n - 1));
            assert!(pairs.values().all(|it| *it == times), "{n}");
        }
    }
}
