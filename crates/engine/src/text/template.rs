//! Chat templates: Jinja, as model hubs render them.

use std::collections::BTreeMap;

use minijinja::value::{Kwargs, Serde, Value as Jinja};
use minijinja::{Environment, Error, ErrorKind};
use serde_json::Value;

use super::added::Control;
use super::clock::Moment;
use super::marks::{Markers, unmark, unused_sign};
use super::tojson::tojson;
use super::{TextError, Tokenizer};
use base::endpoint::Message;

/// Largest template that is read, in bytes.
const LARGEST: usize = 1 << 20;
/// Work that one rendering may take besides what its input costs: a template that loops for ever ends after about a second.
const FUEL: u64 = 4_000_000;
/// Deepest nesting of the input.
const DEEPEST: usize = 100;

/// What a conversation is rendered from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatInput {
    /// Messages: objects with `role`, `content` and whatever else the template knows (`tool_calls`…).
    pub messages: Vec<Value>,
    /// Tools the model may call, as JSON schemas; null where there are none.
    pub tools: Value,
    /// Documents for answers from sources; null where there are none.
    pub documents: Value,
    /// Whether the header of the assistant's answer follows.
    pub add_generation_prompt: bool,
    /// Further variables of the template, such as `guardian_config` or `enable_thinking`.
    pub extra: serde_json::Map<String, Value>,
    /// What the template believes is now.
    pub now: Moment,
}

impl ChatInput {
    /// A conversation that the model shall answer, now.
    pub fn new(messages: &[Message]) -> Self {
        let message = |it: &Message| serde_json::json!({"role": it.role, "content": it.content});
        Self {
            messages: messages.iter().map(message).collect(),
            add_generation_prompt: true,
            now: Moment::now(),
            ..Self::default()
        }
    }

    fn strings(&self) -> impl Iterator<Item = &Value> {
        let rest = [&self.tools, &self.documents].into_iter();
        self.messages.iter().chain(rest).chain(self.extra.values())
    }

    /// The same input with `change` made to every text in it.
    fn map(&self, change: &impl Fn(&str) -> String) -> Self {
        let map = |value: &Value| map_strings(value, change);
        Self {
            messages: self.messages.iter().map(map).collect(),
            tools: map(&self.tools),
            documents: map(&self.documents),
            extra: self
                .extra
                .iter()
                .map(|(key, value)| (key.clone(), map(value)))
                .collect(),
            ..self.clone()
        }
    }
}

/// A model's chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl std::fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let source = self
            .environment
            .get_template(NAME)
            .map(|it| it.source().len());
        f.debug_struct("ChatTemplate")
            .field("bytes", &source)
            .finish_non_exhaustive()
    }
}

const NAME: &str = "chat_template";

impl ChatTemplate {
    /// The template `source`; `bos` and `eos` are how the begin and end token are written.
    ///
    /// # Errors
    /// [`TextError::Template`] when it is malformed.
    pub fn new(source: &str, bos: &str, eos: &str) -> Result<Self, TextError> {
        if source.len() > LARGEST {
            return Err(TextError::template(format!(
                "it has {} bytes, more than any template ({LARGEST})",
                source.len()
            )));
        }
        let mut environment = Environment::new();
        let syntax = minijinja::syntax::SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(|cause| wrong(&cause))?;
        environment.set_syntax(syntax);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.add_filter(
            "tojson",
            |value: &Jinja, indent: Option<Jinja>, options: Kwargs| {
                tojson(value, indent.as_ref(), options)
            },
        );
        environment.add_function(
            "raise_exception",
            |message: String| -> Result<String, Error> {
                Err(Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment
            .add_template_owned(NAME, without_generation_blocks(source))
            .map_err(|cause| wrong(&cause))?;
        Ok(Self {
            environment,
            bos: bos.to_owned(),
            eos: eos.to_owned(),
        })
    }

    /// The text of a conversation, as the model's authors render it. For display and for servers that encode themselves;
    /// what goes into a model here is [`ChatTemplate::encode`].
    ///
    /// # Errors
    /// [`TextError::Template`] when the template refuses the messages, or does not end.
    pub fn render(&self, input: &ChatInput) -> Result<String, TextError> {
        let mut size = 0;
        for value in input.strings() {
            size += measure(value, 0)?;
        }
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(FUEL + 4 * size));
        let template = environment
            .get_template(NAME)
            .map_err(|cause| wrong(&cause))?;
        let now = input.now;
        let mut context: BTreeMap<String, Jinja> = input
            .extra
            .iter()
            .map(|(key, value)| (key.clone(), Serde(value).into()))
            .collect();
        let given = [
            ("messages", Serde(&input.messages).into()),
            ("tools", Serde(&input.tools).into()),
            ("documents", Serde(&input.documents).into()),
            ("add_generation_prompt", input.add_generation_prompt.into()),
            ("bos_token", self.bos.as_str().into()),
            ("eos_token", self.eos.as_str().into()),
            (
                "strftime_now",
                Jinja::from_function(move |format: String| now.format(&format)),
            ),
        ];
        context.extend(given.map(|(key, value)| (key.to_owned(), value)));
        template
            .render(Jinja::from(context))
            .map_err(|cause| wrong(&cause))
    }

    /// The tokens of a conversation. What the messages, tools and documents say is text: a marker in it is spelled out and
    /// never becomes a control token. Where they hold no marker, these are the tokens of [`ChatTemplate::render`].
    ///
    /// # Errors
    /// As [`ChatTemplate::render`] and [`Tokenizer::encode`].
    pub fn encode(&self, tokenizer: &Tokenizer, input: &ChatInput) -> Result<Vec<u32>, TextError> {
        let markers = Markers::new(tokenizer)?;
        let sign = unused_sign(input.strings())?;
        let marked = input.map(&|text| markers.mark(text, sign));
        let (text, user) = unmark(&self.render(&marked)?, sign);
        tokenizer.encode_controlled(&text, Control::Outside(&user))
    }
}

/// The template's own words where it refuses, else what is wrong and where.
fn wrong(error: &Error) -> TextError {
    let line = error
        .line()
        .map(|line| format!(" (line {line})"))
        .unwrap_or_default();
    let reason = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "it takes too long: does it loop for ever?".to_owned(),
        (ErrorKind::InvalidOperation, Some(detail)) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}{line}"),
        (kind, None) => format!("{kind}{line}"),
    };
    TextError::template(reason)
}

/// `{% generation %}` marks what is trained on, and changes nothing in the text.
fn without_generation_blocks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let end = tag.find("%}").map_or(tag.len(), |end| end + 2);
        let (tag, after) = tag.split_at(end);
        let word = tag
            .trim_start_matches(['{', '%', '-', '+'])
            .trim_end_matches(['}', '%', '-', '+']);
        match word.trim() {
            "generation" => out.push_str(&tag.replace("generation", "if true")),
            "endgeneration" => out.push_str(&tag.replace("endgeneration", "endif")),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out + rest
}

/// Bytes of all texts in `value`.
fn measure(value: &Value, depth: usize) -> Result<u64, TextError> {
    if depth > DEEPEST {
        return Err(TextError::template("the messages are nested too deeply"));
    }
    let inner: Vec<&Value> = match value {
        Value::String(text) => return Ok(text.len() as u64),
        Value::Array(list) => list.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => return Ok(8),
    };
    let mut size = 16;
    for value in inner {
        size += measure(value, depth + 1)?;
    }
    Ok(size)
}

fn map_strings(value: &Value, change: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(text)),
        Value::Array(list) => list.iter().map(|it| map_strings(it, change)).collect(),
        Value::Object(map) => {
            let entries = map.iter();
            entries
                .map(|(key, it)| (change(key), map_strings(it, change)))
                .collect()
        }
        other => other.clone(),
    }
}
