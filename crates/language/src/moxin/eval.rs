//! Multiple choice by log-likelihood, as the usual harness scores it, and loss on text.

use std::path::Path;

use base::job::jsonl::{self, Record};
use base::rng::Rng;
use engine::models::decoder::{Cache, Decoder, Input, Logits, Request, Segment};
use engine::text::Tokenizer;
use serde::Serialize;
use serde_json::Value;

use super::MoxinError;

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

    fn context(&self, choice: usize) -> &str {
        self.contexts
            .get(choice)
            .or(self.contexts.first())
            .map_or("", String::as_str)
    }

    fn choice(&self, choice: usize) -> &str {
        self.choices
            .get(choice)
            .or(self.choices.first())
            .map_or("", String::as_str)
    }

    /// With its answer, as an example for others.
    fn shot(&self) -> String {
        join(self.context(self.answer), self.choice(self.answer))
    }
}

/// Context and choice with one blank between them.
fn join(context: &str, choice: &str) -> String {
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
/// [`MoxinError::Input`] with the line that is none.
pub fn read_questions(path: &Path) -> Result<Vec<Question>, MoxinError> {
    let read = jsonl::read(path).map_err(|error| MoxinError::Input(error.to_string()))?;
    let mut all = Vec::with_capacity(read.records.len());
    for (line, record) in read.records {
        let found = question(&record).filter(|it| it.count() > 1 && it.answer < it.count());
        all.push(found.ok_or_else(|| {
            MoxinError::Input(format!(
                "line {line} of `{}` is no question: write {{\"context\": \"…\", \"choices\": [\"…\", \"…\"], \"answer\": 0}}, or a \
                 record of ARC, HellaSwag, PIQA, WinoGrande or MMLU",
                path.display()
            ))
        })?);
    }
    Ok(all)
}

/// What a model chose.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Log-probability of each choice, in nats.
    pub log_likelihoods: Vec<f64>,
    /// The choice with the largest one is right.
    pub acc: bool,
    /// The same after division by characters.
    pub acc_norm: bool,
}

/// Scores a model on a question after `shots`, which stand before it with blank lines between.
///
/// # Errors
/// [`MoxinError`]; for questions that are longer than the model's context, too.
pub fn score(
    decoder: &Decoder,
    tokenizer: &Tokenizer,
    question: &Question,
    shots: &[&Question],
) -> Result<Score, MoxinError> {
    let before: String = shots
        .iter()
        .map(|shot| format!("{}\n\n", shot.shot()))
        .collect();
    let mut log_likelihoods = Vec::with_capacity(question.count());
    let mut shared: Option<(Vec<u32>, Cache, Vec<f32>)> = None;
    for choice in 0..question.count() {
        let context = format!("{before}{}", question.context(choice));
        let joined = join(&context, question.choice(choice));
        let head = tokenizer.around().0;
        // Blanks at the end of the context belong to what is scored.
        let fixed = [head, &tokenizer.encode(context.trim_end())?].concat();
        let whole = [head, &tokenizer.encode(&joined)?].concat();
        let from = fixed.len().min(whole.len().saturating_sub(1)).max(1);
        let limit = Cache::new(decoder.config()).limit();
        if whole.len() > limit || whole.len() <= from {
            return Err(MoxinError::Input(format!(
                "a question has {} tokens and the model takes from 2 to {limit}: use fewer shots",
                whole.len()
            )));
        }
        // The context goes through the model once for all choices that share it.
        let prefix = &whole[..from];
        let known = shared.take().filter(|(ids, ..)| ids == prefix);
        let (cache, logits) = match known {
            Some((_, cache, logits)) => (cache, logits),
            None => {
                let mut cache = Cache::new(decoder.config());
                let logits = run(decoder, prefix, &mut cache, Logits::Last)?;
                (cache, logits)
            }
        };
        let mut sum = log_probability(&logits, whole[from]);
        let rest = &whole[from..whole.len() - 1];
        if !rest.is_empty() {
            let all = run(decoder, rest, &mut cache.fork(), Logits::All)?;
            let rows = all.chunks(decoder.config().vocab);
            sum += rows
                .zip(&whole[from + 1..])
                .map(|(row, &id)| log_probability(row, id))
                .sum::<f64>();
        }
        log_likelihoods.push(sum);
        shared = Some((prefix.to_vec(), cache, logits));
    }
    let best = |value: &dyn Fn(usize) -> f64| {
        let all = 0..question.count();
        all.reduce(|a, b| if value(b) > value(a) { b } else { a })
    };
    let characters = |choice: usize| question.choice(choice).chars().count().max(1) as f64;
    Ok(Score {
        acc: best(&|choice| log_likelihoods[choice]) == Some(question.answer),
        acc_norm: best(&|choice| log_likelihoods[choice] / characters(choice))
            == Some(question.answer),
        log_likelihoods,
    })
}

fn run(
    decoder: &Decoder,
    ids: &[u32],
    cache: &mut Cache,
    logits: Logits,
) -> Result<Vec<f32>, MoxinError> {
    let request = Request {
        logits,
        ..Request::default()
    };
    let output = decoder.forward(&mut [Segment::new(Input::Ids(ids), cache)], &request)?;
    Ok(output
        .into_iter()
        .next()
        .map(|it| it.logits)
        .unwrap_or_default())
}

fn log_probability(logits: &[f32], id: u32) -> f64 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits
        .iter()
        .map(|logit| f64::from(logit - highest).exp())
        .sum();
    let own = logits
        .get(id as usize)
        .copied()
        .unwrap_or(f32::NEG_INFINITY);
    f64::from(own - highest) - sum.ln()
}

/// Shots for question number `at`: others of the list, drawn from `seed`.
pub fn draw_shots(
    questions: &[Question],
    at: Option<usize>,
    count: usize,
    seed: u64,
) -> Vec<&Question> {
    let mut order: Vec<usize> = (0..questions.len()).filter(|it| Some(*it) != at).collect();
    Rng::new(seed)
        .child("shots")
        .item(at.unwrap_or(0) as u64)
        .shuffle(&mut order);
    order.truncate(count);
    order.iter().map(|&it| &questions[it]).collect()
}

/// Mean loss of a text in nats a token, in windows of `context` tokens that do not overlap, and how many tokens were scored.
///
/// # Errors
/// [`MoxinError`].
pub fn text_loss(
    decoder: &Decoder,
    ids: &[u32],
    context: usize,
) -> Result<(f64, usize), MoxinError> {
    let (mut sum, mut count) = (0.0, 0);
    for window in ids.chunks(context.max(2)).filter(|window| window.len() > 1) {
        let mut cache = Cache::new(decoder.config());
        let inputs = &window[..window.len() - 1];
        // A few rows of logits at a time.
        let mut at = 0;
        for part in inputs.chunks(128) {
            let logits = run(decoder, part, &mut cache, Logits::All)?;
            for row in logits.chunks(decoder.config().vocab) {
                at += 1;
                sum -= log_probability(row, window[at]);
                count += 1;
            }
        }
    }
    Ok((sum / count.max(1) as f64, count))
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
