//! Pass@k.

use std::collections::BTreeMap;

use super::sandbox::Grade;

/// The unbiased estimate of the chance that at least one of `k` answers passes, from `passed` of `answers` that did:
/// 1 − C(n−c, k)/C(n, k). None where there are fewer than `k` answers, or more passed than there are.
pub fn pass_at_k(answers: u64, passed: u64, k: u64) -> Option<f64> {
    if k == 0 || k > answers || passed > answers {
        return None;
    }
    if answers - passed < k {
        return Some(1.0);
    }
    // C(n−c, k)/C(n, k) = Π over i from n−c+1 to n of (1 − k/i).
    let none: f64 = (answers - passed + 1..=answers)
        .map(|i| 1.0 - k as f64 / i as f64)
        .product();
    Some(1.0 - none)
}

/// Grades of answers, several to an item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grades {
    /// All answers.
    pub answers: usize,
    /// Answers that pass.
    pub passed: usize,
    /// Answers in languages that could not be run, which say nothing of their items.
    pub unavailable: usize,
    /// Answers that were run and that passed, of each item.
    items: BTreeMap<String, (u64, u64)>,
}

impl Grades {
    /// Adds an answer to the item `id`.
    pub fn add(&mut self, id: &str, grade: &Grade) {
        self.answers += 1;
        if *grade == Grade::Unavailable {
            self.unavailable += 1;
            return;
        }
        let passes = *grade == Grade::Pass;
        let (all, right) = self.items.entry(id.to_owned()).or_default();
        *all += 1;
        *right += u64::from(passes);
        self.passed += usize::from(passes);
    }

    /// Mean of [`pass_at_k`] over the items with at least `k` answers, none without any; and how many those are.
    pub fn pass_at(&self, k: u64) -> (Option<f64>, usize) {
        let each = self.items.values();
        let each = each.filter_map(|&(all, right)| pass_at_k(all, right, k));
        let (sum, of) = each.fold((0.0, 0), |(sum, of), rate| (sum + rate, of + 1));
        ((of > 0).then(|| sum / of as f64), of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_cannot_be_run_say_nothing() {
        let mut grades = Grades::default();
        for (id, grade) in [
            ("a", Grade::Pass),
            ("a", Grade::Timeout),
            ("b", Grade::NoCode),
            ("c", Grade::Unavailable),
        ] {
            grades.add(id, &grade);
        }
        let counts = (grades.answers, grades.passed, grades.unavailable);
        assert_eq!(counts, (4, 1, 1));
        assert_eq!(grades.pass_at(1), (Some(0.25), 2));
        assert_eq!(grades.pass_at(2), (Some(1.0), 1));
        assert_eq!(grades.pass_at(3), (None, 0));
    }

    #[test]
    fn small_cases_by_hand() {
        let near = |got: Option<f64>, want: f64| got.is_some_and(|got| (got - want).abs() < 1e-12);
        assert!(near(pass_at_k(4, 1, 1), 0.25));
        // Two of five pass: C(3,2)/C(5,2) = 3/10 of the pairs hold none.
        assert!(near(pass_at_k(5, 2, 2), 0.7));
        assert!(near(pass_at_k(3, 2, 2), 1.0));
        assert!(near(pass_at_k(10, 0, 3), 0.0));
        assert_eq!(
            [pass_at_k(2, 1, 3), pass_at_k(2, 3, 1), pass_at_k(2, 1, 0)],
            [None; 3]
        );
    }
}
