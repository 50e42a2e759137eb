//! LaTeX tables as HTML tables, for parsers that write LaTeX. The official tool of v1.5 gives these no score; the one of
//! v1.0 passed them to a converter that had to be installed.

mod cell;
mod scan;

use cell::Cell;
use scan::{bodies, rows};

/// Most columns or rows that a cell may span, as in HTML.
const MOST: usize = 1000;

/// The tabulars of a piece of LaTeX as one HTML table; `None` where no tabular has a cell.
///
/// Rows end at `\\`, cells at `&`, outside of groups and inner environments. `\multicolumn` and `\multirow` become spans,
/// and the empty cells that `\multirow` needs below itself go. Rules, widths and colours go; text loses its commands as in
/// running text, formulas stay as they are between dollars.
pub fn latex_table_to_html(latex: &str) -> Option<String> {
    let latex = without_comments(latex);
    let mut grid = Grid::default();
    for body in bodies(&latex) {
        grid.free.clear();
        for row in rows(body) {
            grid.add(&row);
        }
    }
    grid.html()
}

/// Without comments, and without the line ends that they swallow.
fn without_comments(latex: &str) -> String {
    let mut kept = String::with_capacity(latex.len());
    let mut chars = latex.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                kept.push(c);
                kept.extend(chars.next());
            }
            '%' => {
                chars.by_ref().take_while(|c| *c != '\n').for_each(drop);
            }
            _ => kept.push(c),
        }
    }
    kept
}

/// Cells as HTML has them.
#[derive(Default)]
struct Grid {
    rows: Vec<Vec<Cell>>,
    /// For each column, how many more rows a cell above reaches down to.
    free: Vec<usize>,
}

impl Grid {
    fn add(&mut self, row: &[&str]) {
        let mut cells = Vec::new();
        let mut column = 0;
        let covered = self.free.clone();
        self.free
            .iter_mut()
            .for_each(|rows| *rows = rows.saturating_sub(1));
        for source in row {
            let mut cell = Cell::read(source);
            cell.column = column;
            let below = covered.get(column).is_some_and(|rows| *rows > 0);
            column += cell.columns;
            if below && cell.text.is_empty() {
                continue;
            }
            if cell.upwards {
                self.raise(&mut cell);
            }
            if cell.rows > 1 {
                let end = column.min(MOST);
                if self.free.len() < end {
                    self.free.resize(end, 0);
                }
                self.free[cell.column.min(end)..end].fill(cell.rows - 1);
            }
            cells.push(cell);
        }
        self.rows.push(cells);
    }

    /// `\multirow{-n}` stands in the last of its rows: it goes to the first one, where an empty cell waits for it.
    fn raise(&mut self, cell: &mut Cell) {
        let rows = std::mem::replace(&mut cell.rows, 1);
        let Some(top) = (self.rows.len() + 1).checked_sub(rows) else {
            return;
        };
        let at = |row: &[Cell]| {
            row.iter()
                .position(|other| other.column == cell.column && other.text.is_empty())
        };
        let places: Vec<Option<usize>> = self.rows[top..].iter().map(|row| at(row)).collect();
        if places.iter().any(Option::is_none) {
            return;
        }
        for (row, place) in self.rows[top..].iter_mut().zip(places).skip(1) {
            if let Some(place) = place {
                row.remove(place);
            }
        }
        let first = self
            .rows
            .get_mut(top)
            .and_then(|row| row.iter_mut().find(|other| other.column == cell.column));
        if let Some(first) = first {
            first.text = std::mem::take(&mut cell.text);
            (first.rows, first.columns) = (rows, cell.columns);
            cell.gone = true;
        }
    }

    fn html(&self) -> Option<String> {
        let mut out = String::from("<table>");
        let mut any = false;
        for row in &self.rows {
            out.push_str("<tr>");
            for cell in row.iter().filter(|cell| !cell.gone) {
                any = true;
                cell.write(&mut out);
            }
            out.push_str("</tr>");
        }
        out.push_str("</table>");
        any.then_some(out)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::latex_table_to_html;

    fn html(latex: &str) -> String {
        latex_table_to_html(latex).unwrap_or_default()
    }

    #[test]
    fn rows_and_cells_are_found() {
        let latex = "\\begin{table}[h]\\caption{A & b \\\\}\\begin{tabular}{l|c}\n\\toprule % a & b\nName & Share\\\\[2pt]\n\
            \\cmidrule(lr){1-2} \\textbf{A \\& B} & 5\\,\\%\\\\*\n$a_{1} & \\frac{x}{y}$ & {c & d} \\tabularnewline\\bottomrule\\end{tabular}\\end{table}";
        assert_eq!(
            html(latex),
            "<table><tr><td>Name</td><td>Share</td></tr><tr><td>A &amp; B</td><td>5 %</td></tr>\
             <tr><td>$a_{1} &amp; \\frac{x}{y}$</td><td>c d</td></tr></table>"
        );
    }

    #[test]
    fn spans_take_the_place_of_the_cells_they_cover() {
        let latex = "\\begin{tabularx}{\\textwidth}{lll}\\multicolumn{2}{|c|}{\\multirow{2}{*}{\\textit{a}}} & b \\\\ \\cline{3-3}\n\
            \\multicolumn{2}{c}{} & c \\\\ \\hline d & \\multirow{2}*{e} & f \\\\ g & & h \\end{tabularx}";
        assert_eq!(
            html(latex),
            "<table><tr><td colspan=\"2\" rowspan=\"2\">a</td><td>b</td></tr><tr><td>c</td></tr>\
             <tr><td>d</td><td rowspan=\"2\">e</td><td>f</td></tr><tr><td>g</td><td>h</td></tr></table>"
        );
        let upwards =
            "\\begin{tabular}{ll} & a \\\\ & b \\\\ \\multirow{-3}{*}{x} & c \\end{tabular}";
        assert_eq!(
            html(upwards),
            "<table><tr><td rowspan=\"3\">x</td><td>a</td></tr><tr><td>b</td></tr><tr><td>c</td></tr></table>"
        );
    }

    #[test]
    fn cells_of_several_lines_and_inner_tables_are_one_text() {
        let latex = "\\begin{tabular}{ll}\\makecell[l]{a\\\\b} & \\begin{tabular}{c}c & d\\\\e\\end{tabular} \\\\ 1 < 2 & ~ \\end{tabular}";
        assert_eq!(
            html(latex),
            "<table><tr><td>a b</td><td>c d e</td></tr><tr><td>1 &lt; 2</td><td></td></tr></table>"
        );
    }

    #[test]
    fn what_is_no_table_gives_none_and_hostile_ones_end() {
        for latex in [
            "",
            "no table",
            "\\begin{tabular}",
            "\\begin{tabular}{l}\\end{tabular}",
            "\\begin{tabular}{l}\\hline",
        ] {
            assert_eq!(latex_table_to_html(latex), None, "{latex}");
        }
        let deep = "\\begin{tabular}{l}".repeat(5_000);
        let braces = format!(
            "\\begin{{tabular}}{{l}}{} & a\\end{{tabular}}",
            "{".repeat(100_000)
        );
        let wide = format!(
            "\\begin{{tabular}}{{l}}{}\\end{{tabular}}",
            "\\multirow{99999999999}{*}{\\multicolumn{999999}{c}{x}} &".repeat(2_000)
        );
        for latex in [
            deep,
            braces,
            wide,
            "\\begin{tabular}{l}\\multirow{-9}{*}{x} & \\multicolumn{2".into(),
        ] {
            latex_table_to_html(&latex);
        }
    }
}
