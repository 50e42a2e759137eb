//! Step 4: a language model writes a question inspired by a page, but independent of it.

use base::endpoint::{ChatModel, Message, Prompt, Request};
use serde_json::{Value, json};

use super::stage::{Fate, WorkError, text};
use crate::codearena::classify::Classifier;
use base::job::jsonl::Record;

/// Most characters of a page that are shown.
const SHOWN: usize = 12_000;

/// The task, in our words; the rules are the paper's.
const TASK: &str = "\
Write one new programming question that the text below gave you the idea for.
- Write it in English or in Chinese, whichever the text is in.
- Its answer is code in {LANG}.
- Use ideas of the text, but the question must be complete without it: never mention the text.
- It must be clear, original and useful in practice, and hard but solvable for a programmer with some experience.
Reply with JSON alone: {\"question\": \"…\", \"algorithmic\": true or false}. A question is algorithmic where tests can decide \
whether an answer is right.

Text:
";

/// The prompt for a page.
pub fn prompt(page: &Record) -> String {
    let language = match text(page, "lang") {
        "" => "the language of the text",
        language => language,
    };
    let shown: String = text(page, "text").chars().take(SHOWN).collect();
    TASK.replace("{LANG}", language) + &shown
}

/// The question in a reply, and whether it is algorithmic. Models wrap JSON in fences and talk; what is between the outermost
/// braces counts.
pub fn parse(reply: &str) -> Option<(String, bool)> {
    let json = object(reply)?;
    let question = json.get("question")?.as_str()?.trim().to_owned();
    let algorithmic = json
        .get("algorithmic")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    (!question.is_empty()).then_some((question, algorithmic))
}

/// The JSON object between the outermost braces of a reply.
pub fn object(reply: &str) -> Option<Value> {
    let (start, end) = (reply.find('{')?, reply.rfind('}')?);
    serde_json::from_str(reply.get(start..=end)?).ok()
}

/// Asks for the question of a page.
///
/// # Errors
/// [`WorkError::Model`].
pub fn ask(
    model: &dyn ChatModel,
    classifier: &Classifier,
    page: &Record,
    stage: u64,
) -> Result<Fate, WorkError> {
    let reply = model.reply(&Request {
        prompt: Prompt::Chat(vec![Message::user(prompt(page))]),
        temperature: 0.7,
        max_tokens: 2048,
        seed: Some(0),
    })?;
    let Some((question, algorithmic)) = parse(&reply.text) else {
        return Ok(Fate::Drop("no question in the reply".into()));
    };
    let category = classifier.nearest(&question).map(|(class, _)| class.sub);
    let source = [page.get("source_url"), page.get("url")]
        .into_iter()
        .flatten()
        .next();
    let record = json!({
        "id": format!("{:016x}", crate::codearena::fingerprint(&[&question, text(page, "text")])),
        "source_url": source,
        "lang": text(page, "lang"),
        "category": category,
        "algorithmic": algorithmic,
        "question": question,
        "stage": stage,
    });
    Ok(match record {
        Value::Object(record) => Fate::Keep(record),
        _ => Fate::Drop("no question in the reply".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn questions_are_read_leniently() {
        let reply = "Sure!\n```json\n{\"question\": \" Sort {x} \", \"algorithmic\": true}\n```";
        assert_eq!(parse(reply), Some(("Sort {x}".into(), true)));
        assert_eq!(parse("{\"question\": \"a\"}"), Some(("a".into(), false)));
        assert_eq!(parse("no"), None);
        assert_eq!(parse("} {"), None);
    }
}
