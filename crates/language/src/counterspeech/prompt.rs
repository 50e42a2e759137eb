//! Prompts: templates in a versioned file, filled from a record.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::store::{read_text, sha256};
use super::{Configuration, Record, SystemError};

const BUILT_IN: &str = include_str!("prompts.toml");
/// Messages of the thread that `{previous}` shows at most.
const THREAD: usize = 6;

/// Where a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// After the system message's text.
    System,
    /// Before the toxic message.
    User,
}

/// A part of a prompt that contexts name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// What contexts call it, such as `Pr`.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// Text with `{community}`, `{rules}`, `{examples}`, `{previous}`, `{history}` and `{summary}`.
    pub text: String,
}

/// A file of prompts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompts {
    /// Its name.
    pub name: String,
    /// Its version; raise it with every change.
    pub version: u32,
    /// How many comments of the community `{examples}` shows.
    pub examples: usize,
    /// How many of the user's last comments `{history}` shows.
    pub history_comments: usize,
    /// Words of a comment that `{history}` shows.
    pub history_words: usize,
    /// The system message.
    pub system: String,
    /// The toxic message, as `{message}`.
    pub message: String,
    /// What is asked for.
    pub request: String,
    /// The request for a summary of a user, with `{history}`.
    pub summarise: String,
    /// Blocks of contexts, in their order.
    #[serde(default)]
    pub block: Vec<Block>,
}

/// A prompt for one reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prompt {
    /// The system message.
    pub system: String,
    /// The user's message.
    pub user: String,
    /// Blocks that are left out because the record does not say what they need.
    pub absent: Vec<String>,
    /// SHA-256 of both messages.
    pub sha: String,
}

impl Default for Prompts {
    fn default() -> Self {
        // A test holds that the file is right.
        toml::from_str(BUILT_IN).unwrap_or_else(|_| Self {
            name: String::new(),
            version: 0,
            examples: 0,
            history_comments: 0,
            history_words: 0,
            system: String::new(),
            message: "{message}".into(),
            request: String::new(),
            summarise: "{history}".into(),
            block: Vec::new(),
        })
    }
}

impl Prompts {
    /// Reads a file of prompts.
    ///
    /// # Errors
    /// [`SystemError::Input`].
    pub fn open(path: &Path) -> Result<Self, SystemError> {
        let wrong = |reason: &str| {
            SystemError::Input(format!(
                "`{}` is not a file of prompts ({}): `orrery counterspeech templates` writes one to begin from",
                path.display(),
                reason.trim()
            ))
        };
        let prompts: Self =
            toml::from_str(&read_text(path)?).map_err(|error| wrong(error.message()))?;
        match prompts {
            it if !it.message.contains("{message}") => Err(wrong("`message` lacks {message}")),
            it if !it.summarise.contains("{history}") => Err(wrong("`summarise` lacks {history}")),
            it => Ok(it),
        }
    }

    /// The built-in file, to begin from.
    pub fn built_in() -> &'static str {
        BUILT_IN
    }

    /// Checks that all blocks that contexts name are there.
    ///
    /// # Errors
    /// [`SystemError::Input`] with the block that is not.
    pub fn check<'a>(&self, blocks: impl IntoIterator<Item = &'a str>) -> Result<(), SystemError> {
        let known = |name: &str| self.block.iter().any(|block| block.name == name);
        match blocks.into_iter().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => {
                let all: Vec<&str> = self.block.iter().map(|it| it.name.as_str()).collect();
                Err(SystemError::Input(format!(
                    "no block of the prompts is called `{name}`: contexts are made of {}",
                    all.join(", ")
                )))
            }
        }
    }

    /// Whether a context shows a person's history or a summary of it.
    pub fn profiles(&self, context: &Configuration) -> bool {
        self.shows(context, "{history}") || self.needs_summary(context)
    }

    /// Whether a context needs a summary of the user.
    pub fn needs_summary(&self, context: &Configuration) -> bool {
        self.shows(context, "{summary}")
    }

    fn shows(&self, context: &Configuration, key: &str) -> bool {
        let named = |block: &&Block| context.blocks().any(|name| name == block.name);
        let mut shown = self.block.iter().filter(named);
        shown.any(|block| block.text.contains(key))
    }

    /// The prompt of a record in a context. Blocks come in the order of the file.
    pub fn fill(&self, record: &Record, context: &Configuration, summary: Option<&str>) -> Prompt {
        let value = |key: &str| self.value(record, summary, key);
        let (mut system, mut user) = (self.system.trim().to_owned(), String::new());
        let mut absent = Vec::new();
        for block in &self.block {
            if !context.blocks().any(|name| name == block.name) {
                continue;
            }
            match fill(block.text.trim(), &value) {
                None => absent.push(block.name.clone()),
                Some(text) if block.place == Place::System => system += &format!("\n{text}"),
                Some(text) => user += &format!("{text}\n\n"),
            }
        }
        let message = fill(self.message.trim(), &value).unwrap_or_default();
        user += &format!("{message}\n\n{}", self.request.trim());
        Prompt {
            sha: sha256(format!("{system}\0{user}")),
            system,
            user,
            absent,
        }
    }

    /// The prompt that asks for a summary of a user; none without a history.
    pub fn summary(&self, record: &Record) -> Option<String> {
        fill(self.summarise.trim(), &|key: &str| {
            self.value(record, None, key)
        })
    }

    /// What a placeholder stands for; none where the record does not say.
    fn value(&self, record: &Record, summary: Option<&str>, key: &str) -> Option<String> {
        let list = |lines: Vec<String>| (!lines.is_empty()).then(|| lines.join("\n"));
        match key {
            "message" => Some(record.message.text.trim().to_owned()),
            "community" => Some(record.community.name.clone()).filter(|name| !name.is_empty()),
            "rules" => Some(record.community.rules.clone().unwrap_or_default()),
            "examples" => {
                let shown = record.community.examples.iter().take(self.examples);
                list(shown.map(|text| format!("- {}", text.trim())).collect())
            }
            "previous" => {
                let from = record.thread.len().saturating_sub(THREAD);
                list(
                    record.thread[from..]
                        .iter()
                        .map(|it| it.text.trim().to_owned())
                        .collect(),
                )
            }
            "history" => {
                let history = &record.user.history;
                let from = history.len().saturating_sub(self.history_comments);
                let cut = |text: &String| {
                    let words: Vec<&str> = text.split_whitespace().collect();
                    let kept = words.len().min(self.history_words);
                    format!("- {}", words[..kept].join(" "))
                };
                list(history[from..].iter().map(cut).collect())
            }
            "summary" => {
                let known = summary.or(record.user.summary.as_deref());
                known
                    .map(|text| text.trim().to_owned())
                    .filter(|text| !text.is_empty())
            }
            _ => None,
        }
    }
}

/// The text with its `{keys}` replaced, in one pass: what is put in is never looked at again. None where a value is missing.
/// Braces around anything but lower-case letters stay.
fn fill(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find('{') {
        let (before, from) = rest.split_at(begin);
        out.push_str(before);
        let end = from.find('}').unwrap_or(0);
        let key = from.get(1..end).unwrap_or_default();
        if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase()) {
            out.push_str(&value(key)?);
            rest = &from[end + 1..];
        } else {
            out.push('{');
            rest = &from[1..];
        }
    }
    out.push_str(rest);
    Some(out.trim_end().to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::synthetic;
    use super::*;

    #[test]
    fn only_the_blocks_of_the_context_are_there_and_in_their_order() {
        let prompts: Prompts = toml::from_str(BUILT_IN).unwrap();
        assert_eq!(prompts, Prompts::default());
        let record = synthetic().unwrap().swap_remove(0);
        let fill = |context: &str| {
            let context = Configuration::parse(context);
            prompts.check(context.blocks()).unwrap();
            prompts.fill(&record, &context, None)
        };
        let bare = fill("Ba");
        assert!(bare.user.contains(&record.message.text));
        for text in [&record.thread[0].text, &record.user.history[0]] {
            assert!(!bare.user.contains(text.as_str()));
        }
        let both = fill("Ba.Hi.Pr").user;
        let place = |text: &str| both.find(text).unwrap();
        assert!(place(&record.thread[0].text) < place(&record.user.history[0]));
        assert!(place(&record.user.history[4]) < place(&record.message.text));
        assert_eq!(fill("Mu.Hi.Pr").sha, fill("Ba.Pr.Hi").sha);
        assert!(fill("Ba.Co").system.contains(&record.community.examples[3]));
        assert_eq!(fill("Ba.Su").absent, ["Su"]);
        assert_eq!(fill("Ba.Su").sha, bare.sha);
        assert!(
            prompts
                .check(["Xy"])
                .unwrap_err()
                .to_string()
                .contains("Co, Pr, Hi, Su")
        );
    }

    #[test]
    fn what_a_record_says_is_never_a_placeholder() {
        let value = |key: &str| (key == "message").then(|| "{history} {message}".to_owned());
        assert_eq!(
            fill("a {message} {B} {", &value).unwrap(),
            "a {history} {message} {B} {"
        );
        assert_eq!(fill("{history}", &value), None);
    }
}
