//! Questions and answers, read from the hub's file or from results of either program.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use base::endpoint::Message;
use serde_json::Value;

use super::literal;
use base::job::jsonl::{self, JsonlError, Record};

/// Questions of this many words and more are not judged (official code).
pub const TOO_MANY_WORDS: usize = 1024;
/// The baseline of the paper.
pub const BASELINE: &str = "gpt-4-turbo-2024-04-09";

/// One question, with whatever its line held: answers, labels, meta data.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its id, unique in its file.
    pub id: String,
    /// The content of the first message.
    pub question: String,
    /// The line as it was; fields that are not known here are kept.
    pub record: Record,
}

/// What tells texts apart where there are too many to keep: 128 bits of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity([u64; 2]);

impl Identity {
    /// That of a text.
    pub fn of(text: &str) -> Self {
        Self([0_u8, 1].map(|half| {
            let mut hasher = DefaultHasher::new();
            (half, text).hash(&mut hasher);
            hasher.finish()
        }))
    }
}

/// The items of a file, and one readable line for each line of it that was left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Items {
    /// In the file's order.
    pub items: Vec<Item>,
    /// What was left out and why.
    pub troubles: Vec<String>,
}

impl Item {
    /// The item of a record, `line` being its number in the file.
    ///
    /// # Errors
    /// What the record lacks, in a few words.
    pub fn from_record(record: Record, line: usize) -> Result<Self, String> {
        let question = question(&record)?;
        // The official judge overwrites `id` with a running number; ours keeps the original in `uid`.
        let id = match record.get("uid").or_else(|| record.get("id")) {
            Some(Value::String(id)) if !id.is_empty() => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            Some(Value::Null) | None => line.to_string(),
            Some(other) => return Err(format!("the id {other} is neither text nor number")),
        };
        Ok(Self {
            id,
            question,
            record,
        })
    }

    /// All messages, for whoever answers: the judge sees the question alone.
    pub fn conversation(&self) -> Vec<Message> {
        let all = messages(&self.record).and_then(Result::ok);
        let all = all.and_then(|list| serde_json::from_value::<Vec<Message>>(list).ok());
        all.unwrap_or_else(|| vec![Message::user(self.question.clone())])
    }

    /// Whitespace-separated words of the question, as Python's `split` counts.
    pub fn words(&self) -> usize {
        let blank = |c: char| c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}');
        self.question
            .split(blank)
            .filter(|word| !word.is_empty())
            .count()
    }

    /// The text of a field.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.record.get(field)?.as_str()
    }

    /// The baseline's answer: the field `BASELINE_response`, else `baseline`.
    pub fn baseline(&self, baseline: &str) -> Option<&str> {
        self.text(&format!("{baseline}_response"))
            .or_else(|| self.text("baseline"))
    }

    /// The first task type that annotators gave.
    pub fn task_type(&self) -> Option<String> {
        let meta = plain(self.record.get("meta")?);
        let parsed = plain(meta.get("parsed")?);
        let types = plain(parsed.get("task_type")?);
        let first = types.get(0).unwrap_or(&types);
        first.as_str().map(str::to_owned)
    }

    /// Programming languages; empty where none is given.
    pub fn languages(&self) -> Vec<String> {
        let Some(languages) = self.record.get("programming_language").map(plain) else {
            return Vec::new();
        };
        match languages {
            Value::Array(items) => items
                .iter()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect(),
            Value::String(one) => vec![one],
            _ => Vec::new(),
        }
    }

    /// `easy`, `medium` or `hard`.
    pub fn difficulty(&self) -> Option<&str> {
        self.text("difficulty")
    }
}

/// A value that may have been stored as a Python or JSON literal.
fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) if text.starts_with(['[', '{']) => serde_json::from_str(text)
            .ok()
            .or_else(|| literal::parse(text).ok())
            .unwrap_or_else(|| value.clone()),
        _ => value.clone(),
    }
}

/// The messages of a record, as a list or as the text of one.
fn messages(record: &Record) -> Option<Result<Value, String>> {
    Some(match record.get("messages")? {
        Value::String(text) => literal::parse(text)
            .or_else(|error| serde_json::from_str(text).map_err(|_| error))
            .map_err(|error| format!("`messages` is {error}")),
        other => Ok(other.clone()),
    })
}

fn question(record: &Record) -> Result<String, String> {
    if let Some(list) = messages(record) {
        let list = list?;
        let content = list.get(0).and_then(|first| first.get("content"));
        let content = content.and_then(Value::as_str).map(str::to_owned);
        return content.ok_or_else(|| "`messages` has no first message with a text".to_owned());
    }
    let asked = record.get("question").or_else(|| record.get("prompt"));
    let asked = asked.map(|asked| asked.get(0).unwrap_or(asked));
    match asked.and_then(Value::as_str) {
        Some(text) => Ok(text.to_owned()),
        None => Err("it has no `messages` and no `question`".to_owned()),
    }
}

/// Reads a file of items. Of several with one id the first stays.
///
/// # Errors
/// [`JsonlError`] where the file cannot be read, or holds no item at all.
pub fn read_items(path: &Path) -> Result<Items, JsonlError> {
    let mut items = Vec::new();
    let troubles = each_item(path, &mut |_, item| items.push(item))?;
    Ok(Items { items, troubles })
}

/// As [`read_items`], one item after the other with its line number from 1. Gives the troubles.
///
/// # Errors
/// As [`read_items`].
pub fn each_item(
    path: &Path,
    take: &mut dyn FnMut(usize, Item),
) -> Result<Vec<String>, JsonlError> {
    let mut seen: HashMap<Identity, u32> = HashMap::new();
    let shown = path.display();
    let mut odd = Vec::new();
    let mut shard = None;
    let troubles = jsonl::each(path, &mut |line, record| {
        if let Some(part) = record.get("codearena_shard") {
            let number = |key: &str| part.get(key).and_then(Value::as_u64);
            if let (Some(index), Some(of)) = (number("index"), number("of")) {
                shard = Some(format!(
                    "`{shown}` is shard {index} of {of} alone: the items of the others are not in it; `merge` puts shards together"
                ));
                return;
            }
        }
        let item = match Item::from_record(record, line) {
            Ok(item) => item,
            Err(what) => {
                odd.push(format!("`{shown}` line {line}: {what}: left out"));
                return;
            }
        };
        let id = Identity::of(&item.id);
        match seen.get(&id) {
            Some(first) => odd.push(format!(
                "`{shown}` line {line}: id `{}` was there in line {first}: left out",
                base::command::one_line(&item.id)
            )),
            None => {
                seen.insert(id, line as u32);
                take(line, item);
            }
        }
    })?;
    let troubles: Vec<String> = shard.into_iter().chain(troubles).chain(odd).collect();
    match seen.is_empty() {
        true => Err(JsonlError::Nothing {
            path: path.to_owned(),
            first: troubles.into_iter().next(),
        }),
        false => Ok(troubles),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item(value: Value) -> Result<Item, String> {
        Item::from_record(value.as_object().unwrap().clone(), 7)
    }

    #[test]
    fn messages_are_read_as_lists_and_as_literals_of_python() {
        let literal = r#"[{'role': 'user', 'content': 'sort\n"it"'}]"#;
        for messages in [
            json!(literal),
            json!([{"role": "user", "content": "sort\n\"it\""}]),
        ] {
            let one = item(json!({"id": "a", "messages": messages})).unwrap();
            assert_eq!(
                (one.id.as_str(), one.question.as_str()),
                ("a", "sort\n\"it\"")
            );
        }
        let two =
            "[{'role': 'system', 'content': 'be brief'}, {'role': 'user', 'content': 'sort'}]";
        let one = item(json!({"messages": two})).unwrap();
        assert_eq!(
            one.question, "be brief",
            "the official judge sees the first message"
        );
        assert_eq!(
            one.conversation(),
            [Message::system("be brief"), Message::user("sort")]
        );
        let one = item(json!({"question": "q"})).unwrap();
        assert_eq!(one.conversation(), [Message::user("q")]);
        assert!(
            item(json!({"messages": "[oops"}))
                .unwrap_err()
                .contains("literal")
        );
        assert!(item(json!({"messages": []})).is_err());
        assert!(
            item(json!({"id": 3}))
                .unwrap_err()
                .contains("no `messages`")
        );
    }

    #[test]
    fn labels_are_found_where_the_hub_has_them() {
        let one = item(json!({
            "id": 3, "question": ["q"], "difficulty": "easy", "programming_language": "['C', 'Go']",
            "meta": {"parsed": {"task_type": ["Code-Usage", "other"]}},
        }))
        .unwrap();
        assert_eq!((one.id.as_str(), one.difficulty()), ("3", Some("easy")));
        assert_eq!(one.languages(), ["C", "Go"]);
        assert_eq!(one.task_type().as_deref(), Some("Code-Usage"));
        assert_eq!(item(json!({"question": "a  b\u{1c}c"})).unwrap().words(), 3);
    }
}
