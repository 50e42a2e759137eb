//! Tasks with a right answer, and how an answer is scored.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::SystemError;

/// Largest file of tasks or text that is read, in bytes.
const LARGEST: u64 = 256 << 20;

/// How an answer is scored, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Scoring {
    /// The first word is the right one (LAMBADA's last word, generated).
    #[default]
    Word,
    /// The last number is the right one (GSM8K).
    Number,
    /// The first letter that stands alone is the right option (CommonsenseQA, MMLU-Pro).
    Option,
    /// ROUGE-1, F measure (CNN/DailyMail).
    Rouge1,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Item {
    /// Its name; where there is none, its line, from 1.
    #[serde(default)]
    pub id: Option<String>,
    /// What the model goes on from.
    pub prompt: String,
    /// The right answer.
    pub answer: String,
    /// How it is scored, where not as the others.
    #[serde(default)]
    pub scoring: Option<Scoring>,
}

/// Reads tasks, one JSON object `{"prompt", "answer", "id"?, "scoring"?}` a line.
///
/// # Errors
/// [`SystemError::Input`] with the line and what is wrong there; also for a file without tasks.
pub fn read_items(path: &Path) -> Result<Vec<Item>, SystemError> {
    let text = read_text(path)?;
    let place = path.display();
    let mut items = Vec::new();
    for (line, json) in (1..)
        .zip(text.lines())
        .filter(|(_, json)| !json.trim().is_empty())
    {
        let mut item: Item = serde_json::from_str(json).map_err(|error| {
            SystemError::Input(format!(
                "line {line} of `{place}` is not a task ({error}): write {{\"prompt\": \"…\", \"answer\": \"…\"}}"
            ))
        })?;
        if item.prompt.is_empty() || item.answer.trim().is_empty() {
            return Err(SystemError::Input(format!(
                "line {line} of `{place}` has an empty prompt or answer: fill it in or take the line out"
            )));
        }
        item.id.get_or_insert_with(|| line.to_string());
        items.push(item);
    }
    match items.is_empty() {
        true => Err(SystemError::Input(format!(
            "`{place}` holds no task: write one JSON object a line, {{\"prompt\": \"…\", \"answer\": \"…\"}}"
        ))),
        false => Ok(items),
    }
}

/// Reads a text file.
///
/// # Errors
/// [`SystemError::Input`] when it cannot be read, is too large or not UTF-8.
pub(super) fn read_text(path: &Path) -> Result<String, SystemError> {
    let place = path.display();
    let failed = |error: std::io::Error| {
        SystemError::Input(format!(
            "cannot read `{place}`: {error}: name a file that is there"
        ))
    };
    let file = std::fs::metadata(path).map_err(failed)?;
    if file.len() > LARGEST {
        return Err(SystemError::Input(format!(
            "`{place}` has {} MB and {} are read: split it",
            file.len() >> 20,
            LARGEST >> 20
        )));
    }
    let bytes = base::files::read(path).map_err(failed)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        SystemError::Input(format!(
            "`{place}` is not UTF-8 from byte {at} on: save it as UTF-8"
        ))
    })
}

impl Scoring {
    /// How well `answer` answers, from 0 to 1.
    pub fn score(self, answer: &str, right: &str) -> f64 {
        let same = |found: Option<String>, wanted: Option<String>| {
            f64::from(u8::from(found.is_some() && found == wanted))
        };
        match self {
            Self::Word => same(words(answer).next(), words(right).next()),
            Self::Number => match (last_number(answer), last_number(right)) {
                (Some(found), Some(wanted)) => f64::from(u8::from(found == wanted)),
                _ => 0.0,
            },
            Self::Option => same(option(answer), option(right)),
            Self::Rouge1 => rouge1(answer, right),
        }
    }
}

/// Words in lower case, without punctuation.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '\'');
    words.filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// The last number; thousands may have commas.
fn last_number(text: &str) -> Option<f64> {
    let number = |word: &str| -> Option<f64> {
        let digits: String = word.chars().filter(|&c| c != ',').collect();
        let digits = digits.trim_end_matches('.');
        let start = digits.find(|c: char| c.is_ascii_digit() || c == '-')?;
        digits[start..].parse().ok()
    };
    let parts = text.split(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',' | '-')));
    parts.filter_map(number).next_back()
}

/// The first capital letter that stands alone.
fn option(text: &str) -> Option<String> {
    let mut parts = text.split(|c: char| !c.is_alphanumeric());
    let letter = |part: &&str| part.len() == 1 && part.as_bytes()[0].is_ascii_uppercase();
    parts.find(letter).map(str::to_owned)
}

/// F measure of the words that both have, each as often as in the one that has it less often.
fn rouge1(answer: &str, right: &str) -> f64 {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    words(right).for_each(|word| *counts.entry(word).or_default() += 1);
    let wanted: usize = counts.values().sum();
    let (mut found, mut shared) = (0, 0);
    for word in words(answer) {
        found += 1;
        if let Some(left) = counts.get_mut(&word).filter(|left| **left > 0) {
            *left -= 1;
            shared += 1;
        }
    }
    match shared {
        0 => 0.0,
        shared => 2.0 * f64::from(shared) / (found + wanted) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_scored_by_their_kind() {
        assert_eq!(Scoring::Word.score(" Paris, of course", "paris"), 1.0);
        assert_eq!(Scoring::Word.score("", "paris"), 0.0);
        assert_eq!(
            Scoring::Number.score("that is 1,234.0 in all.", "#### 1234"),
            1.0
        );
        assert_eq!(Scoring::Number.score("12 - 5 = 7.", "-7"), 0.0);
        assert_eq!(Scoring::Number.score("none", "none"), 0.0);
        assert_eq!(Scoring::Option.score("The answer is (B).", "B"), 1.0);
        assert_eq!(Scoring::Option.score("b", "B"), 0.0);
        // Shared: the, cat. 2·2 / (3 + 4).
        let rouge = Scoring::Rouge1.score("the the cat", "the cat sat down");
        assert!((rouge - 4.0 / 7.0).abs() < 1e-12);
    }
}
