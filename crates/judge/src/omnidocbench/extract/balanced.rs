//! Outermost balanced pairs of a beginning and an end, as the official scan finds them.

use super::find::{Finder, find};

/// The marks that a scan balances, with the lengths by which the official scan moves on.
pub struct Marks {
    begin: Vec<char>,
    /// The beginning is complete only where this character follows somewhere.
    closed_by: Option<char>,
    end: Vec<char>,
    /// Length of the end in the official pattern, escapes included: how far the scan moves on past either mark, and where a
    /// balanced piece is cut.
    end_length: usize,
    /// Length of the beginning in the official pattern: where the scan starts anew past a beginning that stays open.
    begin_length: usize,
}

impl Marks {
    /// `\begin{tabular}` and `\end{tabular}`; each pattern has one more backslash than its mark.
    pub fn tabular() -> Self {
        Self {
            begin: "\\begin{tabular}".chars().collect(),
            closed_by: None,
            end: "\\end{tabular}".chars().collect(),
            end_length: 14,
            begin_length: 16,
        }
    }

    /// `<table…>` and `</table>`; the beginning's pattern is `<table(?:[^>]*)>` or as long.
    pub fn html_table() -> Self {
        Self {
            begin: "<table".chars().collect(),
            closed_by: Some('>'),
            end: "</table>".chars().collect(),
            end_length: 8,
            begin_length: 16,
        }
    }
}

/// How many marks may be looked at again because beginnings stayed open; the official scan recurses there and fails
/// after a thousand of them.
const BUDGET: usize = 20_000_000;

#[derive(Clone, Copy)]
struct Mark {
    at: usize,
    begins: bool,
}

/// Start and end of every outermost balanced piece in `text`, in the order in which the official scan finds them.
pub fn balanced(text: &[char], marks: &Marks) -> Vec<[usize; 2]> {
    let list = marks_of(text, marks);
    let mut pieces = Vec::new();
    let (mut from, mut budget) = (0, BUDGET);
    loop {
        let first = list.partition_point(|mark| mark.at < from);
        let open = scan(&list[first..], from, text.len(), marks, &mut pieces);
        let Some(open) = open else { return pieces };
        from = open + marks.begin_length;
        let again = list.len() - list.partition_point(|mark| mark.at < from);
        if again > budget {
            return pieces;
        }
        budget -= again;
    }
}

/// One pass from `from`; returns the outermost beginning that stayed open.
fn scan(
    list: &[Mark],
    from: usize,
    length: usize,
    marks: &Marks,
    pieces: &mut Vec<[usize; 2]>,
) -> Option<usize> {
    let mut stack = Vec::new();
    let mut current = from;
    for mark in list {
        if mark.at < current {
            continue;
        }
        if mark.begins {
            stack.push(mark.at);
        } else if let Some(start) = stack.pop()
            && stack.is_empty()
        {
            pieces.push([start, (mark.at + marks.end_length).min(length)]);
        }
        current = mark.at + marks.end_length;
    }
    stack.first().copied()
}

fn marks_of(text: &[char], marks: &Marks) -> Vec<Mark> {
    let last_close = match marks.closed_by {
        Some(close) => text.iter().rposition(|&c| c == close).unwrap_or(0),
        None => text.len(),
    };
    let mut list = Vec::new();
    let (mut begins, mut ends) = (
        Finder::new(text, &marks.begin),
        Finder::new(text, &marks.end),
    );
    let mut at = 0;
    loop {
        let begin = begins.next(at).filter(|&begin| begin < last_close);
        let mark = match (begin, ends.next(at)) {
            (Some(begin), Some(end)) if begin > end => (end, false),
            (Some(begin), _) => (begin, true),
            (None, Some(end)) => (end, false),
            (None, None) => return list,
        };
        list.push(Mark {
            at: mark.0,
            begins: mark.1,
        });
        at = mark.0 + 1;
    }
}

/// Start and end of every `\begin{table}…\end{table}`, the nearest end each time.
pub fn latex_floats(text: &[char]) -> Vec<[usize; 2]> {
    let begin: Vec<char> = "\\begin{table}".chars().collect();
    let end: Vec<char> = "\\end{table}".chars().collect();
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(start) = find(text, at, &begin) {
        let Some(close) = find(text, start + begin.len(), &end) else {
            break;
        };
        at = close + end.len();
        pieces.push([start, at]);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(text: &str) -> Vec<[usize; 2]> {
        balanced(&text.chars().collect::<Vec<_>>(), &Marks::html_table())
    }

    #[test]
    fn outermost_tables_are_found_whole() {
        assert_eq!(tables("<table>a<table>b</table></table>"), [[0, 32]]);
        assert_eq!(
            tables("x<table >1</table> <table>2</table>"),
            [[1, 18], [19, 35]]
        );
        assert_eq!(tables("<table"), Vec::<[usize; 2]>::new());
    }

    #[test]
    fn an_open_table_does_not_hide_later_ones() {
        let text = format!("<table>{}<table>x</table>", "a".repeat(20));
        assert_eq!(tables(&text), [[27, 43]]);
    }

    #[test]
    fn many_open_tables_end_in_time() {
        let text = "<table> ".repeat(200_000);
        assert!(tables(&text).is_empty());
    }
}
