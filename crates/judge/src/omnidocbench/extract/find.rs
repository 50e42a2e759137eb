//! Searching in characters, without ever walking the same stretch twice.

/// First position at or after `from` where `needle` stands.
pub fn find(text: &[char], from: usize, needle: &[char]) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = from;
    while at + needle.len() <= text.len() {
        at += text
            .get(at..=text.len() - needle.len())?
            .iter()
            .position(|&c| c == first)?;
        if text[at..].starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// First position in `from..to` where `wanted` stands.
pub fn find_char(text: &[char], from: usize, to: usize, wanted: char) -> Option<usize> {
    let found = text.get(from..to)?.iter().position(|&c| c == wanted)?;
    Some(from + found)
}

/// End of the line that `from` lies on: the position of its newline, or of the end of the text.
pub fn line_end(text: &[char], from: usize) -> usize {
    find_char(text, from, text.len(), '\n').unwrap_or(text.len())
}

/// Searches for one needle at growing positions: once it is absent, it stays absent, and an occurrence found is kept
/// until it is passed. All searches together walk the text once.
pub struct Finder<'a> {
    text: &'a [char],
    needle: &'a [char],
    known: Known,
}

enum Known {
    Nothing,
    At(usize),
    Absent,
}

impl<'a> Finder<'a> {
    /// A finder of `needle` in `text`.
    pub fn new(text: &'a [char], needle: &'a [char]) -> Self {
        Self {
            text,
            needle,
            known: Known::Nothing,
        }
    }

    /// First occurrence at or after `from`, which must not shrink from call to call.
    pub fn next(&mut self, from: usize) -> Option<usize> {
        match self.known {
            Known::Absent => return None,
            Known::At(at) if at >= from => return Some(at),
            _ => {}
        }
        let found = find(self.text, from, self.needle);
        self.known = found.map_or(Known::Absent, Known::At);
        found
    }
}
