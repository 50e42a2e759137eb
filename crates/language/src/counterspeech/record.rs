//! Records: a toxic message, the conversation it is in, its community and its author.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::SystemError;
use super::store::{hex, read_lines, sha256};
use super::synthetic;

/// Name of the built-in set of invented records.
pub const SYNTHETIC: &str = "synthetic";
/// What an author's pseudonym begins with.
const PSEUDONYM: &str = "author-";

/// A community and how its members write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Community {
    /// Its name.
    pub name: String,
    /// Its rules, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
    /// Comments of its members that are not toxic.
    #[serde(default)]
    pub examples: Vec<String>,
}

/// A message of the conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Who wrote it, best a pseudonym.
    #[serde(default)]
    pub author: String,
    /// What it says.
    pub text: String,
    /// How toxic it is, in `[0, 1]`, where that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toxicity: Option<f64>,
}

/// What is known of the author of the toxic message. Personal data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Earlier comments, oldest first.
    #[serde(default)]
    pub history: Vec<String>,
    /// A summary of the person, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// A toxic message in its context.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its name, once in a file.
    pub id: String,
    /// Where it was posted.
    #[serde(default)]
    pub community: Community,
    /// What was said before, oldest first; the last one is what the message answers.
    #[serde(default)]
    pub thread: Vec<Turn>,
    /// The toxic message.
    pub message: Turn,
    /// Its author.
    #[serde(default)]
    pub user: User,
}

impl Record {
    /// A single message with the texts before it, the comments of its community and those of its author.
    pub fn single(
        message: &str,
        parents: &[String],
        (community, examples): (Option<&str>, &[String]),
        history: &[String],
    ) -> Self {
        let turn = |text: &str| Turn {
            text: text.to_owned(),
            ..Turn::default()
        };
        Self {
            id: "reply".into(),
            community: Community {
                name: community.unwrap_or_default().to_owned(),
                rules: None,
                examples: examples.to_vec(),
            },
            thread: parents.iter().map(|text| turn(text)).collect(),
            message: turn(message),
            user: User {
                history: history.to_vec(),
                summary: None,
            },
        }
    }

    /// Blocks of the context that it has something for, as [`super::Configuration::context`] names them; `user` is what
    /// the author's history goes by.
    pub fn blocks(&self, user: &str) -> String {
        let given = [
            (!self.community.examples.is_empty(), "Co"),
            (!self.thread.is_empty(), "Pr"),
            (!self.user.history.is_empty(), user),
        ];
        let blocks: Vec<&str> = given.into_iter().filter(|it| it.0).map(|it| it.1).collect();
        blocks.join(".")
    }
}

/// Reads records, one JSON object a line, or the built-in [`SYNTHETIC`] ones; with a line about each that is left out.
///
/// # Errors
/// [`SystemError::Input`] when the file cannot be read or no record is left.
pub fn read_records(path: &Path) -> Result<(Vec<Record>, Vec<String>), SystemError> {
    if path == Path::new(SYNTHETIC) && !path.exists() {
        return Ok((synthetic()?, Vec::new()));
    }
    let place = path.display();
    let (found, mut wrong) = read_lines::<Record>(path, "record")?;
    let mut seen = BTreeSet::new();
    let mut records = Vec::new();
    for record in found {
        let reason = if record.id.trim().is_empty() {
            "its `id` is empty"
        } else if record.message.text.trim().is_empty() {
            "its message is empty"
        } else if !seen.insert(record.id.clone()) {
            "its `id` was there before"
        } else {
            records.push(record);
            continue;
        };
        wrong.push(format!(
            "the record `{}` of `{place}` is left out: {reason}",
            record.id
        ));
    }
    match records.is_empty() {
        true => Err(SystemError::Input(format!(
            "`{place}` holds no record{}: write one JSON object a line, {{\"id\": \"1\", \"message\": {{\"text\": \"…\"}}}}",
            wrong
                .first()
                .map(|line| format!(" ({line})"))
                .unwrap_or_default()
        ))),
        false => Ok((records, wrong)),
    }
}

/// Secret with which authors' names are hashed: who does not have it cannot try names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorKey(String);

impl AuthorKey {
    /// A new one from the system's randomness.
    pub fn new() -> Self {
        use std::hash::{BuildHasher, Hasher};
        let part = || {
            let state = std::collections::hash_map::RandomState::new();
            state.build_hasher().finish().to_le_bytes()
        };
        Self(hex(&[part(), part(), part(), part()].concat()))
    }

    /// From what [`AuthorKey::text`] gave.
    ///
    /// # Errors
    /// [`SystemError::Input`] when it is not a key.
    pub fn parse(text: &str) -> Result<Self, SystemError> {
        let text = text.trim();
        match text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => Ok(Self(text.to_owned())),
            false => Err(SystemError::input(
                "the key of the authors' names is not 64 hexadecimal digits: give the file that `records import` wrote",
            )),
        }
    }

    /// To keep.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The pseudonym of an author; a pseudonym stays as it is, no name stays none.
    pub fn pseudonym(&self, author: &str) -> String {
        match author {
            "" => String::new(),
            it if is_pseudonym(it) => it.to_owned(),
            it => {
                let inner = sha256(format!("{}{it}", self.0));
                let outer = sha256(format!("{}{inner}", self.0));
                format!("{PSEUDONYM}{}", &outer[..16])
            }
        }
    }

    /// The record with pseudonyms for its authors, also where its texts name them with `@` or `u/`.
    pub fn hide(&self, mut record: Record) -> Record {
        let turns = || record.thread.iter().chain([&record.message]);
        let names: BTreeMap<String, String> = turns()
            .filter(|turn| !turn.author.is_empty() && !is_pseudonym(&turn.author))
            .map(|turn| (turn.author.clone(), self.pseudonym(&turn.author)))
            .collect();
        let hide = |text: &mut String| {
            for (name, pseudonym) in &names {
                for sign in ["@", "u/"] {
                    *text = text.replace(&format!("{sign}{name}"), &format!("{sign}{pseudonym}"));
                }
            }
        };
        for turn in record.thread.iter_mut().chain([&mut record.message]) {
            turn.author = self.pseudonym(&turn.author);
            hide(&mut turn.text);
        }
        record.user.history.iter_mut().for_each(hide);
        record
    }
}

impl Default for AuthorKey {
    fn default() -> Self {
        Self::new()
    }
}

fn is_pseudonym(author: &str) -> bool {
    author
        .strip_prefix(PSEUDONYM)
        .is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hidden_and_stay_the_same_under_a_key() {
        let key = AuthorKey::parse(&"ab".repeat(32)).unwrap();
        let mut record = Record {
            id: "1".into(),
            ..Record::default()
        };
        record.message = Turn {
            author: "Maria".into(),
            text: "so there".into(),
            toxicity: None,
        };
        record.thread = vec![Turn {
            author: "Otto".into(),
            text: "well, @Maria".into(),
            toxicity: None,
        }];
        let hidden = key.hide(record);
        let json = serde_json::to_string(&hidden).unwrap();
        assert!(!json.contains("Maria") && !json.contains("Otto"), "{json}");
        assert_eq!(hidden.message.author, key.pseudonym("Maria"));
        assert_eq!(key.hide(hidden.clone()), hidden);
        assert_ne!(AuthorKey::new().pseudonym("Maria"), key.pseudonym("Maria"));
        assert!(AuthorKey::parse("xyz").is_err());
    }
}
