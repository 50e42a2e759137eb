//! From tokens to a tree, by libxml2's rules.

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, State, Tokenizer};

use super::HtmlParser;
use super::older::Reader;
use super::rules;
use super::tree::{Element, Tree};

/// How many elements may be open at a time; where one more would be, the document ends there.
pub const DEPTH: usize = 256;

/// Bytes of a tag's or an attribute's name that count.
pub(super) const NAME: usize = 100;

/// Reads a document as lxml does on top of `parser`. Never fails: what cannot be understood is dropped.
pub fn parse(text: &str, parser: HtmlParser) -> Tree {
    let mut builder = Builder::default();
    if parser == HtmlParser::Libxml2_2_9 {
        Reader::new(text).read(&mut builder);
        // What stands before a colon is taken for a name space when all is read.
        for element in &mut builder.tree.elements {
            if let Some((_, name)) = element
                .name
                .split_once(':')
                .filter(|(_, name)| !name.is_empty())
            {
                element.name = name.to_owned();
            }
        }
        return builder.tree;
    }
    let mut tokens = Tokenizer::new_with_emitter(text, CallbackEmitter::new(reader()));
    while let Some(Ok(token)) = tokens.next() {
        match token {
            Token::Start(start) => {
                if let Some(state) = builder.start(start) {
                    tokens.set_state(state);
                }
            }
            Token::End(name) => builder.end(&name),
            Token::Text(text) => builder.text(&text),
        }
        if builder.halted {
            break;
        }
    }
    builder.tree
}

/// What a document is made of, as far as it matters.
enum Token {
    Start(Start),
    End(String),
    Text(String),
}

/// A start tag.
#[derive(Default)]
pub(super) struct Start {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub closed: bool,
}

/// Gathers the tokenizer's events to tokens.
fn reader() -> impl FnMut(CallbackEvent<'_>, Span<()>) -> Option<Token> {
    let mut tag = Start::default();
    move |event, _| match event {
        CallbackEvent::OpenStartTag { name } => {
            tag = Start {
                name: clip(name),
                ..Start::default()
            };
            None
        }
        CallbackEvent::AttributeName { name } => {
            tag.attributes.push((clip(name), String::new()));
            None
        }
        CallbackEvent::AttributeValue { value } => {
            if let Some(last) = tag.attributes.last_mut() {
                last.1.push_str(&text_of(value));
            }
            None
        }
        CallbackEvent::CloseStartTag { self_closing } => {
            let mut tag = std::mem::take(&mut tag);
            tag.closed = self_closing;
            tag.attributes.sort_by(|a, b| a.0.cmp(&b.0));
            tag.attributes.dedup_by(|later, first| later.0 == first.0);
            Some(Token::Start(tag))
        }
        CallbackEvent::EndTag { name } => {
            // Attributes of end tags came before it and are nobody's.
            tag = Start::default();
            Some(Token::End(clip(name)))
        }
        CallbackEvent::String { value } => Some(Token::Text(text_of(value))),
        CallbackEvent::Comment { .. } | CallbackEvent::Doctype { .. } | CallbackEvent::Error(_) => {
            None
        }
    }
}

fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.contains(&0) => text.to_owned(),
        _ => String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}"),
    }
}

/// A name, as much as libxml2's buffer holds of it.
fn clip(name: &[u8]) -> String {
    let name = text_of(name);
    if name.len() <= NAME {
        return name;
    }
    let mut kept = String::with_capacity(NAME);
    for c in name.chars() {
        if kept.len() + c.len_utf8() <= NAME {
            kept.push(c);
        }
    }
    kept
}

/// White space of HTML.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

/// A tree that grows.
#[derive(Default)]
pub(super) struct Builder {
    tree: Tree,
    /// Open elements, the root first.
    open: Vec<usize>,
    /// Whether there was a head, and a body.
    head: bool,
    body: bool,
    /// Start tags `html`, `head` and `body` that were dropped; as many of their end tags are dropped too.
    dropped: usize,
    /// Whether the document ended because too much was open.
    pub halted: bool,
}

impl Builder {
    /// Takes in a start tag; returns how what follows is to be read, if not as usual.
    pub fn start(&mut self, tag: Start) -> Option<State> {
        self.make_room(&tag.name);
        self.imply(&tag.name);
        let misplaced = match tag.name.as_str() {
            "html" => usize::from(!self.open.is_empty()),
            "head" => usize::from(self.open.len() != 1),
            "body" => self.open_names().filter(|&name| name == "body").count(),
            _ => 0,
        };
        if misplaced == 0 {
            self.push(tag.name, tag.attributes);
        }
        self.dropped += misplaced;
        // Also after a dropped tag these look at whatever is open now: libxml2's slip, kept.
        let current = self.current()?;
        let (empty, reading) = (rules::is_empty(current), rules::reading(current));
        if tag.closed || empty {
            self.open.pop();
            return None;
        }
        reading
    }

    /// Takes in an end tag.
    pub fn end(&mut self, name: &str) {
        if self.dropped > 0 && matches!(name, "html" | "head" | "body") {
            self.dropped -= 1;
            return;
        }
        let Some(at) = self.open_names().position(|open| open == name) else {
            return;
        };
        // Counted from the innermost; nothing on the way may outrank the tag.
        let rank = rules::rank(name);
        if self
            .open_names()
            .take(at)
            .any(|open| rules::rank(open) > rank)
        {
            return;
        }
        self.open.truncate(self.open.len() - at - 1);
    }

    /// Takes in text with its references resolved.
    fn text(&mut self, text: &str) {
        let mut rest = text;
        if matches!(self.current(), None | Some("html" | "head")) {
            rest = text.trim_start_matches(is_blank);
            self.append(&text[..text.len() - rest.len()]);
            if rest.is_empty() {
                return;
            }
            if self.current() == Some("head") {
                self.make_room("p");
            }
            self.imply("p");
        }
        self.append(rest);
    }

    /// Takes in text as libxml2 2.9 does, which puts it into a paragraph where it may not stand.
    pub fn paragraph(&mut self, text: &str) {
        if matches!(self.current(), None | Some("html" | "head")) {
            self.make_room("p");
            self.imply("p");
            self.push("p".into(), Vec::new());
        }
        self.append(text);
    }

    /// Ends the innermost element.
    pub fn pop(&mut self) {
        self.open.pop();
    }

    /// Ends the open elements that cannot hold `new`.
    fn make_room(&mut self, new: &str) {
        while self.current().is_some_and(|old| rules::closes(new, old)) {
            self.open.pop();
        }
    }

    /// Opens what must be around `new`.
    fn imply(&mut self, new: &str) {
        if new == "html" {
            return;
        }
        if self.open.is_empty() {
            self.push("html".into(), Vec::new());
        }
        if matches!(new, "body" | "head") {
            return;
        }
        if self.open.len() <= 1 && rules::goes_into_head(new) {
            if !self.head && !self.body {
                self.push("head".into(), Vec::new());
            }
        } else if !matches!(new, "noframes" | "frame" | "frameset")
            && !self.body
            && !self.open_names().any(|name| name == "head")
        {
            self.push("body".into(), Vec::new());
        }
    }

    fn push(&mut self, name: String, attributes: Vec<(String, String)>) {
        if self.open.len() >= DEPTH {
            self.halted = true;
            return;
        }
        self.head |= name == "head";
        self.body |= name == "body";
        let index = self.tree.elements.len();
        let siblings = match self.open.last() {
            Some(&parent) => self
                .tree
                .elements
                .get_mut(parent)
                .map(|found| &mut found.children),
            None => Some(&mut self.tree.roots),
        };
        if let Some(siblings) = siblings {
            siblings.push(index);
        }
        self.tree.elements.push(Element {
            name,
            attributes,
            ..Element::default()
        });
        self.open.push(index);
    }

    /// Text into the innermost element.
    pub fn append(&mut self, text: &str) {
        let Some(&parent) = self.open.last() else {
            return;
        };
        let last = self
            .tree
            .get(parent)
            .and_then(|found| found.children.last().copied());
        if let Some(element) = self.tree.elements.get_mut(last.unwrap_or(parent)) {
            let place = match last {
                Some(_) => &mut element.tail,
                None => &mut element.text,
            };
            place.push_str(text);
        }
    }

    /// Tags of the open elements, the innermost first.
    fn open_names(&self) -> impl Iterator<Item = &str> {
        let open = self.open.iter().rev();
        open.filter_map(|&index| self.tree.get(index).map(|found| found.name.as_str()))
    }

    /// The innermost open element.
    pub fn current(&self) -> Option<&str> {
        self.open_names().next()
    }
}
