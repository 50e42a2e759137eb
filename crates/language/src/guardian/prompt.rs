//! Prompts of the two published generations: 3.0/3.1 and 3.2 (layouts of the official templates; sentences from a
//! [`Wording`]).

use engine::text::{ChatInput, ChatTemplate, TextError, Tokenizer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::risk::{RiskConfig, RiskGroup};
use super::wording::Wording;
use engine::SystemError;

/// A message: what somebody said, a retrieved context, or the tools that may be called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `user`, `assistant`, `context` or `tools`.
    pub role: String,
    /// A text; JSON for tools and tool calls.
    pub content: Value,
}

impl Message {
    /// A text of `role`.
    pub fn new(role: &str, content: impl Into<String>) -> Self {
        Self {
            role: role.to_owned(),
            content: Value::String(content.into()),
        }
    }

    /// JSON of `role`.
    pub fn json(role: &str, content: Value) -> Self {
        Self {
            role: role.to_owned(),
            content,
        }
    }

    /// The text, or the JSON indented by two spaces.
    pub fn text(&self) -> String {
        match &self.content {
            Value::String(text) => text.clone(),
            other => serde_json::to_string_pretty(other).unwrap_or_default(),
        }
    }

    fn label(&self) -> Result<&'static str, SystemError> {
        Ok(match self.role.as_str() {
            "user" => "User Message: ",
            "assistant" => "Assistant Message: ",
            "context" => "Context: ",
            "tools" => "Tools Available: ",
            other => {
                let other: String = other.chars().take(40).collect();
                return Err(SystemError::Input(format!(
                    "a message has the role `{other}`: roles are user, assistant, context and tools"
                )));
            }
        })
    }
}

/// A generation of prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 3.0 and 3.1: one or two messages.
    V30,
    /// 3.2: a whole conversation, tools among it.
    V32,
}

impl Version {
    /// The generation called `name`.
    pub fn find(name: &str) -> Option<Self> {
        match name {
            "3.0" | "3.1" => Some(Self::V30),
            "3.2" => Some(Self::V32),
            _ => None,
        }
    }

    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::V30 => "3.0",
            Self::V32 => "3.2",
        }
    }

    pub(super) fn block(self) -> [&'static str; 2] {
        match self {
            Self::V30 => ["<start_of_turn>", "<end_of_turn>"],
            Self::V32 => ["<start_of_conversation>", "<end_of_conversation>"],
        }
    }

    pub(super) fn bullet(self) -> &'static str {
        match self {
            Self::V30 => "* ",
            Self::V32 => "- ",
        }
    }

    pub(super) fn subject(self, subject: Subject) -> &'static str {
        match (self, subject) {
            (_, Subject::Context) => "context",
            (Self::V30, Subject::User) => "user message",
            (Self::V30, Subject::Assistant) => "assistant message",
            (Self::V32, Subject::User) => "last user message",
            (Self::V32, Subject::Assistant) => "last assistant message",
        }
    }
}

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The last user message.
    User,
    /// The last assistant message.
    Assistant,
    /// The context.
    Context,
}

impl Subject {
    /// The role of what is judged.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Context => "context",
        }
    }
}

/// Which first sentence a prompt has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    User,
    UserConversation,
    Assistant,
    AssistantConversation,
    Groundedness,
    ContextRelevance,
    AnswerRelevance,
    FunctionCall,
}

/// Which messages go into a prompt, in which order, and what is judged.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) messages: Vec<&'a Message>,
    pub(super) subject: Subject,
    pub(super) purpose: Purpose,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        version: Version,
        messages: &'a [Message],
        risk: &RiskConfig,
    ) -> Result<Self, SystemError> {
        let name = risk.name();
        let last = |role: &str| messages.iter().rev().find(|it| it.role == role);
        let need = |role: &str| {
            last(role).ok_or_else(|| {
                SystemError::Input(format!("`{name}` needs a message of the role `{role}`"))
            })
        };
        for message in messages {
            message.label()?;
        }
        let (purpose, subject, pair) = match risk.group() {
            RiskGroup::Groundedness => (
                Purpose::Groundedness,
                Subject::Assistant,
                [Some(need("context")?), Some(need("assistant")?)],
            ),
            RiskGroup::ContextRelevance => (
                Purpose::ContextRelevance,
                Subject::Context,
                [Some(need("context")?), Some(need("user")?)],
            ),
            RiskGroup::AnswerRelevance => (
                Purpose::AnswerRelevance,
                Subject::Assistant,
                [Some(need("user")?), Some(need("assistant")?)],
            ),
            RiskGroup::FunctionCall if version == Version::V30 => {
                return Err(SystemError::Input(
                    "`function_call` needs prompts of the generation 3.2".into(),
                ));
            }
            RiskGroup::FunctionCall => {
                need("tools")?;
                (
                    Purpose::FunctionCall,
                    Subject::Assistant,
                    [Some(need("user")?), Some(need("assistant")?)],
                )
            }
            group @ (RiskGroup::Harm | RiskGroup::Conversation) => {
                let spoken = |it: &&Message| matches!(it.role.as_str(), "user" | "assistant");
                let Some(judged) = messages.iter().rfind(spoken) else {
                    return Err(SystemError::Input(format!(
                        "`{name}` needs a message of the user or the assistant"
                    )));
                };
                let (user, talk) = (judged.role == "user", group == RiskGroup::Conversation);
                if let RiskConfig::Builtin(risk) = risk
                    && !(if user { risk.prompt } else { risk.answer })
                {
                    return Err(SystemError::Input(format!(
                        "`{name}` is a risk of {}: leave the other out",
                        if user { "answers" } else { "prompts" }
                    )));
                }
                match (user, talk) {
                    (true, false) => (Purpose::User, Subject::User, [Some(judged), None]),
                    (true, true) => (
                        Purpose::UserConversation,
                        Subject::User,
                        [Some(judged), None],
                    ),
                    (false, false) => (
                        Purpose::Assistant,
                        Subject::Assistant,
                        [last("user"), Some(judged)],
                    ),
                    (false, true) => (
                        Purpose::AssistantConversation,
                        Subject::Assistant,
                        [last("user"), Some(judged)],
                    ),
                }
            }
        };
        let messages = match version {
            Version::V30 => pair.into_iter().flatten().collect(),
            Version::V32 => messages.iter().collect(),
        };
        Ok(Self {
            messages,
            subject,
            purpose,
        })
    }
}

/// A piece of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether somebody else wrote it: it is text, whatever it looks like.
    pub content: bool,
    /// Whether it is the last message.
    pub last: bool,
}

/// A prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Its pieces in order.
    pub pieces: Vec<Piece>,
    /// What is judged.
    pub subject: Subject,
    /// The definition in it.
    pub definition: String,
}

impl Prompt {
    /// Renders messages and a risk in the layout of `version`, with the role headers of Granite models.
    ///
    /// # Errors
    /// [`SystemError::Input`] when the messages do not fit the risk.
    pub fn render(
        version: Version,
        messages: &[Message],
        risk: &RiskConfig,
        wording: &Wording,
    ) -> Result<Self, SystemError> {
        let header = |role: &str| format!("<|start_of_role|>{role}<|end_of_role|>");
        let around = [
            header("user"),
            format!("<|end_of_text|>\n{}", header("assistant")),
        ];
        Self::render_between(version, messages, risk, wording, [&around[0], &around[1]])
    }

    /// The same between other headers.
    ///
    /// # Errors
    /// As [`Prompt::render`].
    pub fn render_between(
        version: Version,
        messages: &[Message],
        risk: &RiskConfig,
        wording: &Wording,
        [before, after]: [&str; 2],
    ) -> Result<Self, SystemError> {
        let plan = Plan::new(version, messages, risk)?;
        let definition = wording.definition(risk, plan.subject)?;
        let purpose = wording
            .purposes
            .get(&plan.purpose)
            .map_or("", String::as_str);
        let question = wording
            .questions
            .get(&plan.subject)
            .map_or("", String::as_str);
        let [open, close] = version.block();
        let mut pieces = Vec::new();
        let mut put = |text: String, content: bool, last: bool| {
            pieces.push(Piece {
                text,
                content,
                last,
            });
        };
        put(format!("{before}{purpose}\n\n{open}\n"), false, false);
        for (index, message) in plan.messages.iter().enumerate() {
            put(message.label()?.to_owned(), false, false);
            put(message.text(), true, index + 1 == plan.messages.len());
            put("\n".to_owned(), false, false);
        }
        put(
            format!(
                "{close}\n\n{}\n<start_of_risk_definition>\n{}",
                wording.introduction,
                version.bullet()
            ),
            false,
            false,
        );
        put(definition.clone(), true, false);
        put(
            format!("\n<end_of_risk_definition>\n\n{question}{after}"),
            false,
            false,
        );
        Ok(Self {
            pieces,
            subject: plan.subject,
            definition,
        })
    }

    /// The whole text.
    pub fn text(&self) -> String {
        self.pieces
            .iter()
            .map(|piece| piece.text.as_str())
            .collect()
    }

    /// The tokens. Content is text: a marker in it is spelled out and never becomes a control token.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode(&self, tokenizer: &Tokenizer) -> Result<Vec<u32>, TextError> {
        // The encoder of chat templates knows which text comes from messages; so each prompt is a small template.
        let mut source = String::new();
        let mut contents = Vec::new();
        for piece in &self.pieces {
            if piece.content {
                source.push_str(&format!("{{{{ messages[{}].content }}}}", contents.len()));
                contents.push(serde_json::json!({ "content": piece.text }));
            } else {
                let literal = Value::String(piece.text.clone()).to_string();
                source.push_str(&format!("{{{{ {literal} }}}}"));
            }
        }
        let input = ChatInput {
            messages: contents,
            ..ChatInput::default()
        };
        ChatTemplate::new(&source, "", "")?.encode(tokenizer, &input)
    }

    /// Bytes of the last message in the text.
    pub fn last_message(&self) -> std::ops::Range<usize> {
        let mut at = 0;
        for piece in &self.pieces {
            let end = at + piece.text.len();
            if piece.last {
                return at..end;
            }
            at = end;
        }
        0..0
    }
}
