//! Commands with arguments, and the arguments themselves.

use super::TokenizeError;
use super::functions::{Function, function, is_delimiter};
use super::lexer::{Mode, after_blanks, dimension, lex};
use super::parser::{Nucleus, Parsed, Parser};
use super::tree::Node;

impl Parser<'_> {
    /// Reads the arguments of a command and makes its node.
    pub(super) fn call(&mut self, name: String, kind: Function) -> Parsed<Node> {
        let wanting =
            |node: Option<Node>| node.ok_or_else(|| TokenizeError::Argument(name.clone()));
        Ok(match kind {
            Function::Root => {
                let index = self.optional_group()?.map(Box::new);
                let body = match self.argument(&name)? {
                    Some(body) => Box::new(body),
                    None => index
                        .clone()
                        .ok_or_else(|| TokenizeError::Argument(name.clone()))?,
                };
                Node::Root { index, body }
            }
            Function::Text => {
                let body = self.text_group(&name, kind.greediness())?;
                Node::Text(body.members())
            }
            Function::Colour => {
                self.colour()?;
                wanting(self.argument_at(&name, kind.greediness())?)?;
                Node::Unprintable(name)
            }
            Function::NamedColour => {
                wanting(self.argument_at(&name, kind.greediness())?)?;
                Node::Unprintable(name)
            }
            Function::Line | Function::Lap => Node::Line {
                body: Box::new(wanting(self.argument(&name)?)?),
                name,
            },
            Function::Rule => {
                self.length(true)?;
                let width = self.length(false)?.ok_or(TokenizeError::Size)?;
                let height = self.length(false)?.ok_or(TokenizeError::Size)?;
                Node::Rule { width, height }
            }
            Function::Logo => Node::Unprintable(name),
            Function::Phantom => Node::Phantom(wanting(self.argument(&name)?)?.members()),
            Function::Operator { limits, symbol } => Node::Operator {
                name,
                limits,
                symbol,
            },
            Function::Fraction { bar } => {
                let upper = Box::new(wanting(self.argument_at(&name, kind.greediness())?)?);
                // A command that cannot stand as the second argument leaves the first one in its place.
                let lower = match self.argument_at(&name, kind.greediness())? {
                    Some(lower) => Box::new(lower),
                    None => upper.clone(),
                };
                Node::Fraction { bar, upper, lower }
            }
            Function::Fence | Function::Sized => {
                let delimiter = self.delimiter(&name)?;
                match kind {
                    Function::Sized => Node::Sized { name, delimiter },
                    _ => Node::Unprintable(name),
                }
            }
            Function::Font => {
                let body = wanting(self.argument_at(&name, kind.greediness())?)?;
                Node::Font {
                    name,
                    body: Box::new(body),
                }
            }
            Function::Accent => Node::Accent {
                base: Box::new(wanting(self.argument(&name)?)?),
                name,
            },
            Function::Infix { bar } => Node::Infix { bar },
            Function::RowEnd => {
                self.length(true)?;
                Node::RowEnd
            }
            Function::Environment => Node::Environment(self.environment_name(name)?),
            Function::Size | Function::Style => return Err(TokenizeError::Argument(name)),
        })
    }

    /// An argument of a command that binds no stronger than others.
    pub(super) fn argument(&mut self, name: &str) -> Parsed<Option<Node>> {
        self.argument_at(name, 1)
    }

    /// An argument; nothing when a command stands there that does not bind stronger than `greediness`.
    pub(super) fn argument_at(&mut self, name: &str, greediness: u8) -> Parsed<Option<Node>> {
        match self.group()? {
            None => Err(TokenizeError::Argument(name.into())),
            Some(Nucleus::Node(node)) => Ok(Some(node)),
            Some(Nucleus::Function(name, kind)) if kind.greediness() > greediness => {
                self.call(name, kind).map(Some)
            }
            Some(Nucleus::Function(..)) => Ok(None),
        }
    }

    pub(super) fn delimiter(&mut self, name: &str) -> Parsed<String> {
        match self.argument(name)? {
            Some(Node::Letter(text) | Node::Symbol(text)) if is_delimiter(&text) => Ok(text),
            _ => Err(TokenizeError::Delimiter(name.into())),
        }
    }

    pub(super) fn environment_name(&mut self, command: String) -> Parsed<String> {
        let Node::Group(letters) = self.text_group(&command, 1)? else {
            return Err(TokenizeError::Argument(command));
        };
        letters
            .into_iter()
            .map(|node| match node {
                Node::Letter(text) | Node::Symbol(text) | Node::Space(text) => Ok(text),
                _ => Err(TokenizeError::Argument(command.clone())),
            })
            .collect()
    }

    /// An argument read as text.
    pub(super) fn text_group(&mut self, name: &str, greediness: u8) -> Parsed<Node> {
        let outer = self.mode;
        self.at = after_blanks(self.input, self.at);
        self.mode = Mode::Text;
        self.next = lex(self.input, self.at, self.mode)?;
        let found = self.group()?;
        self.mode = outer;
        self.next = lex(self.input, self.at, self.mode)?;
        match found {
            Some(Nucleus::Node(node)) => Ok(node),
            Some(Nucleus::Function(inner, kind)) if kind.greediness() > greediness => {
                self.call(inner, kind)
            }
            _ => Err(TokenizeError::Argument(name.into())),
        }
    }

    pub(super) fn colour(&mut self) -> Parsed<()> {
        self.special(Mode::Colour, "{", "}").map(drop)
    }

    /// A length in braces, or in brackets where it is optional.
    pub(super) fn length(&mut self, optional: bool) -> Parsed<Option<(f64, String)>> {
        let (open, close) = if optional { ("[", "]") } else { ("{", "}") };
        if optional && self.next.text != open {
            return Ok(None);
        }
        let text = self.special(Mode::Size, open, close)?;
        Ok(dimension(&text).map(|(number, unit, _)| (number, unit.to_string())))
    }

    /// The one token between brackets that is read in another mode.
    pub(super) fn special(&mut self, mode: Mode, open: &str, close: &str) -> Parsed<String> {
        let outer = std::mem::replace(&mut self.mode, mode);
        self.take(open)?;
        let inner = self.next.text.clone();
        self.mode = outer;
        self.consume()?;
        self.take(close)?;
        Ok(inner)
    }

    pub(super) fn group(&mut self) -> Parsed<Option<Nucleus>> {
        if self.next.text != "{" {
            return self.symbol();
        }
        self.consume()?;
        let body = self.expression(false, None)?;
        self.take("}")?;
        Ok(Some(Nucleus::Node(Node::Group(body))))
    }

    pub(super) fn optional_group(&mut self) -> Parsed<Option<Node>> {
        if self.next.text != "[" {
            return Ok(None);
        }
        self.consume()?;
        let body = self.expression(false, Some("]"))?;
        self.take("]")?;
        Ok(Some(Node::Group(body)))
    }

    /// One token as a nucleus; nothing at the end or before a brace.
    pub(super) fn symbol(&mut self) -> Parsed<Option<Nucleus>> {
        if self.next.is_end() || self.next.text == "{" {
            return Ok(None);
        }
        let text = self.next.text.clone();
        self.consume()?;
        if let Some(kind) = function(&text) {
            return Ok(Some(Nucleus::Function(text, kind)));
        }
        let node = match (self.mode, text.as_str()) {
            (_, "~" | "\\ ") | (Mode::Text, " ") => Node::Space(text),
            (
                Mode::Math,
                "\\quad" | "\\!" | "\\," | "\\:" | "\\;" | "\\enspace" | "\\qquad" | "\\space",
            ) => Node::Space(text),
            (
                Mode::Math,
                "\\#" | "\\&" | "\\$" | "\\%" | "\\_" | "\\|" | "\\{" | "\\}" | "\\(" | "\\)",
            ) => Node::Symbol(text),
            (Mode::Math, known) if self.symbols.contains(known) => Node::Symbol(text),
            _ => Node::Letter(text),
        };
        Ok(Some(Nucleus::Node(node)))
    }
}
