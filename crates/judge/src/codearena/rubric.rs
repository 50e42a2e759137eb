//! A deterministic judge [ours]: points for what a reader can count. It exists for tests, dry runs and proofs; a leaderboard
//! needs a language model.

use std::collections::HashSet;

/// What is counted in an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Marks {
    /// 3 where there is a block of code whose fence is closed, 2 where it is not.
    pub code: f64,
    /// 0 to 2: words of explanation outside code, 120 words give all.
    pub explanation: f64,
    /// 0 to 3: share of the question's keywords that come up again.
    pub coverage: f64,
    /// 0 or 0.5: headings or numbered steps.
    pub structure: f64,
    /// 0 or −3: it declines.
    pub refusal: f64,
    /// 0 or −3: lines repeat over and over.
    pub repetition: f64,
}

impl Marks {
    /// All together.
    pub fn total(&self) -> f64 {
        self.code
            + self.explanation
            + self.coverage
            + self.structure
            + self.refusal
            + self.repetition
    }
}

/// Longest text that is looked at, in bytes; a repetition loop needs no more.
const LONGEST: usize = 200_000;

/// Marks of an answer to `question`.
pub fn marks(question: &str, answer: &str) -> Marks {
    let answer = head(answer);
    let (mut fences, mut prose_words, mut steps) = (0_usize, 0_usize, 0_usize);
    let (mut lines, mut distinct) = (0_usize, HashSet::new());
    for line in answer.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with("```") {
            fences += 1;
            continue;
        }
        if fences.is_multiple_of(2) {
            prose_words += trimmed.split_whitespace().count();
            let numbered = trimmed.split_once(['.', ')']).is_some_and(|(head, _)| {
                !head.is_empty() && head.bytes().all(|byte| byte.is_ascii_digit())
            });
            steps += usize::from(numbered || trimmed.starts_with('#'));
        }
        if trimmed.len() > 8 {
            lines += 1;
            distinct.insert(trimmed);
        }
    }
    let keywords = words(head(question));
    let said = words(answer);
    let hits = keywords.iter().filter(|word| said.contains(*word)).count();
    let start: String = answer
        .chars()
        .take(160)
        .flat_map(char::to_lowercase)
        .collect();
    let declines = ["i'm sorry", "i cannot", "i can't", "as an ai"]
        .iter()
        .any(|words| start.contains(words));
    let when = |is: bool, marks: f64| if is { marks } else { 0.0 };
    Marks {
        code: match (fences, fences % 2) {
            (0, _) => 0.0,
            (_, 0) => 3.0,
            _ => 2.0,
        },
        explanation: 2.0 * (prose_words as f64 / 120.0).min(1.0),
        coverage: 3.0 * hits as f64 / keywords.len().max(1) as f64,
        structure: when(steps >= 2, 0.5),
        refusal: when(declines, -3.0),
        repetition: when(lines >= 20 && distinct.len() * 3 < lines, -3.0),
    }
}

/// A judgement that ends in a label.
pub fn judgment(question: &str, answers: [&str; 2]) -> String {
    let [a, b] = answers.map(|answer| marks(question, answer).total());
    let label = match b - a {
        d if d > 1.5 => "B>>A",
        d if d > 0.25 => "B>A",
        d if d < -1.5 => "A>>B",
        d if d < -0.25 => "A>B",
        _ => "A=B",
    };
    format!("A has {a:.2} marks, B has {b:.2}.\n[[{label}]]")
}

fn head(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

/// Words of five letters and more, in lower case.
fn words(text: &str) -> HashSet<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() >= 5)
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{judgment, marks};

    #[test]
    fn explanation_counts_and_order_does_not() {
        let question = "Write a function that reverses a string";
        let bare = "```python\ndef f(s): return s[::-1]\n```";
        let full = format!(
            "The function walks the string backwards and reverses it.\n\n{bare}\n\nSlices copy, so the input stays."
        );
        assert!(judgment(question, [bare, &full]).contains("[[B>"));
        assert!(judgment(question, [&full, bare]).contains("[[A>"));
        assert!(judgment(question, [bare, bare]).ends_with("[[A=B]]"));
    }

    #[test]
    fn loops_and_refusals_lose_marks() {
        let looping = "the same line again\n".repeat(50_000);
        assert_eq!(marks("q", &looping).repetition, -3.0);
        assert_eq!(marks("q", "I'm sorry, I cannot do that").refusal, -3.0);
    }
}
