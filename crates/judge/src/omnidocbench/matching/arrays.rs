//! Formulas of several lines become one formula a line: arrays of one column (v1.5), many environments (v1.6).

use std::borrow::Cow;

use super::rows::{Row, rows};
use crate::omnidocbench::Protocol;
use crate::omnidocbench::page::Block;

const BEGIN: &str = "\\begin{array}{";
const END: &str = "\\end{array}";

/// The body of the first array of one column, and its first byte.
fn body(formula: &str) -> Option<(&str, usize)> {
    // The first `\begin{array}{…}` that is closed; what it holds then decides.
    let mut from = 0;
    loop {
        let begin = from + formula.get(from..)?.find(BEGIN)?;
        let rest = formula.get(begin + BEGIN.len()..)?;
        let closed = rest.find('}').and_then(|brace| {
            let after = rest.get(brace + 1..)?;
            Some((rest.get(..brace)?, after.get(..after.find(END)?)?, brace))
        });
        if let Some((columns, body, brace)) = closed {
            let start = begin + BEGIN.len() + brace + 1;
            return is_one_column(columns).then_some((body, start));
        }
        from = begin + BEGIN.len();
        // Neither a brace nor an end further on: no later beginning finds one.
        if !rest.contains('}') || !rest.contains(END) {
            return None;
        }
    }
}

/// Whether a column specification says `l`, `c` or `r`, once; rules and blanks do not count.
fn is_one_column(columns: &str) -> bool {
    let mut left = columns.chars().filter(|c| !c.is_whitespace() && *c != '|');
    matches!((left.next(), left.next()), (Some('l' | 'c' | 'r'), None))
}

/// The lines of a formula that is such an array, with the byte where each begins; `None` for any other formula.
fn lines(formula: &str) -> Option<Vec<(&str, usize)>> {
    let (body, start) = body(formula)?;
    let mut lines = Vec::new();
    let mut from = 0;
    for line in body.split("\\\\").map(str::trim) {
        if line.is_empty() {
            continue;
        }
        // Where the line's text is first seen again: the official way to find it.
        let at = from
            + body
                .get(from..)
                .and_then(|rest| rest.find(line))
                .unwrap_or(0);
        from = at + line.len();
        lines.push((line, start + at));
    }
    Some(lines)
}

/// The same as rows, their places counted in characters.
fn array_rows(formula: &str) -> Option<Vec<Row>> {
    let (mut byte, mut characters) = (0, 0);
    let lines = lines(formula)?.into_iter();
    let row = |(line, at): (&str, usize)| {
        characters += formula.get(byte..at).map_or(0, |t| t.chars().count());
        byte = at;
        let length = line.chars().count();
        Row {
            content: line.to_owned(),
            place: [characters, (characters + length).saturating_sub(1)],
        }
    };
    Some(lines.map(row).collect())
}

/// The lines of a formula, where it is taken apart.
fn parts(formula: &str, protocol: Protocol) -> Option<Vec<Row>> {
    match protocol {
        Protocol::V1_0 => None,
        Protocol::V1_5 => array_rows(formula),
        Protocol::V1_6 => rows(formula),
    }
}

/// Annotated formulas, line by line: the lines of the seventh block stand at 7.1, 7.2… (v1.6: 7.001, 7.002…).
pub(super) fn split_gt<'a>(blocks: &[&'a Block], protocol: Protocol) -> Vec<Cow<'a, Block>> {
    let mut out = Vec::with_capacity(blocks.len());
    for &block in blocks {
        let latex = block.latex.as_deref().filter(|_| block.is_formula());
        let parts = latex.and_then(|latex| parts(latex, protocol));
        let Some(parts) = parts else {
            out.push(Cow::Borrowed(block));
            continue;
        };
        let order = block.order.unwrap_or(0.0);
        out.extend(parts.iter().zip(1..).map(|(row, number)| {
            let order = match protocol {
                Protocol::V1_6 => order + f64::from(number) / 1000.0,
                _ => ((order + f64::from(number) / 10.0) * 10.0).round() / 10.0,
            };
            Cow::Owned(Block {
                latex: Some(format!("\\[{}\\]", row.content)),
                order: Some(order),
                ..block.clone()
            })
        }));
    }
    out
}

/// Predicted formulas, line by line, each with its own position.
pub(super) fn split_pred<'a>(blocks: &[&'a Block], protocol: Protocol) -> Vec<Cow<'a, Block>> {
    let all = blocks.iter();
    all.flat_map(|block| split_one(block, protocol)).collect()
}

/// The lines of a predicted formula; any other piece as it is.
pub(super) fn split_one(block: &Block, protocol: Protocol) -> Vec<Cow<'_, Block>> {
    let content = block.content.as_deref().filter(|_| block.is_formula());
    let Some(parts) = content.and_then(|content| parts(content, protocol)) else {
        return vec![Cow::Borrowed(block)];
    };
    let begin = block.position.map_or(0, |at| at[0]);
    let line = |row: Row| {
        Cow::Owned(Block {
            content: Some(format!("\\[{}\\]", row.content)),
            position: Some(row.place.map(|at| begin + at as i64)),
            ..block.clone()
        })
    };
    parts.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formula(content: &str) -> Block {
        Block {
            category: "equation_isolated".into(),
            latex: Some(content.into()),
            content: Some(content.into()),
            order: Some(7.0),
            position: Some([10, 99]),
            ..Block::default()
        }
    }

    #[test]
    fn each_line_of_an_array_is_a_formula_with_its_place() {
        let blocks = [formula(r"é\begin{array}{ l } a \\ \\ bc \end{array}")];
        let blocks: Vec<&Block> = blocks.iter().collect();
        let gt = split_gt(&blocks, Protocol::V1_5);
        let shown: Vec<_> = gt.iter().map(|b| (b.latex.as_deref(), b.order)).collect();
        let line = |text, order| (Some(text), Some(order));
        assert_eq!(shown, [line(r"\[a\]", 7.1), line(r"\[bc\]", 7.2)]);
        let pred = split_pred(&blocks, Protocol::V1_5);
        assert_eq!(pred[0].position, Some([30, 30]));
        assert_eq!(pred[1].position, Some([38, 39]));
    }

    #[test]
    fn matrices_stay_whole() {
        for text in [
            r"\begin{array}{cc} 1 & 0 \end{array}",
            r"\begin{array}{l} a",
            "x",
        ] {
            let whole = [Cow::Owned(formula(text))];
            assert_eq!(split_gt(&[&formula(text)], Protocol::V1_5), whole);
            assert_eq!(split_pred(&[&formula(text)], Protocol::V1_5), whole);
        }
    }
}
