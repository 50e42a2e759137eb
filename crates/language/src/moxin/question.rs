//! Multiple choice: questions of files, in the forms that benchmarks have.

use std::path::Path;

use base::job::jsonl::{self, Record};
use serde_json::Value;

use super::SystemError;

/// A question with its choices.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What stands before a choice: one text for all, or one for each (WinoGrande fills its options in).
    pub contexts: Vec<String>,
    /// What is scored: one for each choice, or one for all.
    pub choices: Vec<String>,
    /// The right choice, from 0.
    pub answer: usize,
}

impl Question {
    /// Choices.
    pub fn count(&self) -> usize {
        self.contexts.len().max(self.choices.len())
    }

    pub(super) fn context(&self, choice: usize) -> &str {
        self.contexts
            .get(choice)
            .or(self.contexts.first())
            .map_or("", String::as_str)
    }

    pub(super) fn choice(&self, choice: usize) -> &str {
        self.choices
            .get(choice)
            .or(self.choices.first())
            .map_or("", String::as_str)
    }

    /// With its answer, as an example for others.
    pub(super) fn shot(&self) -> String {
        join(self.context(self.answer), self.choice(self.answer))
    }
}

/// Context and choice with one blank between them.
pub(super) fn join(context: &str, choice: &str) -> String {
    let spaced = context.is_empty()
        || context.ends_with(char::is_whitespace)
        || choice.starts_with(char::is_whitespace);
    format!("{context}{}{choice}", if spaced { "" } else { " " })
}

/// HellaSwag's text without its bracketed marks.
pub fn cleaned(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut depth = 0usize;
    let text = text.trim().replace(" [title]", ". ");
    for c in text.chars() {
        match c {
            '[' => depth += 1,
            ']' if depth > 0 => depth -= 1,
            _ if depth == 0 => out.push(c),
            _ => {}
        }
    }
    while out.contains("  ") {
        out = out.replace("  ", " ");
    }
    out
}

fn strings(value: Option<&Value>) -> Option<Vec<String>> {
    let list = value?.as_array()?;
    list.iter()
        .map(|it| it.as_str().map(str::to_owned))
        .collect()
}

/// A question of one line: `{"context" or "contexts", "choices" or "continuation", "answer"}`, or a record of ARC, HellaSwag,
/// PIQA, WinoGrande or MMLU as the hub has them.
fn question(record: &Record) -> Option<Question> {
    let text = |name: &str| record.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| match record.get(name)? {
        Value::Number(number) => number.as_u64().map(|it| it as usize),
        Value::String(text) => match text.as_bytes() {
            [letter @ b'A'..=b'Z'] => Some(usize::from(letter - b'A')),
            _ => text.parse().ok(),
        },
        _ => None,
    };
    let letters =
        |count: usize| (0..count).map(|at| char::from(b'A' + (at % 26) as u8).to_string());
    // HellaSwag.
    if let (Some(context), Some(endings)) = (text("ctx"), strings(record.get("endings"))) {
        let topic = text("activity_label").map_or(String::new(), |label| format!("{label}: "));
        return Some(Question {
            contexts: vec![cleaned(&format!("{topic}{context}"))],
            choices: endings.iter().map(|ending| cleaned(ending)).collect(),
            answer: number("label")?,
        });
    }
    // PIQA.
    if let (Some(goal), Some(first), Some(second)) = (text("goal"), text("sol1"), text("sol2")) {
        return Some(Question {
            contexts: vec![format!("Question: {goal}\nAnswer:")],
            choices: vec![first, second],
            answer: number("label")?,
        });
    }
    // WinoGrande.
    if let (Some(sentence), Some(first), Some(second)) =
        (text("sentence"), text("option1"), text("option2"))
    {
        let (before, after) = sentence.split_once('_')?;
        return Some(Question {
            contexts: [first, second]
                .map(|option| format!("{before}{option}"))
                .to_vec(),
            choices: vec![format!(" {}", after.trim())],
            answer: number("answer")?.checked_sub(1)?,
        });
    }
    if let Some(asked) = text("question") {
        // ARC.
        if let Some(choices) = record.get("choices").and_then(|it| strings(it.get("text"))) {
            let labels = strings(record.get("choices")?.get("label"))?;
            let key = text("answerKey")?;
            return Some(Question {
                contexts: vec![format!("Question: {asked}\nAnswer:")],
                choices,
                answer: labels.iter().position(|label| *label == key)?,
            });
        }
        // MMLU.
        let choices = strings(record.get("choices"))?;
        let listed: Vec<String> = letters(choices.len())
            .zip(&choices)
            .map(|(letter, choice)| format!("{letter}. {choice}"))
            .collect();
        return Some(Question {
            contexts: vec![format!("{}\n{}\nAnswer:", asked.trim(), listed.join("\n"))],
            choices: letters(choices.len()).collect(),
            answer: number("answer")?,
        });
    }
    Some(Question {
        contexts: match strings(record.get("contexts")) {
            Some(contexts) => contexts,
            None => vec![text("context")?],
        },
        choices: match strings(record.get("choices")) {
            Some(choices) => choices,
            None => vec![text("continuation")?],
        },
        answer: number("answer")?,
    })
}

/// Reads questions, one a line.
///
/// # Errors
/// [`SystemError::Input`] with the line that is none.
pub fn read_questions(path: &Path) -> Result<Vec<Question>, SystemError> {
    let read = jsonl::read(path).map_err(|error| SystemError::Input(error.to_string()))?;
    let mut all = Vec::with_capacity(read.records.len());
    for (line, record) in read.records {
        let found = question(&record).filter(|it| it.count() > 1 && it.answer < it.count());
        all.push(found.ok_or_else(|| {
            SystemError::Input(format!(
                "line {line} of `{}` is not a question: write {{\"context\": \"…\", \"choices\": [\"…\", \"…\"], \"answer\": 0}}, or a \
                 record of ARC, HellaSwag, PIQA, WinoGrande or MMLU",
                path.display()
            ))
        })?);
    }
    Ok(all)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(record: Value) -> Question {
        question(record.as_object().unwrap()).unwrap()
    }

    #[test]
    fn records_of_benchmarks_become_questions() {
        let arc = of(
            json!({"question": "q", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"}),
        );
        assert_eq!(
            (arc.answer, arc.shot()),
            (1, "Question: q\nAnswer: y".into())
        );
        let mmlu = of(json!({"question": "q ", "choices": ["x", "y"], "answer": 0}));
        assert_eq!(mmlu.shot(), "q\nA. x\nB. y\nAnswer: A");
        let hella = of(
            json!({"ctx": "He [step] sits.", "endings": ["a [x] b", "c"], "label": "1", "activity_label": "Rest"}),
        );
        assert_eq!(hella.contexts, ["Rest: He sits."]);
        assert_eq!(hella.choices, ["a b", "c"]);
        let wino = of(
            json!({"sentence": "The _ is big.", "option1": "cat", "option2": "dog", "answer": "2"}),
        );
        assert_eq!((wino.answer, wino.shot()), (1, "The dog is big.".into()));
        assert_eq!(wino.count(), 2);
        let piqa = of(json!({"goal": "g", "sol1": "a", "sol2": "b", "label": 0}));
        assert_eq!(piqa.shot(), "Question: g\nAnswer: a");
        let plain = of(json!({"context": "2+2=", "choices": ["3", "4"], "answer": 1}));
        assert_eq!(plain.shot(), "2+2= 4");
        assert!(question(json!({"x": 1}).as_object().unwrap()).is_none());
    }
}
