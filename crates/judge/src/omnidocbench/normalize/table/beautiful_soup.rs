//! Tags put in order as BeautifulSoup does on top of Python's parser: nothing is moved or closed early; an end tag closes
//! everything up to its start tag, or is dropped; what is open at the end is closed there.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::tokens::{Attribute, Token, tokens};

/// A step through well-formed HTML.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event<'a> {
    /// An element begins.
    Start(Cow<'a, str>, Vec<Attribute<'a>>),
    /// The innermost open element ends; its name.
    End(Cow<'a, str>),
    /// Text.
    Text(Cow<'a, str>),
    /// A comment, declaration or instruction.
    Other(Cow<'a, str>),
}

/// Elements that have no contents.
const EMPTY: [&str; 24] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "keygen", "link", "menuitem",
    "meta", "param", "source", "track", "wbr", "basefont", "bgsound", "command", "frame", "image",
    "isindex", "nextid", "spacer",
];

/// Whether an element of that name has no contents.
pub(super) fn is_empty(name: &str) -> bool {
    EMPTY.contains(&name)
}

/// Blanks by which BeautifulSoup tells text from mere layout.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\n' | '\t' | '\x0c' | '\r')
}

/// How many of each name.
type Counts<'a> = FxHashMap<Cow<'a, str>, usize>;

#[derive(Default)]
struct Builder<'a> {
    events: Vec<Event<'a>>,
    open: Vec<Cow<'a, str>>,
    /// How many elements of a name are open.
    counts: Counts<'a>,
    text: Cow<'a, str>,
}

/// The steps of an HTML text.
pub(super) fn events(html: &str) -> Vec<Event<'_>> {
    let mut tree = Builder::default();
    // End tags of elements without contents that were closed already.
    let mut closed_early = Counts::default();
    for token in tokens(html) {
        match token {
            Token::Text(text) if tree.text.is_empty() => tree.text = text,
            Token::Text(text) => tree.text.to_mut().push_str(&text),
            Token::Other(text) => {
                tree.flush();
                tree.events.push(Event::Other(text));
            }
            Token::Start {
                name,
                attributes,
                closed,
            } => {
                tree.flush();
                tree.events.push(Event::Start(name.clone(), attributes));
                tree.open.push(name.clone());
                *tree.counts.entry(name.clone()).or_default() += 1;
                if is_empty(&name) && !closed {
                    tree.close(&name);
                    *closed_early.entry(name).or_default() += 1;
                } else if closed {
                    end(&mut tree, &name, &mut closed_early);
                }
            }
            Token::End(name) => end(&mut tree, &name, &mut closed_early),
        }
    }
    tree.flush();
    while let Some(name) = tree.open.pop() {
        tree.events.push(Event::End(name));
    }
    tree.events
}

/// An end tag, or the end of a tag like `<br/>`: after `<br>` the next one is taken for its, even where it is another's.
fn end<'a>(tree: &mut Builder<'a>, name: &str, closed_early: &mut Counts<'a>) {
    match closed_early.get_mut(name).filter(|count| **count > 0) {
        Some(count) => *count -= 1,
        None => tree.close(name),
    }
}

impl Builder<'_> {
    /// Text between tags; mere layout shrinks to one blank or line break.
    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        if text.is_empty() {
            return;
        }
        let kept = || ["pre", "textarea"].iter().any(|name| self.is_open(name));
        let text = match text.chars().all(is_blank) && !kept() {
            true if text.contains('\n') => "\n".into(),
            true => " ".into(),
            false => text,
        };
        self.events.push(Event::Text(text));
    }

    fn is_open(&self, name: &str) -> bool {
        self.counts.get(name).is_some_and(|count| *count > 0)
    }

    /// Ends the innermost element of that name and all in it.
    fn close(&mut self, name: &str) {
        self.flush();
        if !self.is_open(name) {
            return;
        }
        while let Some(open) = self.open.pop() {
            let found = open == name;
            if let Some(count) = self.counts.get_mut(&open) {
                *count -= 1;
            }
            self.events.push(Event::End(open));
            if found {
                return;
            }
        }
    }
}
