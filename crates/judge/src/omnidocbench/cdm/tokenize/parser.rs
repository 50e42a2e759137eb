//! From tokens to a tree, by the grammar of KaTeX's early parser as im2markup loosened it: unknown commands are letters,
//! and environments are few.

use super::TokenizeError;
use super::functions::{Function, function, is_delimiter};
use super::lexer::{Mode, Token, after_blanks, dimension, lex};
use super::tree::Node;

/// How deep groups may nest.
pub(super) const MAX_DEPTH: usize = 100;

/// Commands that are symbols rather than letters, from KaTeX's table.
const SYMBOLS: &str = include_str!("symbols.txt");

pub(super) struct Parser<'a> {
    input: &'a str,
    at: usize,
    mode: Mode,
    next: Token,
    depth: usize,
    symbols: std::collections::HashSet<&'static str>,
    /// Every token that was consumed, each after a blank.
    consumed: String,
}

/// A nucleus: a finished node, or a command that still wants its arguments.
pub(super) enum Nucleus {
    Node(Node),
    Function(String, Function),
}

type Parsed<T> = Result<T, TokenizeError>;

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

    fn consume(&mut self) -> Parsed<()> {
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

    fn expect(&self, text: &str) -> Parsed<()> {
        match self.next.text == text {
            true => Ok(()),
            false => Err(TokenizeError::Expected {
                wanted: text.into(),
                found: self.next.text.clone(),
            }),
        }
    }

    fn take(&mut self, text: &str) -> Parsed<()> {
        self.expect(text)?;
        self.consume()
    }

    /// Atoms up to the end of the group, row or cell.
    fn expression(&mut self, stop_at_infix: bool, stop: Option<&str>) -> Parsed<Vec<Node>> {
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
    fn atom(&mut self) -> Parsed<Option<Node>> {
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

    fn script(&mut self) -> Parsed<Option<Box<Node>>> {
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
    fn implicit_group(&mut self) -> Parsed<Option<Node>> {
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

    fn implicit_function(&mut self, name: String, kind: Function) -> Parsed<Node> {
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

    /// The tokens of a consumed `{name}` become one.
    fn glue_name(&mut self, name: &str) {
        let drop = name.chars().count() * 2 + 2;
        let keep = self.consumed.chars().count().saturating_sub(drop);
        self.consumed = self.consumed.chars().take(keep).collect();
        self.consumed.push_str(name);
        self.consumed.push('}');
    }

    fn environment(&mut self, name: &str) -> Parsed<Node> {
        match name {
            "array" | "tabular" => {
                let columns = self
                    .argument(name)?
                    .ok_or_else(|| TokenizeError::Argument(name.into()))?;
                let columns = columns.members().into_iter().map(alignment).collect();
                Ok(Node::Array {
                    columns: Some(columns),
                    rows: self.rows()?,
                })
            }
            "matrix" | "pmatrix" | "bmatrix" | "Bmatrix" | "vmatrix" | "Vmatrix" | "cases"
            | "picture" => self.matrix(name),
            "aligned" => {
                let mut rows = self.rows()?;
                for row in &mut rows {
                    for cell in row.iter_mut().skip(1).step_by(2) {
                        cell.insert(0, Node::Group(Vec::new()));
                    }
                }
                let widest = rows.iter().map(Vec::len).max().unwrap_or(0);
                let columns = (0..widest)
                    .map(|at| Some(["r", "l"][at % 2].to_string()))
                    .collect();
                Ok(Node::Array {
                    columns: Some(columns),
                    rows,
                })
            }
            _ => Err(TokenizeError::Environment(name.into())),
        }
    }

    fn matrix(&mut self, name: &str) -> Parsed<Node> {
        let cases = matches!(name, "cases" | "picture");
        let columns = cases.then(|| vec![Some("l".to_string()); 2]);
        let array = Node::Array {
            columns,
            rows: self.rows()?,
        };
        let (left, right) = match name {
            "pmatrix" => ("(", ")"),
            "bmatrix" => ("[", "]"),
            "Bmatrix" => ("\\{", "\\}"),
            "vmatrix" => ("|", "|"),
            "Vmatrix" => ("\\Vert", "\\Vert"),
            _ if cases => ("\\{", "."),
            _ => return Ok(array),
        };
        Ok(Node::Fence {
            left: left.into(),
            right: right.into(),
            body: vec![array],
        })
    }

    /// Plain TeX's `\matrix{…}`.
    fn braced_matrix(&mut self, name: &str) -> Parsed<Node> {
        self.take("{")?;
        let matrix = self.matrix(name)?;
        self.take("}")?;
        Ok(matrix)
    }

    fn rows(&mut self) -> Parsed<Vec<Vec<Vec<Node>>>> {
        let mut rows = vec![Vec::new()];
        loop {
            let cell = self.expression(false, None)?;
            if let Some(row) = rows.last_mut() {
                row.push(cell);
            }
            match self.next.text.as_str() {
                "&" => self.consume()?,
                "\\end" | "}" => return Ok(rows),
                "\\\\" | "\\cr" => {
                    self.function()?;
                    rows.push(Vec::new());
                }
                found => {
                    return Err(TokenizeError::Expected {
                        wanted: "& or \\\\ or \\end".into(),
                        found: found.into(),
                    });
                }
            }
        }
    }

    fn function(&mut self) -> Parsed<Option<Node>> {
        match self.group()? {
            None => Ok(None),
            Some(Nucleus::Node(node)) => Ok(Some(node)),
            Some(Nucleus::Function(name, kind)) => self.call(name, kind).map(Some),
        }
    }

    /// Reads the arguments of a command and makes its node.
    fn call(&mut self, name: String, kind: Function) -> Parsed<Node> {
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
    fn argument(&mut self, name: &str) -> Parsed<Option<Node>> {
        self.argument_at(name, 1)
    }

    /// An argument; nothing when a command stands there that does not bind stronger than `greediness`.
    fn argument_at(&mut self, name: &str, greediness: u8) -> Parsed<Option<Node>> {
        match self.group()? {
            None => Err(TokenizeError::Argument(name.into())),
            Some(Nucleus::Node(node)) => Ok(Some(node)),
            Some(Nucleus::Function(name, kind)) if kind.greediness() > greediness => {
                self.call(name, kind).map(Some)
            }
            Some(Nucleus::Function(..)) => Ok(None),
        }
    }

    fn delimiter(&mut self, name: &str) -> Parsed<String> {
        match self.argument(name)? {
            Some(Node::Letter(text) | Node::Symbol(text)) if is_delimiter(&text) => Ok(text),
            _ => Err(TokenizeError::Delimiter(name.into())),
        }
    }

    fn environment_name(&mut self, command: String) -> Parsed<String> {
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
    fn text_group(&mut self, name: &str, greediness: u8) -> Parsed<Node> {
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

    fn colour(&mut self) -> Parsed<()> {
        self.special(Mode::Colour, "{", "}").map(drop)
    }

    /// A length in braces, or in brackets where it is optional.
    fn length(&mut self, optional: bool) -> Parsed<Option<(f64, String)>> {
        let (open, close) = if optional { ("[", "]") } else { ("{", "}") };
        if optional && self.next.text != open {
            return Ok(None);
        }
        let text = self.special(Mode::Size, open, close)?;
        Ok(dimension(&text).map(|(number, unit, _)| (number, unit.to_string())))
    }

    /// The one token between brackets that is read in another mode.
    fn special(&mut self, mode: Mode, open: &str, close: &str) -> Parsed<String> {
        let outer = std::mem::replace(&mut self.mode, mode);
        self.take(open)?;
        let inner = self.next.text.clone();
        self.mode = outer;
        self.consume()?;
        self.take(close)?;
        Ok(inner)
    }

    fn group(&mut self) -> Parsed<Option<Nucleus>> {
        if self.next.text != "{" {
            return self.symbol();
        }
        self.consume()?;
        let body = self.expression(false, None)?;
        self.take("}")?;
        Ok(Some(Nucleus::Node(Node::Group(body))))
    }

    fn optional_group(&mut self) -> Parsed<Option<Node>> {
        if self.next.text != "[" {
            return Ok(None);
        }
        self.consume()?;
        let body = self.expression(false, Some("]"))?;
        self.take("]")?;
        Ok(Some(Node::Group(body)))
    }

    /// One token as a nucleus; nothing at the end or before a brace.
    fn symbol(&mut self) -> Parsed<Option<Nucleus>> {
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

/// The alignment that a column of an array is printed with.
fn alignment(node: Node) -> Option<String> {
    match node {
        Node::Letter(text) | Node::Symbol(text) | Node::Space(text) if "lcr".contains(&text) => {
            Some(text)
        }
        // An empty group counts as an alignment without a letter.
        Node::Group(members) if members.is_empty() => Some(String::new()),
        _ => None,
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
