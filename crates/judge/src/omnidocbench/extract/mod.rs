//! From a page of markdown to its elements, in the official order of steps.

mod balanced;
mod display;
mod find;
mod formula;
mod latex_tables;
mod pictures;
mod pipe_table;
mod rescue;
mod tidy;
mod unwrap;

use balanced::{Marks, balanced, latex_floats};
use find::{Finder, find};

use super::normalize::layout_text;
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
///
/// Since v1.6 formulas are looked for in running text, in cells and in descriptions of pictures too.
///
/// A text that is given away is freed as soon as its characters are taken: a page may be one long line.
pub fn extract(markdown: impl AsRef<str>, protocol: Protocol) -> Vec<Element> {
    let mut elements = Vec::new();
    let since_1_6 = protocol >= Protocol::V1_6;
    if since_1_6 {
        for (words, position) in pictures::descriptions(markdown.as_ref()) {
            elements.extend(rescue::candidate(&words, position, Fine::ImageFormula));
        }
    }
    let mut text = tidy::tidy(markdown.as_ref(), protocol);
    drop(markdown);
    if since_1_6 {
        text = pictures::described(text);
    }
    if text.contains(&'\\') {
        take_latex_tables(&mut text, &mut elements);
    }
    if text.contains(&'<') {
        let html = balanced(&text, &Marks::html_table());
        let first = elements.len();
        take(&mut text, &html, Kind::HtmlTable, &mut elements);
        rescue_cells(first, protocol, &mut elements);
    }
    for found in formula::formulas(&text, protocol) {
        if found.taken_out {
            blank(&mut text, found.element.position);
        }
        match since_1_6 {
            true => elements.extend(display::elements(found.element)),
            false => elements.push(found.element),
        }
    }
    if text.contains(&'|') {
        let first = elements.len();
        take_pipe_tables(&mut text, &mut elements);
        rescue_cells(first, protocol, &mut elements);
    }
    if text.contains(&'`') {
        take_code(&mut text, &mut elements);
    }
    paragraphs(&unwrap::unwrap(text), protocol, &mut elements);
    elements.sort_by_key(|element| element.position[0]);
    elements.retain(|element| !since_1_6 || !rescue::is_label(element));
    elements
}

/// The cells of the elements from `first` on that are like formulas stand behind their tables (v1.6).
fn rescue_cells(first: usize, protocol: Protocol, elements: &mut Vec<Element>) {
    if protocol < Protocol::V1_6 {
        return;
    }
    for table in elements.split_off(first) {
        let cells = rescue::of_cells(&table.content, table.position[0]);
        elements.push(table);
        elements.extend(cells);
    }
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
fn paragraphs(text: &[char], protocol: Protocol, elements: &mut Vec<Element>) {
    let separator: &[char] = match find(text, 0, &['\n', '\n']) {
        Some(_) => &['\n', '\n'],
        None => &['\n'],
    };
    let (mut at, mut begin) = (0, Some(0));
    while let Some(from) = begin {
        let end = find(text, from, separator);
        begin = end.map(|end| end + separator.len());
        let piece = &text[from..end.unwrap_or(text.len())];
        let position = [at, at + piece.len()];
        at = position[1];
        let mut content = lines(piece);
        if content.is_empty() {
            continue;
        }
        if protocol >= Protocol::V1_6 {
            if let Some(plain) = laid_out(&content) {
                content = plain;
            }
            let formula = rescue::candidate(&content, position, Fine::TextFormula);
            elements.push(Element {
                kind: Kind::TextAll,
                position,
                content,
                fine: Some(Fine::TextBlock),
                language: None,
            });
            elements.extend(formula);
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

/// The lines of a piece, stripped, without empty ones.
fn lines(piece: &[char]) -> String {
    let mut content = String::new();
    for line in piece.split(|c| *c == '\n').map(strip_chars) {
        if !line.is_empty() {
            if !content.is_empty() {
                content.push('\n');
            }
            content.extend(line);
        }
    }
    content
}

/// The text of a paragraph that is laid out by `<div>` or `<dir>`, tables apart (v1.6); `None` of any other.
fn laid_out(content: &str) -> Option<String> {
    let begins = ["<div", "<dir"].iter().any(|tag| {
        let head = content.get(..tag.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(tag))
    });
    let longer = content.chars().nth(4).is_some_and(is_word);
    if !begins || longer || content.to_lowercase().contains("<table") {
        return None;
    }
    Some(layout_text(content)).filter(|text| !text.is_empty())
}

fn blank(text: &mut [char], [start, end]: [usize; 2]) {
    text[start..end].fill(' ');
}
