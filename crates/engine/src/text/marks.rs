//! Which characters of a rendered conversation a user wrote: they are marked before the template runs and found again after it.

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use serde_json::Value;

use super::{TextError, Tokenizer};

/// Characters that mark a user's characters while a template runs: Unicode's noncharacters, then private ones.
const SIGNS: [std::ops::RangeInclusive<char>; 2] =
    ['\u{fdd0}'..='\u{fdef}', '\u{f0000}'..='\u{ffffd}'];

/// Whether `c` may be such a sign.
pub(super) fn is_sign(c: char) -> bool {
    SIGNS.iter().any(|range| range.contains(&c))
}

/// A sign that the input does not use.
pub(super) fn unused_sign<'a>(texts: impl Iterator<Item = &'a Value>) -> Result<char, TextError> {
    fn collect(value: &Value, used: &mut BTreeSet<char>) {
        match value {
            Value::String(text) => used.extend(text.chars().filter(|&c| is_sign(c))),
            Value::Array(list) => list.iter().for_each(|it| collect(it, used)),
            Value::Object(map) => map.iter().for_each(|(key, it)| {
                used.extend(key.chars().filter(|&c| is_sign(c)));
                collect(it, used);
            }),
            _ => {}
        }
    }
    let mut used = BTreeSet::new();
    texts.for_each(|value| collect(value, &mut used));
    let mut signs = SIGNS.into_iter().flatten();
    let free = signs.find(|sign| !used.contains(sign));
    free.ok_or_else(|| TextError::template("the messages use every private character"))
}

/// The control tokens' markers, to be found in what users wrote.
pub(super) struct Markers<'a> {
    all: Vec<&'a str>,
    whole: AhoCorasick,
    longest: usize,
}

impl<'a> Markers<'a> {
    pub fn new(tokenizer: &'a Tokenizer) -> Result<Self, TextError> {
        let all: Vec<&str> = tokenizer.control_tokens().map(|(_, text)| text).collect();
        Ok(Self {
            whole: AhoCorasick::new(&all).map_err(TextError::template)?,
            longest: all.iter().map(|marker| marker.len()).max().unwrap_or(0),
            all,
        })
    }

    /// `text` with `sign` after each character with which a marker could begin or end: in whole markers, and in parts of
    /// them at the ends of the text, which other texts may complete. A text without any stays as it is.
    pub fn mark(&self, text: &str, sign: char) -> String {
        let first = |marker: &str| marker.chars().next().map_or(0, char::len_utf8);
        let mut ends = BTreeSet::new();
        for found in self.whole.find_overlapping_iter(text) {
            ends.extend([found.start() + first(&text[found.range()]), found.end()]);
        }
        let tail = text.len().saturating_sub(self.longest);
        for at in (tail..text.len()).filter(|&at| text.is_char_boundary(at)) {
            let rest = &text[at..];
            if self.all.iter().any(|marker| marker.starts_with(rest)) {
                ends.insert(at + first(rest));
            }
        }
        let head = 1..=self.longest.min(text.len());
        for end in head.filter(|&end| text.is_char_boundary(end)) {
            let begin = &text[..end];
            if self.all.iter().any(|marker| marker.ends_with(begin)) {
                ends.insert(end);
            }
        }
        let mut out = String::with_capacity(text.len() + 4 * ends.len());
        let mut done = 0;
        for end in ends {
            out.push_str(&text[done..end]);
            out.push(sign);
            done = end;
        }
        out + &text[done..]
    }
}

/// The text without signs, and the byte offsets of the characters before them.
pub(super) fn unmark(text: &str, sign: char) -> (String, Vec<usize>) {
    let mut out = String::with_capacity(text.len());
    let mut user = Vec::new();
    for part in text.split_inclusive(sign) {
        out.push_str(part.strip_suffix(sign).unwrap_or(part));
        if part.ends_with(sign) {
            user.extend(out.char_indices().next_back().map(|(at, _)| at));
        }
    }
    (out, user)
}
