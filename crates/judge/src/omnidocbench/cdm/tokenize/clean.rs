//! What is done to the text before it is parsed, and to the tokens after.

/// How often each replacement is tried.
const ROUNDS: usize = 300;

/// Environments whose body is set like `aligned`.
const ALIGNED: &[&str] = &["split", "align", "alignedat", "alignat", "eqnarray"];

/// Operators with a command of their own, in the official order.
const OPERATORS: &[&str] = &[
    "arccos", "arcsin", "arctan", "arg", "cos", "cosh", "cot", "coth", "csc", "deg", "det", "dim",
    "exp", "gcd", "hom", "inf", "injlim", "ker", "lg", "lim", "liminf", "limsup", "ln", "log",
    "max", "min", "Pr", "projlim", "sec", "sin", "sinh", "sup", "tan", "tanh",
];

/// `split`, `align` and their kin become `aligned`, `smallmatrix` becomes `matrix`.
pub(super) fn rename_environments(latex: &str) -> String {
    rename(
        &rename(latex, ALIGNED, "aligned"),
        &["smallmatrix"],
        "matrix",
    )
}

fn rename(latex: &str, names: &[&str], to: &str) -> String {
    let mut out = String::with_capacity(latex.len());
    let mut rest = latex;
    while let Some(begin) = rest.find("\\begin{") {
        let (before, at) = rest.split_at(begin);
        out.push_str(before);
        match names.iter().find_map(|name| body_of(at, name)) {
            Some((body, after)) => {
                out.push_str("\\begin{");
                out.push_str(to);
                out.push('}');
                out.push_str(body);
                out.push_str("\\end{");
                out.push_str(to);
                out.push('}');
                rest = after;
            }
            None => {
                out.push('\\');
                rest = &at[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// `\begin{name}body\end{name}` (either starred) at the start of `text`: the body, at least one character, and what follows.
fn body_of<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let opened = text.strip_prefix("\\begin{")?.strip_prefix(name)?;
    let body = opened
        .strip_prefix('*')
        .unwrap_or(opened)
        .strip_prefix('}')?;
    let mut from = body.chars().next()?.len_utf8();
    let closing = format!("\\end{{{name}");
    loop {
        let at = from + body.get(from..)?.find(&closing)?;
        let tail = &body[at + closing.len()..];
        if let Some(after) = tail.strip_prefix('*').unwrap_or(tail).strip_prefix('}') {
            return Some((&body[..at], after));
        }
        from = at + 1;
    }
}

/// A line as the formula parser gets it: no comment, no `$`, no `\label`, no line breaks outside environments.
pub(super) fn clean_formula(line: &str) -> String {
    let line = line.strip_prefix('%').unwrap_or(line);
    let mut line = line
        .split('%')
        .next()
        .unwrap_or_default()
        .replace("\\~", " ");
    for _ in 0..ROUNDS {
        let before = line.len();
        let replaced = replace_first(&mut line, "\\>", " ") | replace_first(&mut line, "$", " ");
        remove_label(&mut line);
        if !replaced && before == line.len() {
            break;
        }
    }
    break_lines(&mut line);
    line.push(' ');
    for _ in 0..ROUNDS {
        let changed = replace_first(&mut line, "{\\rm", "\\mathrm{")
            | replace_first(&mut line, "{ \\rm", "\\mathrm{")
            | replace_first(&mut line, "\\rm{", "\\mathrm{");
        if !changed {
            break;
        }
    }
    line
}

/// A table as the parser gets it.
pub(super) fn clean_table(latex: &str) -> String {
    const PERCENT: &str = "<PERCENTAGE_TOKEN>";
    let code = latex.replace("\\\\%", "\\\\ %").replace("\\%", PERCENT);
    let mut line = code
        .split('%')
        .next()
        .unwrap_or_default()
        .replace(PERCENT, "\\%");
    if !line.contains("\\end{tabular}") {
        line.push_str("\\end{tabular}");
    }
    let mut line = line.replace(['\r', '\n'], " ").replace("\\~", " ");
    if let Some(rest) = line.strip_prefix('%') {
        line = rest.to_string();
    }
    for _ in 0..ROUNDS {
        let before = line.len();
        let replaced = replace_first(&mut line, "\\>", " ");
        remove_label(&mut line);
        if !replaced && before == line.len() {
            break;
        }
    }
    break_lines(&mut line);
    line.push(' ');
    line
}

/// Outside environments a line break is a thin space.
fn break_lines(line: &mut String) {
    if !["matrix", "cases", "array", "begin"]
        .iter()
        .any(|word| line.contains(word))
    {
        *line = line.replacen("\\\\", "\\,", ROUNDS);
    }
}

fn replace_first(text: &mut String, from: &str, to: &str) -> bool {
    let found = text.find(from);
    if let Some(at) = found {
        text.replace_range(at..at + from.len(), to);
    }
    found.is_some()
}

/// Deletes the first `\label{…}` that closes on its line.
fn remove_label(line: &mut String) {
    const OPEN: &str = "\\label{";
    let mut from = 0;
    while let Some(at) = line[from..].find(OPEN).map(|at| from + at) {
        let body = &line[at + OPEN.len()..];
        match body.find(['}', '\n', '\r', '\u{2028}', '\u{2029}']) {
            Some(end) if body[end..].starts_with('}') => {
                line.replace_range(at..at + OPEN.len() + end + 1, "");
                return;
            }
            _ => from = at + 1,
        }
    }
}

/// Two spellings of an escaped dollar.
pub(super) fn dollars(printed: &str) -> String {
    printed
        .replacen("SSSSSS", "$", ROUNDS)
        .replacen(" S S S S S S", "$", ROUNDS)
}

/// Deletes the first label that was parsed.
pub(super) fn without_first_label(printed: &str) -> String {
    const OPEN: &str = "\\label { ";
    let mut from = 0;
    while let Some(at) = printed[from..].find(OPEN).map(|at| from + at) {
        let body = &printed[at + OPEN.len()..];
        if let Some(end) = body.find(" }") {
            return format!("{}{}", &printed[..at], &body[end + 2..]);
        }
        from = at + 1;
    }
    printed.to_string()
}

/// Runs of blanks become one, none at the ends; blanks are what Python's `str.split` takes for them.
pub(super) fn squeeze(text: &str) -> String {
    let blank = |c: char| c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}');
    let words: Vec<&str> = text.split(blank).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// `\operatorname { s i n }` becomes `\sin`, and an array has no break before its end.
pub(super) fn name_operators(post: &str) -> String {
    const OPEN: &str = "\\operatorname {";
    let mut out = String::with_capacity(post.len());
    let mut rest = post;
    while let Some(at) = rest.find(OPEN) {
        let body = &rest[at + OPEN.len()..];
        out.push_str(&rest[..at]);
        match body
            .find('}')
            .and_then(|end| Some((operator(&body[..end])?, end)))
        {
            Some((name, end)) => {
                out.push('\\');
                out.push_str(name);
                rest = &body[end + 1..];
            }
            None => {
                out.push_str(OPEN);
                rest = body;
            }
        }
    }
    out.push_str(rest);
    out.replace("\\\\ \\end{array}", "\\end{array}")
}

/// The operator spelled with at most one blank between letters. By an oversight in the official pattern the first name
/// allows no blank before it, and the last none after it.
fn operator(spelled: &str) -> Option<&'static str> {
    let letters: String = spelled.split(' ').collect();
    let name = OPERATORS.iter().copied().find(|name| *name == letters)?;
    let wide = spelled.contains("  ");
    let first = name == "arccos" && spelled.starts_with(' ');
    let last = name == "tanh" && spelled.ends_with(' ');
    (!wide && !first && !last).then_some(name)
}
