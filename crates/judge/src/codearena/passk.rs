//! Pass@k.

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

#[cfg(test)]
mod tests {
    use super::pass_at_k;

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
