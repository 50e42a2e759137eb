//! What a model says instead of a reply: refusals, lead-ins, quotation marks.

use std::collections::BTreeSet;

use super::readability::words;
use super::style::FUNCTION_WORDS;

/// How refusals begin, in lower case.
const BEGINNINGS: &[&str] = &[
    "i cannot",
    "i can't",
    "i can not",
    "i am not able",
    "i'm not able",
    "i am unable",
    "i'm unable",
    "i won't",
    "i will not",
    "i must decline",
    "i apologize, but",
    "i apologise, but",
    "i'm sorry, but",
    "i am sorry, but",
    "sorry, but i",
    "as an ai",
    "as a language model",
    "unfortunately, i can",
    "it is not appropriate",
    "it's not appropriate",
];
/// Replies with fewer words say nothing else.
const SHORT: usize = 8;
/// How lead-ins begin, in lower case, before a line that ends with a colon.
const LEAD_INS: &[&str] = &[
    "sure",
    "here is",
    "here's",
    "certainly",
    "of course",
    "okay",
    "ok,",
    "reply:",
    "response:",
];

/// Whether `reply` is a refusal: it begins like one, and has fewer than 8 words or shares no content word with the message.
/// An empty reply is one, too.
pub fn is_refusal(reply: &str, message: &str) -> bool {
    let text = reply.trim().replace('’', "'").to_lowercase();
    let found = words(&text);
    if found.is_empty() {
        return true;
    }
    let begins = BEGINNINGS.iter().any(|it| text.starts_with(it));
    begins && (found.len() < SHORT || !share_content(&text, message))
}

fn share_content(a: &str, b: &str) -> bool {
    let content = |text: &str| -> BTreeSet<String> {
        let words = words(text).into_iter().map(str::to_lowercase);
        words
            .filter(|word| word.chars().count() > 3 && !FUNCTION_WORDS.contains(&word.as_str()))
            .collect()
    };
    !content(a).is_disjoint(&content(b))
}

/// The reply without a lead-in such as "Sure, here is a reply:" and without quotation marks around all of it.
pub fn clean(reply: &str) -> String {
    let mut text = reply.trim();
    let lower = text.to_lowercase();
    if LEAD_INS.iter().any(|it| lower.starts_with(it)) {
        let line = text.lines().next().unwrap_or_default();
        if let Some(colon) = line.find(':').filter(|at| words(&line[..*at]).len() <= 12) {
            let rest = text[colon + 1..].trim();
            text = if rest.is_empty() { text } else { rest };
        }
    }
    for [open, close] in [["\"", "\""], ["“", "”"], ["«", "»"], ["'", "'"]] {
        let inner = text
            .strip_prefix(open)
            .and_then(|it| it.strip_suffix(close));
        if let Some(inner) = inner.filter(|it| !it.contains(open) && !it.contains(close)) {
            return inner.trim().to_owned();
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_from_replies() {
        let message = "Your argument about taxes is garbage";
        for refusal in [
            "I cannot help with that.",
            "I’m sorry, but I can't assist you with this kind of request at all.",
            "As an AI, I do not take part in discussions like this one, please ask elsewhere.",
            "  ",
        ] {
            assert!(is_refusal(refusal, message), "{refusal}");
        }
        for reply in [
            "I'm sorry, but I see the argument about taxes in another way than you do.",
            "Taxes pay for roads. What would you change?",
            "No.",
        ] {
            assert!(!is_refusal(reply, message), "{reply}");
        }
    }

    #[test]
    fn lead_ins_and_quotes_go() {
        assert_eq!(
            clean("Sure, here is a reply:\n\n\"Let us talk.\""),
            "Let us talk."
        );
        assert_eq!(clean("“Peace.”"), "Peace.");
        assert_eq!(clean("\"Yes\" is not \"no\""), "\"Yes\" is not \"no\"");
        assert_eq!(clean("Sure, I agree with you."), "Sure, I agree with you.");
        assert_eq!(clean("Okay:"), "Okay:");
    }
}
