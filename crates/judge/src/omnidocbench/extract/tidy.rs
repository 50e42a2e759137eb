//! Steps 1 to 4: pictures, fences, runs of a character and document tags are removed before anything is searched for.

use super::find::{find, find_char, line_end};
use crate::omnidocbench::Protocol;

/// The text that all offsets of a page refer to.
pub fn tidy(markdown: &str, protocol: Protocol) -> Vec<char> {
    let mut text = Vec::with_capacity(markdown.len());
    text.extend(markdown.chars());
    if markdown.contains("![") {
        text = without_pictures(&text);
    }
    // Three marks that were apart may have been joined by a picture's going.
    if markdown.contains('`') {
        text = without_fences(text, protocol);
    }
    let long = |run: &[char]| *run == [' '; 5] || *run == ['_'; 5];
    if text.windows(5).any(long) {
        text = shorten_runs(&text, |c, length| matches!(c, '_' | ' ') && length >= 4);
    }
    match protocol {
        Protocol::V1_0 => {
            shorten_runs(&text, |c, length| !c.is_ascii_alphanumeric() && length > 10)
        }
        Protocol::V1_5 => {
            if text.contains(&'<') {
                for tag in ["<html>", "</html>", "<body>", "</body>"] {
                    text = without(text, &tag.chars().collect::<Vec<_>>());
                }
            }
            text
        }
    }
}

/// Without `![…](…)` on one line.
fn without_pictures(text: &[char]) -> Vec<char> {
    let mut kept = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(open) = find(text, at, &['!', '[']) {
        kept.extend_from_slice(&text[at..open]);
        let line = line_end(text, open);
        let middle = find(&text[..line], open + 2, &[']', '(']);
        match middle.and_then(|middle| find_char(text, middle + 2, line, ')')) {
            Some(close) => at = close + 1,
            // What this picture lacks, every later one on the line lacks too.
            None => {
                kept.extend_from_slice(&text[open..line]);
                at = line;
            }
        }
    }
    kept.extend_from_slice(&text[at..]);
    kept
}

/// Without opening fences of pages given as a whole in a fence, and without closing fences of any block.
fn without_fences(mut text: Vec<char>, protocol: Protocol) -> Vec<char> {
    let fences: &[&str] = match protocol {
        Protocol::V1_0 => &["```markdown"],
        Protocol::V1_5 => &["```markdown", "```html", "```latex"],
    };
    for fence in fences {
        let fence: Vec<char> = fence.chars().collect();
        text = without_opening(&text, &fence);
    }
    let mut kept = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(open) = find(&text, at, &['`', '`', '`']) {
        kept.extend_from_slice(&text[at..open]);
        let ends = |at: usize| text.get(at).is_none_or(|&c| c == '\n');
        let close = open + 3;
        if !ends(close) {
            kept.push('`');
            at = open + 1;
        } else if close < text.len() && ends(close + 1) {
            at = close + 1;
        } else {
            at = close;
        }
    }
    kept.extend_from_slice(&text[at..]);
    kept
}

fn without_opening(text: &[char], fence: &[char]) -> Vec<char> {
    let mut kept = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(open) = find(text, at, fence) {
        let begins_line = open == 0 || text[open - 1] == '\n';
        let end = open + fence.len();
        if begins_line {
            kept.extend_from_slice(&text[at..open]);
            at = end + usize::from(text.get(end) == Some(&'\n'));
        } else {
            kept.extend_from_slice(&text[at..end]);
            at = end;
        }
    }
    kept.extend_from_slice(&text[at..]);
    kept
}

/// Runs of one character for which `long` holds become four.
fn shorten_runs(text: &[char], long: impl Fn(char, usize) -> bool) -> Vec<char> {
    let mut kept = Vec::with_capacity(text.len());
    for run in text.chunk_by(|a, b| a == b) {
        let length = if long(run[0], run.len()) {
            4
        } else {
            run.len()
        };
        kept.extend_from_slice(&run[..length]);
    }
    kept
}

fn without(text: Vec<char>, piece: &[char]) -> Vec<char> {
    if find(&text, 0, piece).is_none() {
        return text;
    }
    let mut kept = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = find(&text, at, piece) {
        kept.extend_from_slice(&text[at..found]);
        at = found + piece.len();
    }
    kept.extend_from_slice(&text[at..]);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tidied(markdown: &str) -> String {
        tidy(markdown, Protocol::V1_5).iter().collect()
    }

    #[test]
    fn closing_fences_vanish_with_their_newline_only_at_an_end_of_a_line() {
        assert_eq!(tidied("```html\na\n```"), "a\n");
        assert_eq!(tidied("a\n```\n\nb"), "a\n\nb");
        assert_eq!(tidied("a\n```\nb"), "a\n\nb");
        assert_eq!(tidied("````\n"), "`");
    }

    #[test]
    fn pictures_vanish_on_one_line_only() {
        assert_eq!(tidied("a![x](y)b![](c)d"), "abd");
        assert_eq!(tidied("![x]\n(y)"), "![x]\n(y)");
        assert_eq!(tidied("![a ![b](c)"), "");
    }

    #[test]
    fn runs_shrink_by_protocol() {
        let dashes = "-".repeat(11);
        assert_eq!(
            tidied(&format!("______     {dashes}")),
            format!("____    {dashes}")
        );
        assert_eq!(tidy(&dashes, Protocol::V1_0).len(), 4);
    }
}
