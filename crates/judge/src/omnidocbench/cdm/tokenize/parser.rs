//! From tokens to a tree, by the grammar of KaTeX's early parser as im2markup loosened it: unknown commands are letters,
//! and environments are few.

use super::TokenizeError;
use super::functions::Function;
use super::lexer::{Mode, Token, lex};
use super::tree::Node;

/// How deep groups may nest.
pub(super) const MAX_DEPTH: usize = 100;

/// Commands that are symbols rather than letters, from KaTeX's table.
const SYMBOLS: &str = include_str!("symbols.txt");

pub(super) struct Parser<'a> {
    pub(super) input: &'a str,
    pub(super) at: usize,
    pub(super) mode: Mode,
    pub(super) next: Token,
    pub(super) depth: usize,
    pub(super) symbols: std::collections::HashSet<&'static str>,
    /// Every token that was consumed, each after a blank.
    pub(super) consumed: String,
}

/// A nucleus: a finished node, or a command that still wants its arguments.
pub(super) enum Nucleus {
    Node(Node),
    Function(String, Function),
}

pub(super) type Parsed<T> = Result<T, TokenizeError>;

impl<'a> Parser<'a> {
    pub(super) fn new(input: &'a str) -> Parsed<Self> {
        Ok(Self {
            input,
            at: 0,
            mode: Mode::Math,
            next: lex(input, 0, Mode::Math)?,
            depth: 0,
            symbols: SYMBOLS.split_whitespace().collect(),
            consumed: String::new(),
        })
    }

    /// The whole input, and the tokens it was read as.
    pub(super) fn parse(mut self) -> Parsed<(Vec<Node>, String)> {
        let body = self.expression(false, None)?;
        match self.next.is_end() {
            true => Ok((body, self.consumed)),
            false => Err(TokenizeError::Expected {
                wanted: "the end".into(),
                found: self.next.text,
            }),
        }
    }

    pub(super) fn consume(&mut self) -> Parsed<()> {
        self.at = self.next.end;
        self.consumed.push(' ');
        self.consumed.push_str(if self.next.is_end() {
            "EOF"
        } else {
            &self.next.text
        });
        self.next = lex(self.input, self.at, self.mode)?;
        Ok(())
    }

    pub(super) fn expect(&self, text: &str) -> Parsed<()> {
        match self.next.text == text {
            true => Ok(()),
            false => Err(TokenizeError::Expected {
                wanted: text.into(),
                found: self.next.text.clone(),
            }),
        }
    }

    pub(super) fn take(&mut self, text: &str) -> Parsed<()> {
        self.expect(text)?;
        self.consume()
    }

    /// Atoms up to the end of the group, row or cell.
    pub(super) fn expression(
        &mut self,
        stop_at_infix: bool,
        stop: Option<&str>,
    ) -> Parsed<Vec<Node>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(TokenizeError::Depth);
        }
        let mut body = Vec::new();
        loop {
            if matches!(
                self.next.text.as_str(),
                "}" | "\\end" | "\\right" | "&" | "\\\\" | "\\cr"
            ) || stop == Some(self.next.text.as_str())
            {
                break;
            }
            let (at, next) = (self.at, self.next.clone());
            let Some(atom) = self.atom()? else { break };
            if stop_at_infix && matches!(atom, Node::Infix { .. }) {
                (self.at, self.next) = (at, next);
                break;
            }
            body.push(atom);
        }
        self.depth -= 1;
        fraction_of_infix(body)
    }

    /// A nucleus with its scripts; nothing at the end of the input.
    pub(super) fn atom(&mut self) -> Parsed<Option<Node>> {
        let mut base = self.implicit_group()?;
        if self.mode == Mode::Text {
            return Ok(base);
        }
        let (mut sub, mut sup) = (None, None);
        loop {
            match self.next.text.as_str() {
                limits @ ("\\limits" | "\\nolimits") => {
                    let above = limits == "\\limits";
                    match &mut base {
                        Some(Node::Operator { limits, .. }) => *limits = above,
                        _ => return Err(TokenizeError::Limits),
                    }
                    self.consume()?;
                }
                "^" => sup = self.script()?,
                "_" => sub = self.script()?,
                "'" => {
                    let mut primes = Vec::new();
                    while self.next.text == "'" {
                        primes.push(Node::Symbol("\\prime".into()));
                        self.consume()?;
                    }
                    sup = Some(Box::new(Node::Group(primes)));
                }
                _ => break,
            }
        }
        if sub.is_none() && sup.is_none() {
            return Ok(base);
        }
        Ok(Some(Node::Scripts {
            base: base.map(Box::new),
            sub,
            sup,
        }))
    }

    pub(super) fn script(&mut self) -> Parsed<Option<Box<Node>>> {
        self.consume()?;
        match self.group()? {
            None => Ok(None),
            Some(Nucleus::Node(node)) => Ok(Some(Box::new(node))),
            Some(Nucleus::Function(name, kind)) if kind.greediness() > 1 => {
                Ok(Some(Box::new(self.call(name, kind)?)))
            }
            Some(Nucleus::Function(name, _)) => Err(TokenizeError::Argument(name)),
        }
    }

    /// A group that reaches to the end of what it stands in, or a plain nucleus.
    pub(super) fn implicit_group(&mut self) -> Parsed<Option<Node>> {
        let Some(start) = self.symbol()? else {
            return self.function();
        };
        match start {
            Nucleus::Function(name, kind) => self.implicit_function(name, kind).map(Some),
            Nucleus::Node(Node::Letter(name)) if name == "\\matrix" || name == "\\pmatrix" => {
                self.braced_matrix(&name[1..]).map(Some)
            }
            Nucleus::Node(Node::Symbol(name)) if name == "\\cases" => {
                self.braced_matrix("cases").map(Some)
            }
            Nucleus::Node(node) => Ok(Some(node)),
        }
    }

    pub(super) fn implicit_function(&mut self, name: String, kind: Function) -> Parsed<Node> {
        match kind {
            Function::Fence if name == "\\left" => {
                let left = self.delimiter(&name)?;
                let body = self.expression(false, None)?;
                self.take("\\right")?;
                let right = self.delimiter("\\right")?;
                Ok(Node::Fence { left, right, body })
            }
            Function::Environment if name == "\\begin" => {
                let name = self.environment_name("\\begin".into())?;
                self.glue_name(&name);
                let result = self.environment(&name)?;
                self.take("\\end")?;
                let end = self.environment_name("\\end".into())?;
                self.glue_name(&name);
                match end == name {
                    true => Ok(result),
                    false => Err(TokenizeError::Expected {
                        wanted: format!("\\end{{{name}}}"),
                        found: format!("\\end{{{end}}}"),
                    }),
                }
            }
            Function::Size => Ok(Node::Declaration {
                name,
                body: self.expression(false, None)?,
            }),
            Function::Style => Ok(Node::Declaration {
                name,
                body: self.expression(true, None)?,
            }),
            _ => self.call(name, kind),
        }
    }

    pub(super) fn function(&mut self) -> Parsed<Option<Node>> {
        match self.group()? {
            None => Ok(None),
            Some(Nucleus::Node(node)) => Ok(Some(node)),
            Some(Nucleus::Function(name, kind)) => self.call(name, kind).map(Some),
        }
    }
}

/// A body with `\over` in it becomes one fraction.
fn fraction_of_infix(mut body: Vec<Node>) -> Parsed<Vec<Node>> {
    let mut places = body.iter().enumerate().filter_map(|(at, node)| match node {
        Node::Infix { bar } => Some((at, *bar)),
        _ => None,
    });
    let Some((at, bar)) = places.next() else {
        return Ok(body);
    };
    if places.next().is_some() {
        return Err(TokenizeError::TwoInfix);
    }
    let lower = body.split_off(at + 1);
    body.truncate(at);
    Ok(vec![Node::Fraction {
        bar,
        upper: Box::new(one(body)),
        lower: Box::new(one(lower)),
    }])
}

fn one(mut body: Vec<Node>) -> Node {
    match body.as_mut_slice() {
        [Node::Group(_)] => body.swap_remove(0),
        _ => Node::Group(body),
    }
}
