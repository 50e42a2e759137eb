//! Whether a line occurs, more or less, inside a longer one: over all stretches of its length, the least edit distance.

use base::numerics::Pattern;

/// Whether a stretch of `text`, as long as the pattern, is at most `limit` edits away from it.
///
/// A text that is shorter than the pattern has none. The answer is that of trying each stretch; two cheaper bounds keep
/// most from being tried: a stretch is never nearer than the best of any length that ends at the same place, and moving
/// it by one place changes the distance by two at most.
pub(super) fn occurs(pattern: &Pattern, text: &[u32], limit: usize) -> bool {
    let len = pattern.len();
    if len == 0 || text.len() < len {
        return false;
    }
    if limit >= len {
        return true;
    }
    let (mut next, mut found) = (len, false);
    pattern.search(text, |end, distance| {
        if end >= next
            && distance <= limit
            && let Some(stretch) = text.get(end - len..end)
        {
            let distance = pattern.distance(stretch);
            found = distance <= limit;
            next = end + distance.saturating_sub(limit).div_ceil(2);
        }
        !found
    });
    found
}

#[cfg(test)]
mod tests {
    use super::occurs;
    use base::numerics::{Pattern, levenshtein_numbered};
    use base::rng::Rng;

    #[test]
    fn the_bounds_do_not_change_the_answer() {
        let mut rng = Rng::new(5);
        for round in 0..400 {
            let letters = 2 + round % 4;
            let mut word = |most: usize| -> Vec<u32> {
                let len = 1 + rng.below(most);
                (0..len).map(|_| rng.below(letters) as u32).collect()
            };
            let (line, text) = (word(80), word(160));
            let pattern = Pattern::new(&line);
            let least = text
                .windows(line.len())
                .map(|stretch| levenshtein_numbered(stretch, &line))
                .min();
            for limit in [0, line.len() / 5, line.len() * 2 / 5, line.len() * 3 / 5] {
                let expected = least.is_some_and(|least| least <= limit);
                assert_eq!(occurs(&pattern, &text, limit), expected, "round {round}");
            }
        }
    }
}
