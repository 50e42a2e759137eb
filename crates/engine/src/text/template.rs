//! Chat templates: Jinja, as model hubs render them.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::AhoCorasick;
use minijinja::value::{Kwargs, Serde, Value as Jinja};
use minijinja::{Environment, Error, ErrorKind};
use serde_json::Value;

use super::added::Control;
use super::clock::Moment;
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
        let sign = unused_sign(input)?;
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

/// Characters that mark a user's characters while a template runs: Unicode's noncharacters, then private ones.
const SIGNS: [std::ops::RangeInclusive<char>; 2] =
    ['\u{fdd0}'..='\u{fdef}', '\u{f0000}'..='\u{ffffd}'];

/// Whether `c` may be such a sign.
pub(super) fn is_sign(c: char) -> bool {
    SIGNS.iter().any(|range| range.contains(&c))
}

/// A sign that the input does not use.
fn unused_sign(input: &ChatInput) -> Result<char, TextError> {
    fn collect(value: &Value, used: &mut BTreeSet<char>) {
        match value {
            Value::String(text) => used.extend(text.chars().filter(|&c| is_sign(c))),
            Value::Array(list) => list.iter().for_each(|it| collect(it, used)),
            Value::Object(map) => map.iter().for_each(|(key, it)| {
                used.extend(key.chars().filter(|&c| is_sign(c)));
                collect(it, used);
            }),
            _ => {}
        }
    }
    let mut used = BTreeSet::new();
    input.strings().for_each(|value| collect(value, &mut used));
    let mut signs = SIGNS.into_iter().flatten();
    let free = signs.find(|sign| !used.contains(sign));
    free.ok_or_else(|| TextError::template("the messages use every private character"))
}

/// The control tokens' markers, to be found in what users wrote.
struct Markers<'a> {
    all: Vec<&'a str>,
    whole: AhoCorasick,
    longest: usize,
}

impl<'a> Markers<'a> {
    fn new(tokenizer: &'a Tokenizer) -> Result<Self, TextError> {
        let all: Vec<&str> = tokenizer.control_tokens().map(|(_, text)| text).collect();
        Ok(Self {
            whole: AhoCorasick::new(&all).map_err(TextError::template)?,
            longest: all.iter().map(|marker| marker.len()).max().unwrap_or(0),
            all,
        })
    }

    /// `text` with `sign` after each character with which a marker could begin or end: in whole markers, and in parts of
    /// them at the ends of the text, which other texts may complete. A text without any stays as it is.
    fn mark(&self, text: &str, sign: char) -> String {
        let first = |marker: &str| marker.chars().next().map_or(0, char::len_utf8);
        let mut ends = BTreeSet::new();
        for found in self.whole.find_overlapping_iter(text) {
            ends.extend([found.start() + first(&text[found.range()]), found.end()]);
        }
        let tail = text.len().saturating_sub(self.longest);
        for at in (tail..text.len()).filter(|&at| text.is_char_boundary(at)) {
            let rest = &text[at..];
            if self.all.iter().any(|marker| marker.starts_with(rest)) {
                ends.insert(at + first(rest));
            }
        }
        let head = 1..=self.longest.min(text.len());
        for end in head.filter(|&end| text.is_char_boundary(end)) {
            let begin = &text[..end];
            if self.all.iter().any(|marker| marker.ends_with(begin)) {
                ends.insert(end);
            }
        }
        let mut out = String::with_capacity(text.len() + 4 * ends.len());
        let mut done = 0;
        for end in ends {
            out.push_str(&text[done..end]);
            out.push(sign);
            done = end;
        }
        out + &text[done..]
    }
}

/// The text without signs, and the byte offsets of the characters before them.
fn unmark(text: &str, sign: char) -> (String, Vec<usize>) {
    let mut out = String::with_capacity(text.len());
    let mut user = Vec::new();
    for part in text.split_inclusive(sign) {
        out.push_str(part.strip_suffix(sign).unwrap_or(part));
        if part.ends_with(sign) {
            user.extend(out.char_indices().next_back().map(|(at, _)| at));
        }
    }
    (out, user)
}
