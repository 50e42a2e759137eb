//! What a server understands of a request. The interface has one name and many dialects: a setting is either given, or
//! learned from the server's own complaint, and then kept for all further requests.

use super::{Message, Request};

/// How the most tokens of a reply are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenLimit {
    /// `max_tokens`.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`, as models that reason want it.
    MaxCompletionTokens,
    /// Not sent at all.
    None,
}

/// How requests are written for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Name of the token limit.
    pub token_limit: TokenLimit,
    /// Largest token limit that the server accepts.
    pub most_tokens: Option<u32>,
    /// Whether the temperature is sent.
    pub temperature: bool,
    /// Whether the seed is sent.
    pub seed: bool,
    /// Whether a system message stands alone; else it is put before the first user message.
    pub system_role: bool,
    /// Whether neighbouring messages of one role are joined.
    pub join_roles: bool,
    /// Whether the reply comes as server-sent events.
    pub stream: bool,
    /// Header of the key where it is not `authorization: Bearer KEY`, such as Azure's `api-key`.
    pub key_header: Option<String>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            token_limit: TokenLimit::default(),
            most_tokens: None,
            temperature: true,
            seed: true,
            system_role: true,
            join_roles: false,
            stream: false,
            key_header: None,
        }
    }
}

impl Dialect {
    /// What to change after a refusal with `message`; none where the message names nothing that can be changed.
    pub(super) fn after(&self, status: u16, message: &str, request: &Request) -> Option<Self> {
        let text = message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let mut next = self.clone();
        let unknown = says(&[
            "unsupported",
            "not support",
            "unrecognized",
            "unknown",
            "unexpected",
            "extra",
            "not permitted",
            "not allowed",
            "deprecated",
            "does not exist",
            "invalid",
            "only the default",
            "use 'max_completion_tokens'",
        ]);
        if matches!(status, 401 | 403) {
            if says(&["api-key", "subscription key"]) {
                next.key_header = Some("api-key".into());
            }
        } else if says(&["max_completion_tokens", "max_tokens"]) {
            match (number_behind(&text), unknown) {
                // "max_tokens is too large: 16384. This model supports at most 4096 completion tokens"
                (Some(most), _) if most < request.max_tokens => next.most_tokens = Some(most),
                (_, true) => {
                    next.token_limit = match self.token_limit {
                        TokenLimit::MaxTokens
                            if says(&["max_completion_tokens"]) || !says(&["max_completion"]) =>
                        {
                            TokenLimit::MaxCompletionTokens
                        }
                        _ => TokenLimit::None,
                    };
                }
                _ => return None,
            }
        } else if says(&["temperature"]) {
            next.temperature = false;
        } else if says(&["alternate"]) {
            next.join_roles = true;
        } else if says(&["system"]) && says(&["role", "message", "instruction", "prompt"]) {
            next.system_role = false;
        } else if says(&["seed"]) && unknown {
            next.seed = false;
        } else if says(&["stream"]) {
            next.stream = true;
        }
        (next != *self).then_some(next)
    }

    /// The messages as the server takes them.
    pub(super) fn messages(&self, messages: &[Message]) -> Vec<Message> {
        let mut out: Vec<Message> = Vec::with_capacity(messages.len());
        let mut system = String::new();
        for message in messages {
            if !self.system_role && message.role == "system" {
                system.push_str(&message.content);
                system.push_str("\n\n");
                continue;
            }
            let mut message = message.clone();
            if message.role == "user" && !system.is_empty() {
                message.content.insert_str(0, &system);
                system.clear();
            }
            match out.last_mut() {
                Some(last) if self.join_roles && last.role == message.role => {
                    last.content.push_str("\n\n");
                    last.content.push_str(&message.content);
                    last.pictures.extend(message.pictures);
                }
                _ => out.push(message),
            }
        }
        if !system.is_empty() {
            out.push(Message::user(system.trim_end()));
        }
        out
    }
}

/// The number behind "at most", "maximum of" or "less than or equal to".
fn number_behind(text: &str) -> Option<u32> {
    [
        "at most ",
        "maximum of ",
        "less than or equal to ",
        "<= ",
        "maximum value is ",
    ]
    .iter()
    .filter_map(|words| text.split_once(words))
    .find_map(|(_, rest)| {
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest.get(..end)?.parse().ok()
    })
    .filter(|most| *most > 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::endpoint::Prompt;

    fn learned(status: u16, message: &str) -> Option<Dialect> {
        let request = Request {
            prompt: Prompt::Raw(String::new()),
            temperature: 0.2,
            max_tokens: 16_384,
            seed: Some(1),
        };
        Dialect::default().after(status, message, &request)
    }

    #[test]
    fn complaints_of_known_servers_teach_their_dialect() {
        let one = |message| learned(400, message).unwrap();
        let completion = one(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        );
        assert_eq!(completion.token_limit, TokenLimit::MaxCompletionTokens);
        let most = one(
            "max_tokens is too large: 16384. This model supports at most 4096 completion tokens",
        );
        assert_eq!(
            (most.token_limit, most.most_tokens),
            (TokenLimit::MaxTokens, Some(4096))
        );
        assert!(
            !one("Unsupported value: 'temperature' does not support 0.2 with this model.")
                .temperature
        );
        assert!(!one("System role not supported").system_role);
        assert!(one("Conversation roles must alternate user/assistant").join_roles);
        assert!(
            one("This model only support stream mode, please enable the stream parameter").stream
        );
        let azure = learned(401, "Access denied due to missing subscription key").unwrap();
        assert_eq!(azure.key_header.as_deref(), Some("api-key"));
        assert_eq!(learned(400, "maximum context length is 8192 tokens"), None);
        assert_eq!(learned(401, "Incorrect API key provided"), None);
    }

    #[test]
    fn a_system_message_joins_the_first_user_message() {
        let dialect = Dialect {
            system_role: false,
            join_roles: true,
            ..Dialect::default()
        };
        let said = [
            Message::system("s"),
            Message::user("a"),
            Message::user("b"),
            Message::assistant("c"),
        ];
        assert_eq!(
            dialect.messages(&said),
            [Message::user("s\n\na\n\nb"), Message::assistant("c")]
        );
    }
}
