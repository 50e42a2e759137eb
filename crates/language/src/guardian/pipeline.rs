//! The library call: messages and a risk in, a label and P(risk) out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use engine::weights::hub::{HubSettings, resolve};
use serde::Serialize;
use serde_json::Value;

use super::head::Head;
use super::language::{Asked, GuardOutput, LanguageGuard};
use super::probability::Label;
use super::prompt::{Message, Version};
use super::risk::{RiskConfig, RiskGroup};
use super::wording::Wording;
use engine::SystemError;

/// Threshold where nobody chose one.
pub const THRESHOLD: f64 = 0.5;
/// A text is halved at most so often to fit the context.
const HALVINGS: usize = 8;

/// What stands on the language model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Classifier {
    /// The tokens of its answer for a guardian checkpoint; for other models the small guard that ships with the program.
    #[default]
    Auto,
    /// The tokens of its answer.
    Labels,
    /// A trained head.
    Head(PathBuf),
}

/// How a guardian is loaded.
#[derive(Clone, Debug, Default)]
pub struct GuardianOptions {
    /// What stands on the language model.
    pub classifier: Classifier,
    /// Generation of prompts, where it is not the checkpoint's own.
    pub version: Option<Version>,
    /// Sentences of the prompts, where they are not ours.
    pub wording: Option<Wording>,
    /// Generate the answer and take all positions, in place of one look at the first.
    pub generate: bool,
    /// Thresholds by risk, in place of 0.5.
    pub thresholds: BTreeMap<String, f64>,
}

/// What a guardian says of messages and a risk. The probability is that of the risk: for groundedness, that the answer is
/// *not* grounded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Assessment {
    /// The risk.
    pub risk: String,
    /// Its definition in the prompt; empty where the checkpoint's template holds it.
    pub definition: String,
    /// What was judged: user, assistant or context.
    pub judged: &'static str,
    /// Yes: the risk is there.
    pub label: Label,
    /// P(risk), in `[0, 1]`.
    pub probability: f64,
    /// Above which probability it is flagged.
    pub threshold: f64,
    /// Whether it is.
    pub flagged: bool,
    /// The confidence that the model put into words; no probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<String>,
    /// Tokens of the prompt, of all parts where a long text was cut.
    pub prompt_tokens: usize,
    /// In how many parts a text was read that is longer than the model's context.
    pub parts: usize,
    /// The classifier.
    pub model: String,
}

/// A model that assesses risks.
pub struct Guardian {
    name: String,
    language: LanguageGuard,
    head: Option<Head>,
    options: GuardianOptions,
}

impl Guardian {
    /// Loads the model `name`: a path, a name on the hub that was pulled, or `smollm2`.
    ///
    /// # Errors
    /// [`SystemError`] when there is no such model, or the classifier does not fit it.
    pub fn load(name: &str, options: GuardianOptions) -> Result<Self, SystemError> {
        let path = resolve(name, &HubSettings::from_environment())
            .map_err(|error| SystemError::Input(error.to_string()))?;
        let language = LanguageGuard::open(&path, options.version, options.wording.clone())?;
        let head = match &options.classifier {
            Classifier::Labels => None,
            Classifier::Auto if language.is_guardian() => None,
            Classifier::Auto => {
                let head = Head::embedded()?;
                head.check(language.decoder())?;
                Some(head)
            }
            Classifier::Head(path) => {
                let head = Head::open(path)?;
                head.check(language.decoder())?;
                Some(head)
            }
        };
        Ok(Self {
            name: match &head {
                Some(head) => format!("small guard on {}", head.info.base),
                None => name.to_owned(),
            },
            language,
            head,
            options,
        })
    }

    /// What the classifier is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The model below.
    pub fn language(&self) -> &LanguageGuard {
        &self.language
    }

    /// Whether it can assess a risk.
    ///
    /// # Errors
    /// [`SystemError`] where its classifier was not trained for it.
    pub fn covers(&self, risk: &RiskConfig) -> Result<(), SystemError> {
        self.head.as_ref().map_or(Ok(()), |head| head.covers(risk))
    }

    /// Assesses a risk of messages. A text that does not fit the model's context is read in parts: the risk is the largest
    /// of its parts, and for risks that ask what a context supports the smallest.
    ///
    /// # Errors
    /// [`SystemError`].
    pub fn assess(
        &self,
        messages: &[Message],
        risk: &RiskConfig,
    ) -> Result<Assessment, SystemError> {
        if let Some(head) = &self.head {
            head.covers(risk)?;
        }
        self.assess_parts(messages, risk, HALVINGS)
    }

    /// Assesses several risks of the same messages. What their prompts share is computed once.
    ///
    /// # Errors
    /// The first that there is.
    pub fn assess_many(
        &self,
        messages: &[Message],
        risks: &[RiskConfig],
    ) -> Result<Vec<Assessment>, SystemError> {
        risks
            .iter()
            .map(|risk| self.assess(messages, risk))
            .collect()
    }

    /// Features of a prompt, for training.
    ///
    /// # Errors
    /// [`SystemError`].
    pub fn features(
        &self,
        messages: &[Message],
        risk: &RiskConfig,
    ) -> Result<GuardOutput, SystemError> {
        self.language
            .read(&self.language.ask(messages, risk)?, true, false)
    }

    fn assess_parts(
        &self,
        messages: &[Message],
        risk: &RiskConfig,
        halvings: usize,
    ) -> Result<Assessment, SystemError> {
        let asked = self.language.ask(messages, risk)?;
        if halvings == 0 || self.language.fits(&asked) {
            return self.assess_whole(&asked, risk);
        }
        let by_context = matches!(
            risk.group(),
            RiskGroup::Groundedness | RiskGroup::ContextRelevance
        );
        let role = if by_context {
            "context"
        } else {
            asked.subject.name()
        };
        let Some(halves) = halves(messages, role) else {
            return self.assess_whole(&asked, risk);
        };
        let [first, second] = halves;
        let first = self.assess_parts(&first, risk, halvings - 1)?;
        let second = self.assess_parts(&second, risk, halvings - 1)?;
        let (tokens, parts) = (
            first.prompt_tokens + second.prompt_tokens,
            first.parts + second.parts,
        );
        let chosen = match (first.probability > second.probability) == by_context {
            true => second,
            false => first,
        };
        Ok(Assessment {
            prompt_tokens: tokens,
            parts,
            ..chosen
        })
    }

    fn assess_whole(&self, asked: &Asked, risk: &RiskConfig) -> Result<Assessment, SystemError> {
        let generate = self.options.generate && self.head.is_none();
        let reading = self.language.read(asked, self.head.is_some(), generate)?;
        let probability = match &self.head {
            None => reading.probability,
            Some(head) => head
                .probabilities(&[reading.features])
                .pop()
                .unwrap_or(f64::NAN),
        };
        let threshold = self
            .options
            .thresholds
            .get(risk.name())
            .copied()
            .unwrap_or(THRESHOLD);
        Ok(Assessment {
            risk: risk.name().to_owned(),
            definition: asked.definition.clone(),
            judged: asked.subject.name(),
            label: reading.label.unwrap_or_else(|| Label::of(probability)),
            probability,
            threshold,
            flagged: probability > threshold,
            confidence: reading.confidence,
            prompt_tokens: reading.tokens,
            parts: 1,
            model: self.name.clone(),
        })
    }
}

/// The messages twice, each time with half of the longest text of `role`; none where it cannot be cut.
fn halves(messages: &[Message], role: &str) -> Option<[Vec<Message>; 2]> {
    let texts = messages
        .iter()
        .enumerate()
        .filter(|(_, it)| it.role == role);
    let texts = texts.filter_map(|(index, it)| Some((index, it.content.as_str()?)));
    let (index, text) = texts.max_by_key(|(_, text)| text.len())?;
    let middle = text.floor_char_boundary(text.len() / 2);
    let cut = text[..middle]
        .rfind(char::is_whitespace)
        .filter(|cut| *cut > middle / 2)
        .unwrap_or(middle);
    if cut == 0 || cut >= text.len() {
        return None;
    }
    let with = |part: &str| {
        let mut messages = messages.to_vec();
        messages[index].content = Value::String(part.trim().to_owned());
        messages
    };
    Some([with(&text[..cut]), with(&text[cut..])])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_words_and_nothing_is_lost() {
        let messages = [
            Message::new("context", "one two three four"),
            Message::new("user", "?"),
        ];
        let [first, second] = halves(&messages, "context").unwrap();
        assert_eq!(
            (first[0].text(), second[0].text()),
            ("one two".into(), "three four".into())
        );
        assert_eq!(first[1], messages[1]);
        assert!(halves(&[Message::new("user", "é")], "user").is_none());
        assert!(halves(&messages, "assistant").is_none());
    }
}
