//! Whether an answer is right, after both are brought into one form.

/// What an answer says in the end: the last `\boxed{…}`, what follows the last `####`, or the last line after `answer is` or
/// `Answer:`; none where it has none of these.
pub fn stated(answer: &str) -> Option<&str> {
    if let Some(at) = answer.rfind("\\boxed{") {
        let inner = &answer[at + 7..];
        let mut depth = 1;
        for (end, c) in inner.char_indices() {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            if depth == 0 {
                return Some(inner[..end].trim());
            }
        }
        return None;
    }
    let line = |text: &'static str| {
        let at = answer.rfind(text)?;
        let rest = answer[at + text.len()..].trim_start();
        Some(rest.lines().next().unwrap_or_default().trim())
    };
    ["####", "answer is", "Answer:", "answer:"]
        .into_iter()
        .find_map(line)
}

/// An answer in the form in which answers are compared: lower case, without blanks, signs of money, percent, thousands and
/// LaTeX, and without a full stop at the end.
pub fn normalised(answer: &str) -> String {
    let mut text = answer.trim().to_lowercase();
    for gone in [
        "\\left", "\\right", "\\!", "\\,", "\\ ", "\\$", "\\%", "\\text", "\\mathrm", "\\dfrac",
        "\\tfrac",
    ] {
        let put = if gone.ends_with("frac") { "\\frac" } else { "" };
        text = text.replace(gone, put);
    }
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let chars: Vec<char> = text.chars().collect();
    let kept = (0..chars.len()).filter(|&at| {
        let before = at.checked_sub(1).and_then(|at| chars.get(at).copied());
        let thousands = chars[at] == ',' && digit(before) && digit(chars.get(at + 1).copied());
        !thousands && !chars[at].is_whitespace() && !"$%{}\"'".contains(chars[at])
    });
    let text: String = kept.map(|at| chars[at]).collect();
    let text = text
        .trim_end_matches('.')
        .trim_start_matches('+')
        .to_owned();
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => format!("{number}"),
        _ => text,
    }
}

/// 1 for the right answer, 0 for another and, where `strict`, for one that does not state it.
pub fn reward(answer: &str, right: &str, strict: bool) -> f32 {
    let found = match (stated(answer), strict) {
        (Some(found), _) => found,
        (None, true) => return 0.0,
        (None, false) => answer,
    };
    let right = stated(right).unwrap_or(right);
    f32::from(u8::from(
        !found.is_empty() && normalised(found) == normalised(right),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_compared_by_what_they_state() {
        assert_eq!(reward("so 3+4 = 7.\n#### 7", "7", true), 1.0);
        assert_eq!(
            reward("it is \\boxed{\\frac{1}{2}}", "\\dfrac12", true),
            1.0
        );
        assert_eq!(reward("The answer is $1,234.00.", "#### 1234", true), 1.0);
        assert_eq!(reward("7", "7", true), 0.0);
        assert_eq!(reward(" 7 ", "7", false), 1.0);
        assert_eq!(reward("\\boxed{7", "7", true), 0.0);
        assert_eq!(reward("#### 8", "7", true), 0.0);
        assert_eq!(reward("", "", false), 0.0);
    }
}
