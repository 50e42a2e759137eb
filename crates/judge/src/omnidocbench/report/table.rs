//! Two tables drawn side by side.

use base::table::escape_html;
use similar::DiffOp;

use super::marks::{marked, steps};
use crate::omnidocbench::metrics::html::{HtmlParser, Tree, parse};

/// Most cells that a drawn table has; a larger one is shown as text.
const MOST: usize = 10_000;

/// A cell as it is drawn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Cell {
    text: String,
    colspan: usize,
    rowspan: usize,
}

/// Rows of cells, row by row, and where each row ends.
#[derive(Default)]
struct Table {
    cells: Vec<Cell>,
    ends: Vec<usize>,
}

/// What is special about a drawn cell: its class, and its text with marks.
type Mark = (&'static str, String);

/// Both tables as HTML, cells marked that differ; `None` where neither has a cell, or one has too many to be drawn.
pub(super) fn drawn(gt: &str, pred: &str) -> Option<[String; 2]> {
    let [gt, pred] = [gt, pred].map(|html| Table::read(&parse(html, HtmlParser::default())));
    let most = gt.cells.len().max(pred.cells.len());
    if most == 0 || most > MOST {
        return None;
    }
    let plain = |table: &Table| -> Vec<Mark> {
        let cells = table.cells.iter();
        cells.map(|cell| ("", escape_html(&cell.text))).collect()
    };
    let mut marks = [plain(&gt), plain(&pred)];
    for step in steps(&gt.cells, &pred.cells) {
        if matches!(step, DiffOp::Equal { .. }) {
            continue;
        }
        let (mut from, mut to) = (step.old_range(), step.new_range());
        // Cells that took one another's place are compared letter by letter.
        while let (Some(a), Some(b)) = (from.next(), to.next()) {
            let [left, right] = marked(&gt.cells[a].text, &pred.cells[b].text);
            let same = gt.cells[a].text == pred.cells[b].text;
            marks[0][a] = (if same { "gone" } else { "" }, left);
            marks[1][b] = (if same { "new" } else { "" }, right);
            if from.is_empty() || to.is_empty() {
                break;
            }
        }
        from.for_each(|a| marks[0][a].0 = "gone");
        to.for_each(|b| marks[1][b].0 = "new");
    }
    Some([gt.html(&marks[0]), pred.html(&marks[1])])
}

impl Table {
    /// All rows of a document; tables inside of cells are their text.
    fn read(tree: &Tree) -> Self {
        let mut table = Self::default();
        let mut next = 0;
        for (row, element) in tree.elements.iter().enumerate() {
            if row < next || element.name != "tr" {
                continue;
            }
            let cells = element.children.iter().filter_map(|&child| {
                let found = tree.get(child)?;
                let span = |name: &str| {
                    let value = found
                        .attribute(name)
                        .and_then(|value| value.trim().parse().ok());
                    value.unwrap_or(1_usize).clamp(1, 1000)
                };
                matches!(found.name.as_str(), "td" | "th").then(|| Cell {
                    text: text(tree, child),
                    colspan: span("colspan"),
                    rowspan: span("rowspan"),
                })
            });
            table.cells.extend(cells);
            table.ends.push(table.cells.len());
            next = tree.descendants(row).end;
        }
        table
    }

    fn html(&self, marks: &[Mark]) -> String {
        let mut out = String::from("<table>");
        let mut start = 0;
        for &end in &self.ends {
            out.push_str("<tr>");
            let row = self.cells.iter().zip(marks).take(end).skip(start);
            for (cell, (class, text)) in row {
                out.push_str("<td");
                if !class.is_empty() {
                    out.push_str(&format!(" class=\"{class}\""));
                }
                for (name, span) in [("colspan", cell.colspan), ("rowspan", cell.rowspan)] {
                    if span > 1 {
                        out.push_str(&format!(" {name}=\"{span}\""));
                    }
                }
                out.push_str(&format!(">{text}</td>"));
            }
            out.push_str("</tr>");
            start = end;
        }
        out.push_str("</table>");
        out
    }
}

/// All text inside an element, in the order in which it was written.
fn text(tree: &Tree, index: usize) -> String {
    let mut out = tree
        .get(index)
        .map(|found| found.text.clone())
        .unwrap_or_default();
    let mut open: Vec<(usize, &str)> = Vec::new();
    let inner = tree.descendants(index);
    let end = inner.end;
    for at in inner.chain([end]) {
        while let Some((_, tail)) = open.pop_if(|(end, _)| at >= *end) {
            out.push_str(tail);
        }
        if let Some(found) = tree.get(at).filter(|_| at < end) {
            out.push_str(&found.text);
            open.push((tree.descendants(at).end, &found.tail));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::drawn;

    #[test]
    fn cells_that_differ_are_marked() {
        let gt = "<table><tr><td>a</td><td colspan=\"2\">12<b>3</b>4</td></tr><tr><td>z</td></tr></table>";
        let pred = "<table><tr><td>a</td><td colspan=\"2\">1294</td></tr></table>";
        let [gt, pred] = drawn(gt, pred).unwrap_or_default();
        assert_eq!(
            gt,
            "<table><tr><td>a</td><td colspan=\"2\">12<del>3</del>4</td></tr><tr><td class=\"gone\">z</td></tr></table>"
        );
        assert_eq!(
            pred,
            "<table><tr><td>a</td><td colspan=\"2\">12<ins>9</ins>4</td></tr></table>"
        );
        assert_eq!(drawn("no table", ""), None);
    }

    #[test]
    fn a_span_that_differs_colours_the_cell() {
        let [gt, _] = drawn(
            "<table><tr><td colspan=2>a</td></tr></table>",
            "<table><tr><td>a</td></tr></table>",
        )
        .unwrap_or_default();
        assert_eq!(
            gt,
            "<table><tr><td class=\"gone\" colspan=\"2\">a</td></tr></table>"
        );
    }
}
