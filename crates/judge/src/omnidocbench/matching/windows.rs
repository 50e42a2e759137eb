//! Whether a line occurs, more or less, inside a longer one: over all stretches of its length, the least edit distance.

use engine::numerics::Pattern;

/// Whether a stretch of `text`, as long as the pattern, is at most `limit` edits away from it.
///
/// A text that is shorter than the pattern has none. The answer is that of trying each stretch; two cheaper bounds keep
/// most from being tried: a stretch is never nearer than the best of any length that ends at the same place, and moving
/// it by one place changes the distance by two at most.
pub(super) fn occurs(pattern: &Pattern<char>, text: &[char], limit: usize) -> bool {
    let len = pattern.len();
    if len == 0 || text.len() < len {
        return false;
    }
    if limit >= len {
        return true;
    }
    let mut ends = Vec::new();
    pattern.search(text, |end, distance| {
        if end >= len && distance <= limit {
            ends.push(end);
        }
    });
    let mut next = 0;
    for end in ends {
        if end < next {
            continue;
        }
        let distance = match text.get(end - len..end) {
            Some(stretch) => pattern.distance(stretch),
            None => continue,
        };
        if distance <= limit {
            return true;
        }
        next = end + (distance - limit).div_ceil(2);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::occurs;
    use engine::numerics::{Pattern, levenshtein};
    use engine::rng::Rng;

    #[test]
    fn the_bounds_do_not_change_the_answer() {
        let mut rng = Rng::new(5);
        for round in 0..400 {
            let letters = 2 + round % 4;
            let mut word = |most: usize| -> Vec<char> {
                let len = 1 + rng.below(most);
                let letter = |_| char::from(b'a' + rng.below(letters) as u8);
                (0..len).map(letter).collect()
            };
            let (line, text) = (word(80), word(160));
            let pattern = Pattern::new(&line);
            let least = text
                .windows(line.len())
                .map(|stretch| levenshtein(stretch, &line))
                .min();
            for limit in [0, line.len() / 5, line.len() * 2 / 5, line.len() * 3 / 5] {
                let expected = least.is_some_and(|least| least <= limit);
                assert_eq!(occurs(&pattern, &text, limit), expected, "round {round}");
            }
        }
    }
}
