//! Pictures as v1.6 has them: they leave blanks, their descriptions may be formulas.

use std::borrow::Cow;

use super::find::{find, find_char, line_end};
use crate::omnidocbench::normalize::regex;
use crate::omnidocbench::python::{is_space, strip};

/// What a description of a picture in words begins with.
const BEGINNINGS: [&str; 8] = [
    "the image ",
    "the figure ",
    "the figure shows",
    "the diagram ",
    "diagram:",
    "[diagram:",
    "[image:",
    "qr code ",
];

/// Where `![…](…)` stands on one line, and where its description does, in characters.
pub(super) fn pictures(text: &[char]) -> Vec<([usize; 2], [usize; 2])> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = find(text, at, &['!', '[']) {
        let line = line_end(text, open);
        let middle = find(&text[..line], open + 2, &[']', '(']);
        let close = middle.and_then(|middle| find_char(text, middle + 2, line, ')'));
        match middle.zip(close) {
            Some((middle, close)) => {
                found.push(([open, close + 1], [open + 2, middle]));
                at = close + 1;
            }
            // What this picture lacks, every later one on the line lacks too.
            None => at = line,
        }
    }
    found
}

/// Descriptions of pictures, and where these stand.
pub(super) fn descriptions(markdown: &str) -> Vec<(String, [usize; 2])> {
    if !markdown.contains("![") {
        return Vec::new();
    }
    let text: Vec<char> = markdown.chars().collect();
    let found = pictures(&text).into_iter();
    let words = |[from, to]: [usize; 2]| text[from..to].iter().collect::<String>();
    found
        .map(|(whole, inner)| (strip(&words(inner)).to_owned(), whole))
        .collect()
}

/// The text, without delimiters of maths in paragraphs that describe a picture.
pub(super) fn described(text: Vec<char>) -> Vec<char> {
    regex!(PAUSE, r"\n\s*\n");
    regex!(PARENTHESES, r"(?s)\\\((.*?)\\\)");
    regex!(DOLLARS, r"(?s)\$(.*?)\$");
    let (Some(pause), Some(parentheses), Some(dollars)) =
        (PAUSE.as_ref(), PARENTHESES.as_ref(), DOLLARS.as_ref())
    else {
        return text;
    };
    if !text.contains(&'$') && find(&text, 0, &['\\', '(']).is_none() {
        return text;
    }
    let page: String = text.iter().collect();
    let mut out = String::new();
    let (mut at, mut changed) = (0, false);
    let mut add = |block: &str| {
        let bare = match is_description(block) {
            true => {
                let bare = parentheses.replace_all(block, "$1");
                Cow::Owned(dollars.replace_all(&bare, "$1").into_owned())
            }
            false => Cow::Borrowed(block),
        };
        changed |= bare.len() != block.len();
        out.push_str(&bare);
    };
    for found in pause.find_iter(&page) {
        add(&page[at..found.start()]);
        add(found.as_str());
        at = found.end();
    }
    add(&page[at..]);
    match changed {
        true => out.chars().collect(),
        false => text,
    }
}

fn is_description(block: &str) -> bool {
    let words = block.split(is_space).filter(|word| !word.is_empty());
    let line: Vec<&str> = words.take(24).collect();
    let line = line.join(" ").to_lowercase();
    BEGINNINGS.iter().any(|begin| line.starts_with(begin)) && line.chars().nth(23).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_lose_their_delimiters() {
        let bare = |text: &str| described(text.chars().collect()).iter().collect::<String>();
        assert_eq!(
            bare("The image shows the graph of $x^2$.\n\nof $y$"),
            "The image shows the graph of x^2.\n\nof $y$"
        );
        assert_eq!(bare("The image $x$"), "The image $x$");
    }

    #[test]
    fn pictures_lie_on_one_line() {
        assert_eq!(
            descriptions("a ![ 1+2=3 ](b)\n![x]\n(y)"),
            [("1+2=3".to_owned(), [2, 15])]
        );
    }
}
