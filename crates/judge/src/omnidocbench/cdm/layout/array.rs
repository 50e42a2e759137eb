//! Arrays: columns side by side, rows on struts.

use super::LayoutError;
use super::boxes::Bx;
use super::build::{Builder, Built, End};
use super::lex::Tex;
use super::style::Style;

/// `\arraycolsep`.
const COLUMN: f64 = 5.0;
/// Height and depth of a row at least: 0.7 and 0.3 of the distance of lines.
const STRUT: (f64, f64) = (10.15, 4.35);

impl Builder {
    /// The name of an environment. Colours within it, or a command, are what TeX makes no name of, and no page.
    fn environment_name(&mut self) -> Built<String> {
        if self.peek_drawn() == Some(&Tex::Open) {
            let rest = self.rest().iter().skip(1);
            let mut name = rest.take_while(|token| **token != Tex::Close);
            if name.any(|token| matches!(token, Tex::Paint(_) | Tex::Command(_))) {
                return Err(LayoutError::Environment);
            }
        }
        Ok(self.raw_group())
    }

    /// What stands between `\begin{…}` and `\end{…}`.
    pub(super) fn environment(&mut self, style: Style) -> Built<Bx> {
        let name = self.environment_name()?;
        let columns: Vec<char> = match name.as_str() {
            "array" | "tabular" => self
                .raw_group()
                .chars()
                .filter(|c| "lcr".contains(*c))
                .collect(),
            _ => Vec::new(),
        };
        let mut rows: Vec<Vec<Bx>> = vec![Vec::new()];
        loop {
            let cell = self.list(Style::TEXT, End::Cell)?;
            if let Some(row) = rows.last_mut() {
                row.push(cell);
            }
            match self.peek_drawn() {
                Some(Tex::Char('&')) => {
                    self.advance();
                }
                Some(Tex::Command(end)) if end == "end" => {
                    self.advance();
                    self.environment_name()?;
                    break;
                }
                Some(Tex::Command(_)) => {
                    self.advance();
                    rows.push(Vec::new());
                }
                _ => break,
            }
        }
        // A break before the end opens no row.
        if rows.len() > 1
            && rows.last().is_some_and(|row| {
                row.iter()
                    .all(|cell| cell.width == 0.0 && cell.ink.is_empty())
            })
        {
            rows.pop();
        }
        Ok(table(rows, &columns).on_axis(style.axis()))
    }
}

fn table(rows: Vec<Vec<Bx>>, columns: &[char]) -> Bx {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<f64> = (0..count)
        .map(|at| {
            rows.iter()
                .filter_map(|row| row.get(at))
                .map(|cell| cell.width)
                .fold(0.0, f64::max)
        })
        .collect();
    let mut out = Bx::space(widths.iter().map(|width| width + 2.0 * COLUMN).sum());
    let mut y = 0.0;
    for row in rows {
        let height = row.iter().map(|cell| cell.height).fold(STRUT.0, f64::max);
        let depth = row.iter().map(|cell| cell.depth).fold(STRUT.1, f64::max);
        let mut x = 0.0;
        for (at, cell) in row.into_iter().enumerate() {
            let room = widths.get(at).map_or(0.0, |width| width - cell.width);
            let indent = match columns.get(at) {
                Some('l') => 0.0,
                Some('r') => room,
                _ => room / 2.0,
            };
            out.lay(cell, x + COLUMN + indent, y + height);
            x += widths.get(at).map_or(0.0, |width| width + 2.0 * COLUMN);
        }
        y += height + depth;
    }
    (out.height, out.depth) = (0.0, y);
    out
}
