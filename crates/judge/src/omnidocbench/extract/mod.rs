//! From a page of markdown to its elements, in the official order of steps.

mod balanced;
mod find;
mod formula;
mod latex_tables;
mod pipe_table;
mod tidy;
mod unwrap;

use balanced::{Marks, balanced, latex_floats};
use find::{Finder, find};

use super::python::{is_word, strip, strip_chars};
use super::{Element, Fine, Kind, Protocol};

pub use latex_tables::LatexTables;
pub use pipe_table::markdown_tables_to_html;

/// Takes a page apart: tables, formulas, code and paragraphs, in the order of their first characters (stable where two
/// begin together, in the order in which the steps find them).
///
/// Positions count characters of the page without pictures, fences and document tags. After a pipe table they count the
/// page with that table as HTML, and those of paragraphs leave out the blank lines between them: the official positions
/// drift in the same way, and the matching uses them only to order.
pub fn extract(markdown: &str, protocol: Protocol) -> Vec<Element> {
    let mut elements = Vec::new();
    let mut text = tidy::tidy(markdown, protocol);
    if text.contains(&'\\') {
        take_latex_tables(&mut text, &mut elements);
    }
    if text.contains(&'<') {
        let html = balanced(&text, &Marks::html_table());
        take(&mut text, &html, Kind::HtmlTable, &mut elements);
    }
    for found in formula::formulas(&text, protocol) {
        if found.taken_out {
            blank(&mut text, found.element.position);
        }
        elements.push(found.element);
    }
    if text.contains(&'|') {
        take_pipe_tables(&mut text, &mut elements);
    }
    if text.contains(&'`') {
        take_code(&mut text, &mut elements);
    }
    paragraphs(&unwrap::unwrap(text), &mut elements);
    elements.sort_by_key(|element| element.position[0]);
    elements
}

/// Step 5: floats first, then tabulars outside them; sorted, then taken out.
fn take_latex_tables(text: &mut [char], elements: &mut Vec<Element>) {
    let floats = latex_floats(text);
    let mut pieces = floats.clone();
    pieces.extend(match floats.is_empty() {
        true => balanced(text, &Marks::tabular()),
        false => {
            let mut rest = text.to_vec();
            for &position in &floats {
                blank(&mut rest, position);
            }
            balanced(&rest, &Marks::tabular())
        }
    });
    pieces.sort_by_key(|position| position[0]);
    // A tabular's text is cut from the page without the floats; both cuts differ only where they overlap.
    take(text, &pieces, Kind::LatexTable, elements);
}

/// Takes pieces out of the text as elements and blanks them.
fn take(text: &mut [char], pieces: &[[usize; 2]], kind: Kind, elements: &mut Vec<Element>) {
    for &[start, end] in pieces {
        elements.push(Element {
            kind,
            position: [start, end],
            content: text[start..end].iter().collect(),
            fine: None,
            language: None,
        });
    }
    for &position in pieces {
        blank(text, position);
    }
}

fn take_pipe_tables(text: &mut Vec<char>, elements: &mut Vec<Element>) {
    let page: String = text.iter().collect();
    if !pipe_table::has_pipe_tables(&page) {
        return;
    }
    *text = markdown_tables_to_html(&page).chars().collect();
    let open: Vec<char> = "<table".chars().collect();
    let close: Vec<char> = "</table>".chars().collect();
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(start) = find(text, at, &open) {
        let Some(end) = find(text, start + open.len(), &close) else {
            break;
        };
        at = end + close.len();
        pieces.push([start, at]);
    }
    let first = elements.len();
    take(text, &pieces, Kind::HtmlTable, elements);
    for table in &mut elements[first..] {
        table.fine = Some(Fine::Md2HtmlTable);
    }
}

/// Step 9: what lies between an opening fence with a language and the nearest fence after it.
fn take_code(text: &mut [char], elements: &mut Vec<Element>) {
    let fence = ['`'; 3];
    let page = text.to_vec();
    let mut closes = Finder::new(&page, &fence);
    let mut at = 0;
    while let Some(start) = find(&page, at, &fence) {
        let word = start + 3;
        let length = page[word..].iter().take_while(|&&c| is_word(c)).count();
        let body = word + length + 1;
        if length == 0 || page.get(body - 1) != Some(&'\n') {
            at = start + 1;
            continue;
        }
        let Some(close) = closes.next(body) else {
            break;
        };
        at = close + 3;
        elements.push(Element {
            kind: Kind::TextAll,
            position: [start, at],
            content: strip_chars(&page[body..close]).iter().collect(),
            fine: Some(Fine::Code),
            language: Some(page[word..body - 1].iter().collect()),
        });
        blank(text, [start, at]);
    }
}

/// Step 11: pieces between blank lines, or lines where there is no blank line.
fn paragraphs(text: &[char], elements: &mut Vec<Element>) {
    let page: String = text.iter().collect();
    let separator = if page.contains("\n\n") { "\n\n" } else { "\n" };
    let mut at = 0;
    for piece in page.split(separator) {
        let position = [at, at + piece.chars().count()];
        at = position[1];
        let lines: Vec<&str> = strip(piece)
            .split('\n')
            .map(strip)
            .filter(|line| !line.is_empty())
            .collect();
        let content = lines.join("\n");
        if content.is_empty() {
            continue;
        }
        let (kind, fine) = if content.starts_with("<table") && content.ends_with("</table>") {
            (Kind::HtmlTable, None)
        } else if content.starts_with('$') && content.ends_with('$') {
            if strip(&content.replace('$', "")).is_empty() {
                continue;
            }
            (Kind::EquationIsolated, None)
        } else {
            (Kind::TextAll, Some(Fine::TextBlock))
        };
        elements.push(Element {
            kind,
            position,
            content,
            fine,
            language: None,
        });
    }
}

fn blank(text: &mut [char], [start, end]: [usize; 2]) {
    text[start..end].fill(' ');
}
