//! Texts that stand in markup.

use super::beautiful_soup::{Event, events};
use super::is_cell;
use crate::omnidocbench::python::{is_space, strip};

/// The texts of cells (`td`) that hold nothing but one text, however many tags are around it.
pub fn table_cells(html: &str) -> Vec<String> {
    /// An open element: its children so far, and its text if it has one child that leads to one.
    struct Open {
        /// The cell's place among all cells.
        cell: Option<usize>,
        children: usize,
        text: Option<String>,
    }
    let mut cells: Vec<Option<String>> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let add = |open: &mut Vec<Open>, text: Option<String>| {
        if let Some(parent) = open.last_mut() {
            parent.children += 1;
            parent.text = text.filter(|_| parent.children == 1);
        }
    };
    for event in events(html) {
        match event {
            Event::Start(name, _) => {
                let cell = (name == "td").then_some(cells.len());
                if cell.is_some() {
                    cells.push(None);
                }
                open.push(Open {
                    cell,
                    children: 0,
                    text: None,
                });
            }
            Event::Text(text) => add(&mut open, Some(text.into_owned())),
            Event::Other(text) => {
                let inner = text
                    .strip_prefix("<!--")
                    .and_then(|t| t.strip_suffix("-->"));
                add(&mut open, Some(inner.unwrap_or(&text).to_owned()));
            }
            Event::End(_) => {
                let Some(done) = open.pop() else { continue };
                if let Some(place) = done.cell.and_then(|at| cells.get_mut(at)) {
                    place.clone_from(&done.text);
                }
                add(&mut open, done.text);
            }
        }
    }
    cells
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
        .collect()
}

/// The text of every cell, those of cells within it included, its pieces joined by single blanks (v1.6).
pub fn cell_texts(html: &str) -> Vec<String> {
    let mut cells: Vec<String> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for event in events(html) {
        match event {
            Event::Start(name, _) if is_cell(&name) => {
                open.push(cells.len());
                cells.push(String::new());
            }
            Event::End(name) if is_cell(&name) => {
                open.pop();
            }
            Event::Text(text) => {
                for word in text.split(is_space).filter(|word| !word.is_empty()) {
                    for &at in &open {
                        if let Some(cell) = cells.get_mut(at) {
                            if !cell.is_empty() {
                                cell.push(' ');
                            }
                            cell.push_str(word);
                        }
                    }
                }
            }
            _ => {}
        }
    }
    cells
}

/// The lines of text in markup that only lays it out (`div`, `p`, `li`, `br`), without scripts and styles (v1.6).
pub fn layout_text(html: &str) -> String {
    let mut text = String::new();
    // How deep inside a script, a style or a line break.
    let mut dropped = 0usize;
    for event in events(html) {
        match event {
            Event::Start(_, _) if dropped > 0 => dropped += 1,
            Event::Start(name, _) => match name.as_ref() {
                "style" | "script" => dropped = 1,
                "br" => {
                    text.push('\n');
                    dropped = 1;
                }
                _ => {}
            },
            Event::End(_) if dropped > 0 => dropped -= 1,
            Event::End(name) => {
                if matches!(name.as_ref(), "div" | "dir" | "p" | "li") {
                    text.push('\n');
                }
            }
            Event::Text(piece) if dropped == 0 => text.push_str(&piece.replace('\u{a0}', " ")),
            Event::Text(_) | Event::Other(_) => {}
        }
    }
    let lines = text.split('\n').map(strip).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_one_text_are_read() {
        let html = "<table><tr><td>a</td><td><b>b</b></td><td>c<br>d</td><td></td><td> </td></tr>";
        assert_eq!(table_cells(html), ["a", "b", " "]);
    }

    #[test]
    fn texts_of_cells_are_joined_by_blanks() {
        let html = "<table><tr><td>a<b>b</b> c<td>d</table>";
        assert_eq!(cell_texts(html), ["a b c d", "d"]);
    }

    #[test]
    fn layout_becomes_lines() {
        let html = "<div style='x'> a <b>b</b><br>c<p>d</p><script>e</script></div>";
        assert_eq!(layout_text(html), "a b\ncd");
    }
}
