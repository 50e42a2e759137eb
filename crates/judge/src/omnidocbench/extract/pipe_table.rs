//! Step 8: markdown pipe tables become HTML, piece by piece, and the pieces are joined line by line.
//!
//! The official pattern ends at the nearest bar before a newline, so that one match is mostly one row: each row becomes a
//! table of its own, and the joining makes them one table again. Rows with a colon or `---` are taken for the rule under the
//! head and dropped, and the line right before a table is lost.

use crate::omnidocbench::python::strip;

/// Where the pieces that look like pipe tables lie, in bytes: from a bar to the nearest bar at a line's end after it.
fn pieces(text: &str) -> Vec<[usize; 2]> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find('|').map(|offset| at + offset) {
        let Some(offset) = text[start + 1..].find("|\n") else {
            break;
        };
        at = start + 1 + offset + 2;
        found.push([start, at]);
    }
    found
}

/// Whether a page holds pipe tables: at least two pieces.
pub fn has_pipe_tables(markdown: &str) -> bool {
    let mut text = String::with_capacity(markdown.len() + 1);
    text.push_str(markdown);
    text.push('\n');
    pieces(&text).len() >= 2
}

/// The page with its markdown pipe tables written as HTML tables.
pub fn markdown_tables_to_html(markdown: &str) -> String {
    let mut text = markdown.replace('\r', "");
    text.push('\n');
    let mut html = String::with_capacity(text.len() * 2);
    let mut at = 0;
    for [start, end] in pieces(&text) {
        html.push_str(&text[at..start]);
        write_table(&text[start..end], &mut html);
        at = end;
    }
    html.push_str(&text[at..]);
    join_tables(&html)
        .replace("<table>", "<table border=\"1\" >")
        .replace("<td>", "<td colspan=\"1\" rowspan=\"1\">")
}

/// One piece as a table: the first line is the head, the second is dropped.
fn write_table(piece: &str, html: &mut String) {
    let mut rows = strip(piece).split('\n').map(strip);
    html.push_str("<table>\n  <thead>\n    <tr>\n");
    write_cells(rows.next().unwrap_or_default(), "th", html);
    html.push_str("    </tr>\n  </thead>\n  <tbody>\n");
    for row in rows.skip(1) {
        html.push_str("    <tr>\n");
        write_cells(row, "td", html);
        html.push_str("    </tr>\n");
    }
    html.push_str("  </tbody>\n</table>\n");
}

/// The cells between the first and the last bar of a row.
fn write_cells(row: &str, tag: &str, html: &mut String) {
    let Some((first, last)) = row.find('|').zip(row.rfind('|')) else {
        return;
    };
    if first == last {
        return;
    }
    for cell in row[first + 1..last].split('|') {
        html.push_str("      <");
        html.push_str(tag);
        html.push('>');
        html.push_str(strip(cell));
        html.push_str("</");
        html.push_str(tag);
        html.push_str(">\n");
    }
}

/// Joins tables that follow one another; each line is decided on when the next one is seen.
fn join_tables(html: &str) -> String {
    let mut written: Vec<String> = Vec::new();
    let mut block = String::new();
    let (mut inside, mut last) = (false, "");
    for line in html.split('\n') {
        if line.contains("<table>") {
            inside = true;
            block.push_str(last);
        } else if inside {
            if !is_rule(last) && !last.contains("</thead>") {
                block.push('\n');
                block.push_str(last);
            }
            if last.contains("</table>") {
                inside = false;
                written.push(one_table(&block));
                block.clear();
            }
        } else {
            written.push(last.to_owned());
        }
        last = line;
    }
    if !last.is_empty() {
        if inside || last.contains("</table>") {
            block.push('\n');
            block.push_str(last);
            written.push(one_table(&block));
        } else {
            written.push(last.to_owned());
        }
    }
    written.join("\n")
}

fn is_rule(line: &str) -> bool {
    line.contains(':') || line.contains("---")
}

/// All rows of a block's tables in one table; a table of two lines or fewer counts as none.
fn one_table(block: &str) -> String {
    let block = without_comments(block);
    let mut kept: Vec<String> = Vec::new();
    let mut rest = block.as_str();
    while let Some(start) = rest.find("<table>") {
        let Some(length) = rest[start..].find("</table>") else {
            break;
        };
        let end = start + length + "</table>".len();
        let lines: Vec<String> = rest[start..end]
            .split('\n')
            .map(|line| {
                if line.contains("<th>") {
                    line.replace("<th>", "<td>").replace("</th>", "</td>")
                } else {
                    line.to_owned()
                }
            })
            .filter(|line| !is_frame(line))
            .collect();
        if lines.len() > 2 {
            kept.extend(lines);
        }
        rest = &rest[end..];
    }
    format!("\n\n<table>\n{}\n</table>\n\n", kept.join("\n"))
}

/// Whether a line opens or closes a table, its head or its body.
fn is_frame(line: &str) -> bool {
    line.match_indices("<").any(|(at, _)| {
        let tag = &line[at + 1..];
        let tag = tag.strip_prefix('/').unwrap_or(tag);
        ["table>", "thead>", "tbody>"]
            .iter()
            .any(|name| tag.starts_with(name))
    })
}

fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("<!--") {
        let Some(length) = rest[start + 4..].find("-->") else {
            break;
        };
        kept.push_str(&rest[..start]);
        rest = &rest[start + 4 + length + 3..];
    }
    kept.push_str(rest);
    kept
}
