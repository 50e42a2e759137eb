//! From tokens to drawable tokens: what is drawn together becomes one token, what is drawn apart becomes several, and
//! every command gets the braces it needs. The steps and their order are the official ones.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::braces::{BraceError, add_braces, close_of};

/// Commands that are dropped.
const DROPPED: &[&str] = &[
    "\\raggedright",
    "\\arraybackslash",
    "\\lowercase",
    "\\uppercase",
];

/// Tokens that are drawn as several.
const SPLIT: &[(&str, &str)] = &[
    (" \\ldots ", " . . . "),
    (" \\cdots ", " . . . "),
    (" \\dots ", " . . . "),
    (" \\dotsb ", " . . . "),
    (" \\log ", " \\mathrm { l o g } "),
    (" \\exp ", " \\mathrm { e x p } "),
    (" \\sin ", " \\mathrm { s i n } "),
    (" \\cos ", " \\mathrm { c o s } "),
    (" \\tan ", " \\mathrm { t a n } "),
    (" \\tanh ", " \\mathrm { t a n h } "),
    (" \\cosh ", " \\mathrm { c o s h } "),
    (" \\sinh ", " \\mathrm { s i n h } "),
];

/// One rewriting: every distinct match of the pattern, wherever it stands, becomes what `rewrite` makes of it.
struct Rule {
    pattern: Option<Regex>,
    rewrite: fn(&str) -> String,
    /// Only in tables, only in formulas, or in both.
    tables: Option<bool>,
}

fn rule(pattern: &str, tables: Option<bool>, rewrite: fn(&str) -> String) -> Rule {
    // The patterns are constants; a test compiles them all.
    Rule {
        pattern: Regex::new(pattern).ok(),
        rewrite,
        tables,
    }
}

fn joined(text: &str) -> String {
    text.replace(' ', "")
}

fn joined_then_blank(text: &str) -> String {
    joined(text) + " "
}

/// Rules before tokens are split.
static BEFORE: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    vec![
        rule(r"\\begin\{array\} \{ [lrc ]+ \}", None, |text| {
            text.replace("\\begin{array} ", "<s>")
                .replace(' ', "")
                .replace("<s>", "\\begin{array} ")
        }),
        rule(r"\\not [<>+=\-]", None, joined),
    ]
});

/// Rules for delimiters, before two commands are dropped.
static DELIMITERS: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    vec![
        rule(r"\\[Bb]igg?[glrm]? [(){}|\[\]] ", None, joined_then_blank),
        rule(r"(?s)\\[Bb]igg?[glrm]? \\.*? ", None, joined_then_blank),
        rule(r"\\operatorname \*", None, |_| "\\operatorname".into()),
    ]
});

/// Rules after.
static AFTER: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    vec![
        rule(r"\\' [^{] ", None, joined_then_blank),
        rule(r"\[ [\-.0-9 ]+[exptcm ]+ \]", Some(true), joined),
        rule(r"\\parbox \{[^{]+\}", None, joined),
        rule(r"\\raisebox \{[^{]+\} [\[\]0-9 exptcm]+\{", None, |text| {
            let joined = joined(text);
            format!("{} {{", joined.strip_suffix('{').unwrap_or(&joined))
        }),
        rule(r"\{ \\char[0-9' ]+\}", None, |text| {
            let joined = joined(text);
            format!(
                "{{ {} }}",
                joined.trim_start_matches('{').trim_end_matches('}')
            )
        }),
        rule(r"\\not [\\=<>][^ ]+ ", None, joined_then_blank),
        rule(
            r"\\specialrule \{[ .0-9a-z]+\} \{[ .0-9a-z]+\} \{[ .0-9a-z]+\}",
            None,
            joined,
        ),
        rule(
            r"\\colorbox[ \[\]RGBrgb]+\{ [A-Za-z 0-9,!]+ \} |\\color[ \[\]RGBrgb]+\{ [A-Za-z 0-9,!]+ \} |\\textcolor[ \[\]RGBrgb]+\{ [A-Za-z 0-9,!]+ \} |\\cellcolor[ \[\]RGBrgb]+\{ [A-Za-z 0-9,!]+ \} ",
            None,
            |_| String::new(),
        ),
    ]
});

static SPACES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    vec![
        rule(r"\\[hv]space \{ [.0-9a-z ]+ \}", Some(true), |_| {
            String::new()
        }),
        rule(r"\\[hv]space \{ [.0-9a-z ]+ \}", Some(false), joined),
    ]
});

fn apply(rules: &[Rule], table: bool, mut text: String) -> String {
    for Rule {
        pattern,
        rewrite,
        tables,
    } in rules
    {
        let (Some(pattern), true) = (pattern, tables.is_none_or(|only| only == table)) else {
            continue;
        };
        let mut found: Vec<String> = Vec::new();
        for part in pattern.find_iter(&text).map(|part| part.as_str()) {
            if !found.iter().any(|known| known == part) {
                found.push(part.to_string());
            }
        }
        for part in found {
            text = text.replace(&part, &rewrite(&part));
        }
    }
    text
}

/// The tokens to draw, one blank between them and around them all.
///
/// # Errors
/// [`BraceError`] where a command stands without the argument it needs.
pub fn normalize_latex(tokens: &str) -> Result<String, BraceError> {
    let table = tokens.contains("tabular");
    let blank = |c: char| c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}');
    let mut text = tokens
        .trim_matches(blank)
        .replace("\\pmatrix", "\\mypmatrix")
        .replace("\\matrix", "\\mymatrix");
    for dropped in DROPPED {
        text = text.replace(dropped, "");
    }
    text = apply(&SPACES, table, text);
    if table {
        text = join_table_heads(&text)?;
    }
    text = apply(&BEFORE, table, text);
    text = format!(" {text} ");
    for (whole, parts) in SPLIT {
        text = text.replace(whole, parts);
    }
    text = apply(&DELIMITERS, table, text);
    text = text.replace("\\lefteqn", "").replace("\\footnote ", "^ ");
    text = apply(&AFTER, table, text);
    add_braces(&text)
}

/// `\begin{tabular} { c | c }` and `\cline { 2 - 3 }` become one token each.
fn join_table_heads(text: &str) -> Result<String, BraceError> {
    let mut text: Cow<'_, str> = text.into();
    for name in ["tabular", "array"] {
        for end in ["begin", "end"] {
            text = text
                .replace(
                    &format!("\\{end} {{{name}}}"),
                    &format!("\\{end}{{{name}}}"),
                )
                .into();
        }
    }
    let tokens: Vec<&str> = text.split(' ').collect();
    let mut out: Vec<String> = Vec::with_capacity(tokens.len());
    let (mut at, mut headed) = (0, false);
    while let Some(&token) = tokens.get(at) {
        let rule = matches!(token, "\\cmidrule" | "\\cline");
        if !rule && (headed || token != "\\begin{tabular}") {
            out.push(token.to_string());
            at += 1;
            continue;
        }
        headed |= !rule;
        let mut end = at;
        if rule && tokens.get(at + 1) == Some(&"(") {
            end = close_of(&tokens, at + 1, ("(", ")"))?;
        }
        end = close_of(&tokens, end + 1, ("{", "}"))?;
        out.push(tokens[at..=end].concat());
        at = end + 1;
    }
    Ok(out.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        for rules in [&*SPACES, &*BEFORE, &*DELIMITERS, &*AFTER] {
            assert!(rules.iter().all(|rule| rule.pattern.is_some()));
        }
    }
}
