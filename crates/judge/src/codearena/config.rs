//! How the judge is asked: wording, template, label pattern, sampling.

use std::path::Path;

use regex::Regex;
use serde::Deserialize;

use super::template::Template;
use super::verdict::PATTERN;

/// Largest configuration file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// Our own wording of the judge's task; the official one is read with `--judge-config`.
pub const SYSTEM_PROMPT: &str = "\
You compare two answers to a programming request and say which one serves the person better. You see the request, the \
answer of assistant A and the answer of assistant B. Who is A and who is B says nothing about quality.

Work in this order:
1. Write down how you would answer the request yourself.
2. Check both answers against yours. Name every error of fact, every bug and every part of the request that was missed.
3. Weigh how much each answer helps, whether it keeps to what was asked, and whether it wastes words. Where the request \
can be read in several ways, asking back is worth more than guessing.
4. Where originality matters, weigh it. Say what an answer should have told and did not.

Finish with one of these labels, and with no other:
[[A>>B]] A is much better
[[A>B]] A is somewhat better
[[A=B]] neither is better
[[B>A]] B is somewhat better
[[B>>A]] B is much better";

/// The official layout of request and answers.
const PROMPT_TEMPLATE: &str = "<|User Prompt|>\n{question_1}\n\n<|The Start of Assistant A's Answer|>\n{answer_1}\n\
<|The End of Assistant A's Answer|>\n\n<|The Start of Assistant B's Answer|>\n{answer_2}\n<|The End of Assistant B's Answer|>";

/// How the judge is asked.
#[derive(Clone, Debug)]
pub struct JudgeConfig {
    /// The judge's task.
    pub system_prompt: String,
    /// User messages, one each.
    pub templates: Vec<Template>,
    /// Finds the label.
    pub pattern: Regex,
    /// Attempts a game, at least 1.
    pub attempts: u32,
    /// Sampling temperature. The official code ignores the one of its YAML file and takes 0.2.
    pub temperature: f64,
    /// Most tokens of a judgement. The official code ignores the number of its YAML file and takes 16384.
    pub max_tokens: u32,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read `{path}`: {cause}: check the path")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        cause: String,
    },
    /// The file says something that cannot be used.
    #[error("`{path}` is not a judge configuration: {cause}")]
    Content {
        /// The file.
        path: String,
        /// What is wrong.
        cause: String,
    },
}

/// The keys of the official YAML file that the official code heeds.
#[derive(Deserialize)]
struct Official {
    #[serde(default)]
    regex_pattern: Option<String>,
    #[serde(default)]
    number_of_judgment_attempts: Option<u32>,
    system_prompt: String,
    prompt_template: Vec<String>,
    #[serde(default)]
    reference: Option<bool>,
}

impl JudgeConfig {
    /// Our wording in the official layout.
    ///
    /// # Errors
    /// Never for the built-in texts; the type is that of the parts.
    pub fn builtin() -> Result<Self, ConfigError> {
        Self::from_parts(SYSTEM_PROMPT, &[PROMPT_TEMPLATE.to_owned()], PATTERN, 2).map_err(
            |cause| ConfigError::Content {
                path: "the built-in configuration".into(),
                cause,
            },
        )
    }

    /// A configuration with the official sampling.
    ///
    /// # Errors
    /// What cannot be used, in a few words.
    pub fn from_parts(
        system_prompt: &str,
        templates: &[String],
        pattern: &str,
        attempts: u32,
    ) -> Result<Self, String> {
        let templates: Result<Vec<_>, _> =
            templates.iter().map(|text| Template::new(text)).collect();
        let templates = templates?;
        if templates.is_empty() {
            return Err("`prompt_template` is empty: it must be a list of texts".into());
        }
        if !(1..=100).contains(&attempts) {
            return Err("`number_of_judgment_attempts` must be from 1 to 100".into());
        }
        Ok(Self {
            system_prompt: system_prompt.to_owned(),
            templates,
            pattern: Regex::new(pattern).map_err(|error| {
                let message = error.to_string();
                let cause = message.lines().last().unwrap_or_default();
                format!(
                    "`regex_pattern` cannot be used: {}",
                    cause.trim_start_matches("error: ")
                )
            })?,
            attempts,
            temperature: 0.2,
            max_tokens: 16_384,
        })
    }

    /// A file in the official YAML format.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let read = |cause: std::io::Error| ConfigError::Read {
            path: name.clone(),
            cause: cause.to_string(),
        };
        let content = |cause: String| ConfigError::Content {
            path: name.clone(),
            cause,
        };
        if std::fs::metadata(path).map_err(read)?.len() > LARGEST {
            return Err(content(format!("it is larger than {} MB", LARGEST >> 20)));
        }
        let bytes = base::files::read(path).map_err(read)?;
        let text = String::from_utf8(bytes).map_err(|_| content("it is not UTF-8".into()))?;
        let official: Official = serde_saphyr::from_str(&text).map_err(|error| {
            content(
                error
                    .to_string()
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            )
        })?;
        if official.reference == Some(true) {
            return Err(content(
                "`reference: true` needs answers that CodeArena does not have".into(),
            ));
        }
        Self::from_parts(
            &official.system_prompt,
            &official.prompt_template,
            official.regex_pattern.as_deref().unwrap_or(PATTERN),
            official.number_of_judgment_attempts.unwrap_or(2),
        )
        .map_err(content)
    }

    /// A fingerprint of everything a judgement depends on besides question and answers.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = super::fingerprint(&[&self.system_prompt, self.pattern.as_str()]);
        for template in &self.templates {
            hash ^= super::fingerprint(&[template.source(), &hash.to_string()]);
        }
        hash ^ super::fingerprint(&[
            &self.attempts.to_string(),
            &self.temperature.to_string(),
            &self.max_tokens.to_string(),
        ])
    }
}
