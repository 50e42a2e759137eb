//! LaTeX tokens as a tree, with pylatexenc's tolerance: a piece that cannot be read is nothing, and reading goes on where it
//! stopped.

use super::table::{Argument, ENVIRONMENTS, Macro, Mode};
use super::token::{Reader, Sort, State, Token};
use super::{Error, MAX_DEPTH};

/// A piece of LaTeX.
#[derive(Clone, Debug)]
pub enum Node {
    /// Characters as they are.
    Chars(String),
    /// The blanks after a comment.
    Comment(String),
    /// A group in braces or brackets.
    Group(Vec<Node>),
    /// A macro, the blanks after it, and its arguments.
    Macro {
        name: String,
        blanks: String,
        arguments: Vec<Option<Node>>,
    },
    /// An environment and its body.
    Environment { name: String, body: Vec<Node> },
    /// A special, as its text.
    Special(&'static str),
    /// Maths, and whether it is displayed.
    Math { display: bool, body: Vec<Node> },
}

/// What ends a list of nodes.
#[derive(Clone, Copy)]
enum Stop<'a> {
    End,
    Close(char),
    Environment(&'a str),
    Math(&'static str),
}

/// Reads a whole text; `None` where something closes that was never opened.
pub fn parse(latex: &str) -> Result<Option<Vec<Node>>, Error> {
    let mut parser = Parser {
        reader: Reader {
            source: latex.chars().collect(),
            at: 0,
        },
    };
    let state = State {
        brackets: false,
        closes: None,
    };
    parser.nodes(state, state, Stop::End, 0)
}

struct Parser {
    reader: Reader,
}

impl Parser {
    /// The nodes up to `stop`; `None` where the stop is missing or something closes that was not opened.
    /// `inner` is the state of what the nodes hold.
    fn nodes(
        &mut self,
        state: State,
        inner: State,
        stop: Stop,
        depth: usize,
    ) -> Result<Option<Vec<Node>>, Error> {
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        let mut nodes = Vec::new();
        let mut chars = String::new();
        loop {
            let Some(token) = self.reader.next(state, true)? else {
                let source = &self.reader.source;
                chars.extend(source.get(self.reader.at..).unwrap_or_default());
                self.reader.at = source.len();
                flush(&mut chars, &mut nodes);
                return Ok(matches!(stop, Stop::End).then_some(nodes));
            };
            chars.push_str(&token.space);
            if stops(&token, stop) {
                flush(&mut chars, &mut nodes);
                return Ok(Some(nodes));
            }
            if let Sort::Chars(text) = &token.sort {
                chars.push_str(text);
                continue;
            }
            flush(&mut chars, &mut nodes);
            match token.sort {
                Sort::Chars(_) => {}
                Sort::Close(_) | Sort::End(_) | Sort::Math("\\)" | "\\]") => return Ok(None),
                Sort::Comment(blanks) => nodes.push(Node::Comment(blanks)),
                Sort::Special(text) => nodes.push(Node::Special(text)),
                Sort::Open(open) => {
                    // Brackets count inside brackets only, not inside braces in them.
                    let state = if open == '[' { state } else { inner };
                    nodes.push(self.group(open, state, inner, depth)?);
                }
                Sort::Math(open) => nodes.push(self.math(open, inner, depth)?),
                Sort::Macro(name, blanks) => {
                    let arguments = match Macro::find(&name) {
                        Some(known) => self.arguments(&known.arguments, inner, depth)?,
                        None => Vec::new(),
                    };
                    nodes.push(Node::Macro {
                        name,
                        blanks,
                        arguments,
                    });
                }
                Sort::Begin(name) => nodes.push(self.environment(name, inner, depth)?),
            }
        }
    }

    /// A group whose opening is passed; empty where it does not close.
    fn group(
        &mut self,
        open: char,
        state: State,
        inner: State,
        depth: usize,
    ) -> Result<Node, Error> {
        let close = if open == '[' { ']' } else { '}' };
        let nodes = self.nodes(state, inner, Stop::Close(close), depth + 1)?;
        Ok(Node::Group(nodes.unwrap_or_default()))
    }

    fn math(&mut self, open: &'static str, state: State, depth: usize) -> Result<Node, Error> {
        let close = match open {
            "\\(" => "\\)",
            "\\[" => "\\]",
            other => other,
        };
        let state = State {
            closes: Some(close),
            ..state
        };
        let body = self.nodes(state, state, Stop::Math(close), depth + 1)?;
        Ok(Node::Math {
            display: matches!(open, "$$" | "\\["),
            body: body.unwrap_or_default(),
        })
    }

    fn environment(&mut self, name: String, state: State, depth: usize) -> Result<Node, Error> {
        let known = ENVIRONMENTS.get(name.as_str());
        if let Some(known) = known {
            self.arguments(&known.arguments, state, depth)?;
        }
        let state = match known {
            Some(known) if known.math => State {
                closes: None,
                ..state
            },
            _ => state,
        };
        let body = self.nodes(state, state, Stop::Environment(&name), depth + 1)?;
        Ok(Node::Environment {
            name,
            body: body.unwrap_or_default(),
        })
    }

    fn arguments(
        &mut self,
        wanted: &[Argument],
        state: State,
        depth: usize,
    ) -> Result<Vec<Option<Node>>, Error> {
        let mut read = Vec::with_capacity(wanted.len());
        for argument in wanted {
            read.push(match *argument {
                Argument::Expression(Mode::Same) => self.expression(state, depth)?,
                Argument::Expression(_) => {
                    let state = State {
                        closes: None,
                        ..state
                    };
                    self.expression(state, depth)?
                }
                Argument::Optional(blanks) => self.optional(blanks, state, depth)?,
                Argument::Star => self.star(state)?,
                Argument::Verb => self.verb(),
                Argument::Verbatim(end) => self.verbatim(end),
            });
        }
        Ok(read)
    }

    /// One group, macro, special or character; `None` where something else stands there.
    fn expression(&mut self, state: State, depth: usize) -> Result<Option<Node>, Error> {
        loop {
            // At the end of the text the expression is there but empty.
            let Some(token) = self.reader.next(state, false)? else {
                return Ok(Some(Node::Group(Vec::new())));
            };
            return Ok(match token.sort {
                Sort::Macro(name, blanks) => Some(Node::Macro {
                    name,
                    blanks,
                    arguments: Vec::new(),
                }),
                Sort::Special(text) => Some(Node::Special(text)),
                Sort::Comment(_) => continue,
                Sort::Open(open) => Some(self.group(open, state, state, depth)?),
                Sort::Close(_) => {
                    self.reader.at = token.at;
                    None
                }
                Sort::Chars(text) => Some(Node::Chars(text)),
                Sort::Begin(_) | Sort::End(_) => None,
                // pylatexenc 3.0a30 fails over its own error here.
                Sort::Math(_) => return Err(Error::MathArgument),
            });
        }
    }

    fn optional(
        &mut self,
        blanks: bool,
        state: State,
        depth: usize,
    ) -> Result<Option<Node>, Error> {
        let inside = State {
            brackets: true,
            ..state
        };
        let token = self.reader.peek(inside, true)?;
        match token {
            Some(token) if token.sort == Sort::Open('[') && (blanks || token.space.is_empty()) => {
                self.reader.at = token.end;
                self.group('[', inside, state, depth).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn star(&mut self, state: State) -> Result<Option<Node>, Error> {
        let mut star = None;
        while let Some(token) = self.reader.peek(state, true)?
            && token.sort == Sort::Chars("*".to_owned())
        {
            self.reader.at = token.end;
            star = Some(Node::Chars("*".to_owned()));
        }
        Ok(star)
    }

    /// Between two equal characters; `None`, and nothing passed, where the second is missing.
    fn verb(&mut self) -> Option<Node> {
        let open = self.reader.blanks(self.reader.at);
        let delimiter = *self.reader.source.get(open)?;
        let rest = &self.reader.source[open + 1..];
        let length = rest.iter().position(|&c| c == delimiter)?;
        let text = rest[..length].iter().collect();
        self.reader.at = open + 1 + length + 1;
        Some(Node::Chars(text))
    }

    /// Up to the end of the environment, which is not passed.
    fn verbatim(&mut self, end: &str) -> Option<Node> {
        let end: Vec<char> = end.chars().collect();
        let rest = self.reader.source.get(self.reader.at..)?;
        let length = rest.windows(end.len()).position(|window| window == end)?;
        let text = rest[..length].iter().collect();
        self.reader.at += length;
        Some(Node::Chars(text))
    }
}

fn stops(token: &Token, stop: Stop) -> bool {
    match (&token.sort, stop) {
        (Sort::Close(c), Stop::Close(wanted)) => *c == wanted,
        (Sort::End(name), Stop::Environment(wanted)) => name == wanted,
        (Sort::Math(delimiter), Stop::Math(wanted)) => *delimiter == wanted,
        _ => false,
    }
}

fn flush(chars: &mut String, nodes: &mut Vec<Node>) {
    if !chars.is_empty() {
        nodes.push(Node::Chars(std::mem::take(chars)));
    }
}
