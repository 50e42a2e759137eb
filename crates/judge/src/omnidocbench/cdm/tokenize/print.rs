//! From the tree back to LaTeX, one blank between tokens.

use std::fmt::Write;

use super::TokenizeError;
use super::functions::font_name;
use super::tree::Node;

/// The nodes as LaTeX. `upright` says that a `\mathrm` is around them, which takes unknown commands apart.
pub(super) fn print_all(
    nodes: &[Node],
    upright: bool,
    out: &mut String,
) -> Result<(), TokenizeError> {
    nodes.iter().try_for_each(|node| print(node, upright, out))
}

fn token(text: &str, out: &mut String) {
    out.push_str(text);
    out.push(' ');
}

fn print(node: &Node, upright: bool, out: &mut String) -> Result<(), TokenizeError> {
    match node {
        Node::Letter(text) if upright => {
            for c in text.chars() {
                match c {
                    ' ' => out.push_str(" ; "),
                    // Half a surrogate pair at a time, which no text file can hold.
                    c if u32::from(c) > 0xffff => out.push_str("\u{fffd} \u{fffd} "),
                    c => {
                        out.push(c);
                        out.push(' ');
                    }
                }
            }
        }
        Node::Letter(text) | Node::Symbol(text) => token(text, out),
        Node::Space(text) => token(if text == " " { "~" } else { text }, out),
        Node::Group(body) => {
            out.push_str("{ ");
            print_all(body, upright, out)?;
            out.push_str("} ");
        }
        Node::Text(body) => {
            out.push_str("\\mathrm { ");
            print_all(body, upright, out)?;
            out.push_str("} ");
        }
        Node::Scripts { base, sub, sup } => {
            let base = base
                .as_ref()
                .ok_or_else(|| TokenizeError::Argument("^".into()))?;
            print(base, upright, out)?;
            for (mark, script) in [("_ ", sub), ("^ ", sup)] {
                if let Some(script) = script {
                    out.push_str(mark);
                    braced(script, upright, out)?;
                }
            }
        }
        Node::Fraction { bar, upper, lower } => {
            out.push_str(if *bar { "\\frac " } else { "\\binom " });
            print(upper, upright, out)?;
            print(lower, upright, out)?;
        }
        Node::Array { columns, rows } => array(columns.as_deref(), rows, upright, out)?,
        Node::Root { index, body } => {
            out.push_str("\\sqrt ");
            if let Some(index) = index {
                out.push_str("[ ");
                match index.as_ref() {
                    Node::Group(members) => print_all(members, upright, out)?,
                    other => print(other, upright, out)?,
                }
                out.push_str("] ");
            }
            print(body, upright, out)?;
        }
        Node::Fence { left, right, body } => {
            let _ = write!(out, "\\left{left} ");
            print_all(body, upright, out)?;
            let _ = write!(out, "\\right{right} ");
        }
        Node::Accent { name, base } => {
            token(name, out);
            braced(base, upright, out)?;
        }
        Node::Operator {
            name, symbol: true, ..
        } => token(name, out),
        Node::Operator { name, limits, .. } => {
            out.push_str(if *limits {
                "\\operatorname* { "
            } else {
                "\\operatorname { "
            });
            name.chars().skip(1).for_each(|c| {
                out.push(c);
                out.push(' ');
            });
            out.push_str("} ");
        }
        Node::Font { name, body } => {
            let name = font_name(name);
            token(name, out);
            print(body, name == "\\mathrm", out)?;
        }
        Node::Sized { name, delimiter } => {
            token(name, out);
            token(delimiter, out);
        }
        Node::Declaration { name, body } if name == "\\rm" => {
            out.push_str("\\mathrm { ");
            print_all(body, true, out)?;
            out.push_str("} ");
        }
        Node::Declaration { name, body } => {
            out.push(' ');
            token(name, out);
            print_all(body, upright, out)?;
        }
        Node::Line { name, body } if name.ends_with("lap") => {
            token(name, out);
            print(body, upright, out)?;
        }
        Node::Line { name, body } => {
            token(name, out);
            out.push_str("{ ");
            print(body, upright, out)?;
            out.push_str("} ");
        }
        Node::Rule { width, height } => {
            let _ = write!(
                out,
                "\\rule {{ {} {}  }} {{ {} {} }} ",
                width.0, width.1, height.0, height.1
            );
        }
        Node::Phantom(body) => {
            out.push_str("\\phantom { ");
            print_all(body, upright, out)?;
            out.push_str("} ");
        }
        Node::Infix { .. } => return Err(TokenizeError::Unprintable("\\over".into())),
        Node::RowEnd => return Err(TokenizeError::Unprintable("\\\\".into())),
        Node::Environment(name) | Node::Unprintable(name) => {
            return Err(TokenizeError::Unprintable(name.clone()));
        }
    }
    Ok(())
}

/// The node in braces of its own unless it is a group.
fn braced(node: &Node, upright: bool, out: &mut String) -> Result<(), TokenizeError> {
    if matches!(node, Node::Group(_)) {
        return print(node, upright, out);
    }
    out.push_str(" { ");
    print(node, upright, out)?;
    out.push_str("} ");
    Ok(())
}

fn array(
    columns: Option<&[Option<String>]>,
    rows: &[Vec<Vec<Node>>],
    upright: bool,
    out: &mut String,
) -> Result<(), TokenizeError> {
    out.push_str("\\begin{array} { ");
    match columns {
        Some(columns) => columns.iter().flatten().for_each(|align| token(align, out)),
        None => (0..rows.first().map_or(0, Vec::len)).for_each(|_| out.push_str("l ")),
    }
    out.push_str("} ");
    for row in rows
        .iter()
        .filter(|row| row.iter().any(|cell| !cell.is_empty()))
    {
        for (at, cell) in row.iter().enumerate() {
            if at > 0 {
                out.push_str("& ");
            }
            out.push_str("{ ");
            print_all(cell, upright, out)?;
            out.push_str("} ");
            if out.ends_with("{ } ") {
                out.truncate(out.len() - 4);
            }
        }
        out.push_str("\\\\ ");
    }
    out.push_str("\\end{array} ");
    Ok(())
}
