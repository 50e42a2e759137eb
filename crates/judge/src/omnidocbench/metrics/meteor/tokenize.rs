//! NLTK's words of a line (`NLTKWordTokenizer`, the Penn Treebank's rules with additions; NLTK is under Apache-2.0).

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Before the lone letter after an apostrophe.
const OPENING: [(&str, &str); 4] = [
    ("([«“‘„]|[`]+)", " $1 "),
    ("^\"", "``"),
    ("(``)", " $1 "),
    (r#"([ \(\[{<])("|'{2})"#, "$1 `` "),
];

/// Punctuation, brackets, dashes. White space is Python's.
const PUNCTUATION: [(&str, &str); 11] = [
    (
        r#"([^\.])(\.)([\]\)}>"'»”’ ]*)[\s\x1c-\x1f]*$"#,
        "$1 $2 $3 ",
    ),
    (r"([:,])(\D)", " $1 $2"),
    (r"([:,])$", " $1 "),
    (r"(\.{2,})", " $1 "),
    (r"([;@#$%&])", " $1 "),
    (r#"([^\.])(\.)([\]\)}>"']*)[\s\x1c-\x1f]*$"#, "$1 $2$3 "),
    (r"([?!])", " $1 "),
    (r"([^'])' ", "$1 ' "),
    (r"(\*)", " $1 "),
    (r"([\]\[\(\)\{\}<>])", " $1 "),
    (r"--", " -- "),
];

/// Closing quotes, clitics and contractions, after a blank was put at either end.
const CLOSING: [(&str, &str); 16] = [
    ("([»”’])", " $1 "),
    ("''", " '' "),
    ("\"", " '' "),
    (r"[\s\x1c-\x1f]+", " "),
    (r"([^' ])('[sS]|'[mM]|'[dD]|') ", "$1 $2 "),
    (r"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", "$1 $2 "),
    (r"(?i)\b(can)(not)\b", " $1 $2 "),
    (r"(?i)\b(d)('ye)\b", " $1 $2 "),
    (r"(?i)\b(gim)(me)\b", " $1 $2 "),
    (r"(?i)\b(gon)(na)\b", " $1 $2 "),
    (r"(?i)\b(got)(ta)\b", " $1 $2 "),
    (r"(?i)\b(lem)(me)\b", " $1 $2 "),
    (r"(?i)\b(more)('n)\b", " $1 $2 "),
    (r"(?i)\b(wan)(na)(\s)", " $1 $2 $3"),
    (r"(?i) ('t)(is)\b", " $1 $2 "),
    (r"(?i) ('t)(was)\b", " $1 $2 "),
];

/// An apostrophe before a single letter.
const LONE: [(&str, &str); 1] = [(r"'(\w)\b", "")];

type Rules = Vec<(Regex, &'static str)>;

static RULES: LazyLock<[Rules; 4]> = LazyLock::new(|| {
    [
        super::super::patterns(&OPENING),
        super::super::patterns(&LONE),
        super::super::patterns(&PUNCTUATION),
        super::super::patterns(&CLOSING),
    ]
});

/// The words of `text`, which is taken for one sentence.
pub fn word_tokens(text: &str) -> Vec<String> {
    let [opening, lone, punctuation, closing] = &*RULES;
    let mut text = replace(text.to_owned(), opening);
    for (pattern, _) in lone {
        text = pattern.replace_all(&text, part).into_owned();
    }
    text = replace(text, punctuation);
    text = replace(format!(" {text} "), closing);
    super::super::words(&text)
}

fn replace(text: String, rules: &Rules) -> String {
    rules.iter().fold(text, |text, (pattern, with)| {
        pattern.replace_all(&text, *with).into_owned()
    })
}

/// Sets the letter apart from its apostrophe unless the two are the end of a shortened word.
fn part(found: &Captures<'_>) -> String {
    let (whole, letter) = (&found[0], &found[1]);
    if matches!(
        letter.to_lowercase().as_str(),
        "m" | "t" | "s" | "d" | "n" | "ſ"
    ) {
        return whole.to_owned();
    }
    format!("' {letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        let counts = [OPENING.len(), LONE.len(), PUNCTUATION.len(), CLOSING.len()];
        assert_eq!(RULES.each_ref().map(Vec::len), counts);
    }

    #[test]
    fn words_are_split_as_in_the_treebank() {
        let text = "He can't say \"I cannot, 'a dog's 1,234.5\" (really)... it's.";
        let expected = "He ca n't say `` I can not , ' a dog 's 1,234.5 '' ( really ) ... it 's .";
        assert_eq!(word_tokens(text).join(" "), expected);
    }
}
