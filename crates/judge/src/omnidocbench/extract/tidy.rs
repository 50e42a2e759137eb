//! Steps 1 to 4: pictures, fences, runs of a character and document tags are removed before anything is searched for.

use super::find::find;
use super::pictures::pictures;
use crate::omnidocbench::Protocol;

/// The text that all offsets of a page refer to. Pieces are taken out in place: a page of one long line is in memory once.
pub fn tidy(markdown: &str, protocol: Protocol) -> Vec<char> {
    let mut text = Vec::with_capacity(markdown.len());
    text.extend(markdown.chars());
    if markdown.contains("![") {
        match protocol {
            Protocol::V1_0 | Protocol::V1_5 => remove_pictures(&mut text),
            Protocol::V1_6 => {
                for ([from, to], _) in pictures(&text) {
                    text[from..to].fill(' ');
                }
            }
        }
    }
    // Three marks that were apart may have been joined by a picture's going.
    if markdown.contains('`') {
        remove_fences(&mut text, protocol);
    }
    let long = |run: &[char]| *run == [' '; 5] || *run == ['_'; 5];
    if text.windows(5).any(long) {
        shorten_runs(&mut text, |c, length| matches!(c, '_' | ' ') && length >= 4);
    }
    match protocol {
        Protocol::V1_0 => shorten_runs(&mut text, |c, length| {
            !c.is_ascii_alphanumeric() && length > 10
        }),
        Protocol::V1_5 | Protocol::V1_6 if text.contains(&'<') => {
            for tag in ["<html>", "</html>", "<body>", "</body>"] {
                remove(&mut text, &tag.chars().collect::<Vec<_>>());
            }
        }
        Protocol::V1_5 | Protocol::V1_6 => {}
    }
    text
}

/// A text from which pieces are taken: what is kept moves to its front, never past the place that is read.
struct Kept<'a> {
    text: &'a mut Vec<char>,
    length: usize,
}

impl<'a> Kept<'a> {
    fn new(text: &'a mut Vec<char>) -> Self {
        Self { text, length: 0 }
    }

    /// Keeps the characters from `from` to `to` of the text as it was.
    fn keep(&mut self, from: usize, to: usize) {
        if from != self.length {
            self.text.copy_within(from..to, self.length);
        }
        self.length += to - from;
    }

    /// Keeps the rest from `from` on as well.
    fn finish(mut self, from: usize) {
        self.keep(from, self.text.len());
        self.text.truncate(self.length);
    }
}

/// Takes `![…](…)` on one line out.
fn remove_pictures(text: &mut Vec<char>) {
    let found = pictures(text);
    let mut kept = Kept::new(text);
    let mut at = 0;
    for ([from, to], _) in found {
        kept.keep(at, from);
        at = to;
    }
    kept.finish(at);
}

/// Takes opening fences of pages given as a whole in a fence out, and closing fences of any block.
fn remove_fences(text: &mut Vec<char>, protocol: Protocol) {
    let fences: &[&str] = match protocol {
        Protocol::V1_0 => &["```markdown"],
        Protocol::V1_5 | Protocol::V1_6 => &["```markdown", "```html", "```latex"],
    };
    for fence in fences {
        let fence: Vec<char> = fence.chars().collect();
        remove_opening(text, &fence);
    }
    let mut kept = Kept::new(text);
    let mut at = 0;
    while let Some(open) = find(kept.text, at, &['`', '`', '`']) {
        kept.keep(at, open);
        let ends = |at: usize| kept.text.get(at).is_none_or(|&c| c == '\n');
        let close = open + 3;
        at = if !ends(close) {
            kept.keep(open, open + 1);
            open + 1
        } else if close < kept.text.len() && ends(close + 1) {
            close + 1
        } else {
            close
        };
    }
    kept.finish(at);
}

fn remove_opening(text: &mut Vec<char>, fence: &[char]) {
    let mut kept = Kept::new(text);
    let mut at = 0;
    while let Some(open) = find(kept.text, at, fence) {
        let begins_line = open == 0 || kept.text[open - 1] == '\n';
        let end = open + fence.len();
        if begins_line {
            kept.keep(at, open);
            at = end + usize::from(kept.text.get(end) == Some(&'\n'));
        } else {
            kept.keep(at, end);
            at = end;
        }
    }
    kept.finish(at);
}

/// Runs of one character for which `long` holds become four.
fn shorten_runs(text: &mut Vec<char>, long: impl Fn(char, usize) -> bool) {
    let mut kept = Kept::new(text);
    let mut at = 0;
    while let Some(&first) = kept.text.get(at) {
        let run = kept.text[at..].iter().take_while(|&&c| c == first).count();
        let length = if long(first, run) { 4 } else { run };
        kept.keep(at, at + length);
        at += run;
    }
    kept.finish(at);
}

fn remove(text: &mut Vec<char>, piece: &[char]) {
    let mut kept = Kept::new(text);
    let mut at = 0;
    while let Some(found) = find(kept.text, at, piece) {
        kept.keep(at, found);
        at = found + piece.len();
    }
    kept.finish(at);
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
    fn what_follows_a_removed_piece_is_searched_as_it_was() {
        assert_eq!(
            tidied("<body>![a](b)```html\nx<html>y</html>"),
            "```html\nxy"
        );
        assert_eq!(tidied("```html\n```html\nx"), "x");
        assert_eq!(tidied("![a](b)![c](d)\n```latex\n```\nend"), "\n\nend");
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
