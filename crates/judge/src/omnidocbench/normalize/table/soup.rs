//! Tags put in order as BeautifulSoup does on top of Python's parser: nothing is moved or closed early; an end tag closes
//! everything up to its start tag, or is dropped; what is open at the end is closed there.

use rustc_hash::FxHashMap;

use super::tokens::{Attribute, Token, tokens};

/// A step through well-formed HTML.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// An element begins.
    Start(String, Vec<Attribute>),
    /// The innermost open element ends; its name.
    End(String),
    /// Text.
    Text(String),
    /// A comment, declaration or instruction.
    Other(String),
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

#[derive(Default)]
struct Soup {
    events: Vec<Event>,
    open: Vec<String>,
    /// How many elements of a name are open.
    counts: FxHashMap<String, usize>,
    text: String,
}

/// The steps of an HTML text.
pub(super) fn events(html: &str) -> Vec<Event> {
    let mut soup = Soup::default();
    // End tags of elements without contents that were closed already.
    let mut closed_early: FxHashMap<String, usize> = FxHashMap::default();
    for token in tokens(html) {
        match token {
            Token::Text(text) => soup.text.push_str(&text),
            Token::Other(text) => {
                soup.flush();
                soup.events.push(Event::Other(text));
            }
            Token::Start {
                name,
                attributes,
                closed,
            } => {
                soup.flush();
                soup.events.push(Event::Start(name.clone(), attributes));
                soup.open.push(name.clone());
                *soup.counts.entry(name.clone()).or_default() += 1;
                if closed {
                    soup.close(&name);
                } else if is_empty(&name) {
                    soup.close(&name);
                    *closed_early.entry(name).or_default() += 1;
                }
            }
            Token::End(name) => match closed_early.get_mut(&name).filter(|count| **count > 0) {
                Some(count) => *count -= 1,
                None => soup.close(&name),
            },
        }
    }
    soup.flush();
    while let Some(name) = soup.open.pop() {
        soup.events.push(Event::End(name));
    }
    soup.events
}

impl Soup {
    /// Text between tags; mere layout shrinks to one blank or line break.
    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        if text.is_empty() {
            return;
        }
        let kept = ["pre", "textarea"].iter().any(|name| self.is_open(name));
        self.events
            .push(Event::Text(match text.chars().all(is_blank) && !kept {
                true if text.contains('\n') => "\n".into(),
                true => " ".into(),
                false => text,
            }));
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
