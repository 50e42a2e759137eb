//! Environments: arrays, matrices and what is set like them.

use super::TokenizeError;
use super::parser::{Parsed, Parser};
use super::tree::Node;

impl Parser<'_> {
    /// The tokens of a consumed `{name}` become one.
    pub(super) fn glue_name(&mut self, name: &str) {
        let drop = name.chars().count() * 2 + 2;
        let keep = self.consumed.chars().count().saturating_sub(drop);
        self.consumed = self.consumed.chars().take(keep).collect();
        self.consumed.push_str(name);
        self.consumed.push('}');
    }

    pub(super) fn environment(&mut self, name: &str) -> Parsed<Node> {
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

    pub(super) fn matrix(&mut self, name: &str) -> Parsed<Node> {
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
    pub(super) fn braced_matrix(&mut self, name: &str) -> Parsed<Node> {
        self.take("{")?;
        let matrix = self.matrix(name)?;
        self.take("}")?;
        Ok(matrix)
    }

    pub(super) fn rows(&mut self) -> Parsed<Vec<Vec<Vec<Node>>>> {
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
