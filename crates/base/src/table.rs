//! Tables as text: aligned columns, Markdown, CSV, LaTeX; and text within HTML.

/// A table: heads and cells, the first column with the names of the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// A head for each column.
    pub heads: Vec<String>,
    /// Rows with a cell for each column.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Of heads, and rows with as many cells.
    pub fn new<const N: usize>(
        heads: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> Self {
        Self {
            heads: heads.map(str::to_owned).to_vec(),
            rows: rows.into_iter().map(Vec::from).collect(),
        }
    }

    /// Columns two blanks apart, all but the first flush right.
    pub fn aligned(&self) -> String {
        let lines = || std::iter::once(&self.heads).chain(&self.rows);
        let width = |at: usize| {
            let cells = lines().filter_map(|line| line.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let line = |line: &Vec<String>| {
            let padded = line.iter().zip(&widths).enumerate();
            let padded = padded.map(|(at, (cell, &width))| match at {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            padded.collect::<Vec<_>>().join("  ")
        };
        lines().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Comma-separated values.
    pub fn csv(&self) -> String {
        self.lines("", ",", "", |cell| match cell.contains([',', '"', '\n']) {
            true => format!("\"{}\"", cell.replace('"', "\"\"")),
            false => cell.to_owned(),
        })
        .join("\n")
    }

    /// The body of a LaTeX table.
    pub fn latex(&self) -> String {
        self.lines("", " & ", " \\\\", |cell| {
            let mut out = String::new();
            for c in cell.chars() {
                match c {
                    '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
                    '\\' => out.push_str("\\textbackslash{}"),
                    '~' => out.push_str("\\textasciitilde{}"),
                    '^' => out.push_str("\\textasciicircum{}"),
                    _ => out.push(c),
                }
            }
            out
        })
        .join("\n")
    }

    /// Markdown; `flush_right` says how all columns but the first are set.
    pub fn markdown(&self, flush_right: bool) -> String {
        let mut lines = self.lines("| ", " | ", " |", |cell| {
            cell.replace('|', "\\|").replace('\n', " ")
        });
        if let Some(heads) = lines.first_mut() {
            *heads = heads.replace("|  |", "| |");
        }
        let mark = if flush_right { " ---: |" } else { " --- |" };
        let others = self.heads.len().saturating_sub(1);
        lines.insert(1, format!("| --- |{}", mark.repeat(others)));
        lines.join("\n")
    }

    fn lines(
        &self,
        begin: &str,
        between: &str,
        end: &str,
        cell: impl Fn(&str) -> String,
    ) -> Vec<String> {
        let line = |cells: &Vec<String>| {
            let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
            format!("{begin}{}{end}", cells.join(between))
        };
        let lines = std::iter::once(&self.heads).chain(&self.rows);
        lines.map(line).collect()
    }
}

/// Text that is safe inside HTML, also in quoted attributes.
pub fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_holds_all_cells_and_escapes_its_own_signs() {
        let rows = [["a_b", "1|2"], ["long name", "3"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        let table = Table::new(["", "R&D, \"x\""], rows);
        assert_eq!(table.csv(), ",\"R&D, \"\"x\"\"\"\na_b,1|2\nlong name,3");
        assert_eq!(
            table.latex(),
            " & R\\&D, \"x\" \\\\\na\\_b & 1|2 \\\\\nlong name & 3 \\\\"
        );
        assert_eq!(
            table.markdown(true),
            "| | R&D, \"x\" |\n| --- | ---: |\n| a_b | 1\\|2 |\n| long name | 3 |"
        );
        assert_eq!(
            table.aligned(),
            "           R&D, \"x\"\na_b             1|2\nlong name         3"
        );
        assert_eq!(
            escape_html("<a b='\"&'>"),
            "&lt;a b=&#39;&quot;&amp;&#39;&gt;"
        );
    }
}
