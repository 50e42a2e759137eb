//! A LaTeX tree as text, by pylatexenc's default rules.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;

use super::Error;
use super::alphabet::letter;
use super::parse::Node;
use super::table::{Argument, Body, ENVIRONMENTS, Macro, Replacement};
use crate::omnidocbench::python::strip;

/// Writes trees; remembers what `\title`, `\author` and `\date` said.
#[derive(Default)]
pub struct Renderer {
    fields: HashMap<&'static str, String>,
}

impl Renderer {
    /// The text of some nodes; `in_equation` keeps blanks after macros and drops those between constructs.
    pub fn nodes(&mut self, nodes: &[Node], in_equation: bool) -> Result<String, Error> {
        let mut text = String::new();
        let mut previous: Option<&Node> = None;
        for node in nodes {
            if let (
                Some(Node::Macro {
                    name,
                    blanks,
                    arguments,
                }),
                Node::Chars(_),
            ) = (previous, node)
                && in_equation
                && is_bare(name, arguments)
            {
                text.push_str(blanks);
            }
            text.push_str(&self.node(node, in_equation)?);
            previous = Some(node);
        }
        Ok(text)
    }

    fn node(&mut self, node: &Node, in_equation: bool) -> Result<String, Error> {
        Ok(match node {
            Node::Chars(text) if in_equation && strip(text).is_empty() => String::new(),
            Node::Chars(text) | Node::Comment(text) => text.clone(),
            Node::Special(text) => (*text).to_owned(),
            Node::Group(nodes) => self.nodes(nodes, in_equation)?,
            Node::Macro {
                name, arguments, ..
            } => self.call(name, arguments, in_equation)?,
            Node::Environment { name, body } => self.environment(name, body, in_equation)?,
            Node::Math { display, body } => self.equation(body, *display)?,
        })
    }

    fn argument(
        &mut self,
        argument: Option<&Option<Node>>,
        in_equation: bool,
    ) -> Result<String, Error> {
        match argument.and_then(Option::as_ref) {
            Some(node) => self.node(node, in_equation),
            None => Ok(String::new()),
        }
    }

    fn equation(&mut self, body: &[Node], display: bool) -> Result<String, Error> {
        let text = self.nodes(body, true)?;
        let text = strip(&text);
        Ok(if display {
            format!("\n    {}\n", text.replace('\n', "\n    "))
        } else {
            text.to_owned()
        })
    }

    fn environment(
        &mut self,
        name: &str,
        body: &[Node],
        in_equation: bool,
    ) -> Result<String, Error> {
        match ENVIRONMENTS
            .get(name)
            .map_or(Body::Plain, |known| known.body)
        {
            Body::Plain => self.nodes(body, in_equation),
            Body::Block => Ok(format!("\n{}\n", self.nodes(body, in_equation)?)),
            Body::Equation => self.equation(body, true),
            Body::Matrix => self.matrix(body, in_equation),
        }
    }

    /// `[ a b; c d ]`, cells right-aligned; an empty cell is none, and a matrix without cells is an error.
    fn matrix(&mut self, body: &[Node], in_equation: bool) -> Result<String, Error> {
        let mut rows: Vec<Vec<String>> = Vec::new();
        for row in body.split(|node| matches!(node, Node::Macro { name, .. } if name == "\\")) {
            let mut cells = Vec::new();
            for cell in row.split(|node| matches!(node, Node::Special("   "))) {
                if !cell.is_empty() {
                    cells.push(strip(&self.nodes(cell, in_equation)?).to_owned());
                }
            }
            rows.push(cells);
        }
        let width = rows
            .iter()
            .flatten()
            .map(|cell| cell.chars().count())
            .max()
            .ok_or(Error::EmptyMatrix)?;
        let rows: Vec<String> = rows
            .iter()
            .map(|cells| {
                let cells: Vec<String> =
                    cells.iter().map(|cell| format!("{cell:>width$}")).collect();
                cells.join(" ")
            })
            .collect();
        Ok(format!("[ {} ]", rows.join("; ")))
    }

    fn call(
        &mut self,
        name: &str,
        arguments: &[Option<Node>],
        in_equation: bool,
    ) -> Result<String, Error> {
        let Some(known) = Macro::find(name) else {
            return Ok(String::new());
        };
        Ok(match known.replacement {
            Replacement::Drop => String::new(),
            Replacement::Text(text) => text.to_owned(),
            Replacement::Keep => {
                let mut text = String::new();
                for argument in arguments {
                    text.push_str(&self.argument(Some(argument), in_equation)?);
                }
                text
            }
            Replacement::Style(style) => {
                let text = self.argument(arguments.first(), in_equation)?;
                text.chars().map(|c| letter(c, style)).collect()
            }
            Replacement::Accent(accent) => {
                let text = match arguments.first() {
                    Some(_) => self.argument(arguments.first(), in_equation)?,
                    None => return Ok(accented(' ', accent)),
                };
                strip(&text).chars().map(|c| accented(c, accent)).collect()
            }
            Replacement::Format(format) => {
                let mut texts = Vec::new();
                for k in 0..arguments.len().max(known.arguments.len()) {
                    texts.push(self.argument(arguments.get(k), in_equation)?);
                }
                fill(format, &texts)
            }
            Replacement::Field(field) => {
                let text = self.argument(arguments.first(), in_equation)?;
                self.fields.insert(field, text);
                String::new()
            }
            Replacement::Rule(rule) => self.rule(rule, arguments, in_equation)?,
        })
    }

    fn rule(
        &mut self,
        rule: &str,
        arguments: &[Option<Node>],
        in_equation: bool,
    ) -> Result<String, Error> {
        let third = self.argument(arguments.get(2), in_equation)?;
        Ok(match rule {
            "texorpdfstring" => self.argument(arguments.get(1), in_equation)?,
            "item" => match arguments.first() {
                Some(Some(label)) => format!("\n  {}", self.node(label, in_equation)?),
                _ => "\n  * ".to_owned(),
            },
            "part" => "\n\nPART: \n".to_owned(),
            "chapter" => format!("\n\nCHAPTER: {}\n", third.to_uppercase()),
            "section" => format!("\n\n§ {}\n", third.to_uppercase()),
            "subsection" => format!("\n\n §.§ {third}\n"),
            "subsubsection" => format!("\n\n  §.§.§ {third}\n"),
            "paragraph" => format!("\n\n  {third}\n"),
            "subparagraph" => format!("\n\n    {third}\n"),
            "uebung" => {
                let mut text = format!("\n{}\n", self.argument(arguments.first(), in_equation)?);
                if let Some(Some(label)) = arguments.get(1) {
                    text.push_str(&format!("[{}]\n", self.node(label, in_equation)?));
                }
                text
            }
            "maketitle" => self.title(),
            // pylatexenc knows how to write `\href` but reads no arguments for it.
            "href" => return Err(Error::NoArguments),
            // `\today` would make the text depend on the day.
            _ => String::new(),
        })
    }

    fn title(&self) -> String {
        let field = |name: &str, absent: &str| {
            self.fields
                .get(name)
                .cloned()
                .unwrap_or_else(|| absent.to_owned())
        };
        let title = field("title", "[NO \\title GIVEN]");
        let author = field("author", "[NO \\author GIVEN]");
        let date = field("date", "");
        let length = |text: &str| text.chars().count();
        let width = length(&title)
            .max(4 + length(&author))
            .max(4 + length(&date));
        format!(
            "{title}\n    {author}\n    {date}\n{}\n\n",
            "=".repeat(width)
        )
    }
}

/// Whether a macro took no argument at all.
fn is_bare(name: &str, arguments: &[Option<Node>]) -> bool {
    match Macro::find(name).as_ref().map(|known| &known.arguments[..]) {
        Some([Argument::Optional(_)]) => arguments.iter().all(Option::is_none),
        _ => arguments.is_empty(),
    }
}

fn accented(c: char, accent: char) -> String {
    let c = match c {
        'ı' => 'i',
        'ȷ' => 'j',
        other => other,
    };
    [c, accent].into_iter().nfc().collect()
}

/// Python's `%`: `%s` takes the texts in order and must use them all, `%(2)s` takes the second. Where the texts do not fit, the
/// format stays as it is.
fn fill(format: &str, texts: &[String]) -> String {
    let mut filled = String::new();
    let (mut rest, mut used, mut named) = (format, 0, false);
    while let Some(at) = rest.find('%') {
        filled.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let (text, length) = if rest.starts_with('s') {
            used += 1;
            (texts.get(used - 1), 1)
        } else {
            named = true;
            let number = rest.get(1..2).and_then(|digit| digit.parse::<usize>().ok());
            (number.and_then(|k| texts.get(k.checked_sub(1)?)), 4)
        };
        let Some(text) = text else {
            return format.to_owned();
        };
        filled.push_str(text);
        rest = rest.get(length..).unwrap_or_default();
    }
    if !named && used != texts.len() {
        return format.to_owned();
    }
    filled.push_str(rest);
    filled
}
