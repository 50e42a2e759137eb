//! Agreement of raters.

use std::collections::BTreeMap;

/// Krippendorff's α with the ordinal difference. `units` holds, for each thing that was rated, the ratings that it got;
/// things with a single rating say nothing. Ratings are ranks of a scale, such as 1 to 5. None where fewer than two different
/// ratings are left.
pub fn krippendorff_ordinal(units: &[Vec<i64>]) -> Option<f64> {
    let rated = || units.iter().filter(|unit| unit.len() > 1);
    let mut totals: BTreeMap<i64, f64> = BTreeMap::new();
    for rating in rated().flatten() {
        *totals.entry(*rating).or_default() += 1.0;
    }
    if totals.len() < 2 {
        return None;
    }
    let counts: Vec<f64> = totals.values().copied().collect();
    let place: BTreeMap<i64, usize> = totals.keys().copied().zip(0..).collect();
    let size = counts.len();
    let mut coincidences = vec![0.0; size * size];
    for unit in rated() {
        let weight = 1.0 / (unit.len() as f64 - 1.0);
        for (i, a) in unit.iter().enumerate() {
            for (_, b) in unit.iter().enumerate().filter(|(j, _)| *j != i) {
                coincidences[place[a] * size + place[b]] += weight;
            }
        }
    }
    let difference = |a: usize, b: usize| {
        let (low, high) = (a.min(b), a.max(b));
        let between: f64 = counts[low..=high].iter().sum();
        (between - (counts[low] + counts[high]) / 2.0).powi(2)
    };
    let all: f64 = counts.iter().sum();
    let (mut observed, mut expected) = (0.0, 0.0);
    for a in 0..size {
        for b in (0..size).filter(|b| *b != a) {
            observed += coincidences[a * size + b] * difference(a, b);
            expected += counts[a] * counts[b] * difference(a, b);
        }
    }
    Some(1.0 - (all - 1.0) * observed / expected)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn full_agreement_is_one_and_chance_is_about_zero() {
        let same = [vec![1, 1], vec![5, 5, 5], vec![3, 3], vec![9]];
        assert!((krippendorff_ordinal(&same).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(krippendorff_ordinal(&[vec![2, 2], vec![1]]), None);
    }

    #[test]
    fn ordinal_alpha_of_krippendorffs_example() {
        // Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", example C: four observers, twelve units, 0.815.
        let units = [
            vec![1, 1, 1],
            vec![2, 2, 3, 2],
            vec![3, 3, 3, 3],
            vec![3, 3, 3, 3],
            vec![2, 2, 2, 2],
            vec![1, 2, 3, 4],
            vec![4, 4, 4, 4],
            vec![1, 1, 2, 1],
            vec![2, 2, 2, 2],
            vec![5, 5, 5],
            vec![1, 1],
            vec![3],
        ];
        let alpha = krippendorff_ordinal(&units).unwrap();
        assert!((alpha - 0.815).abs() < 5e-4, "{alpha}");
    }
}
