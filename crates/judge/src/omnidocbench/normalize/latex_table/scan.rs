//! Where tabulars, rows, cells and arguments begin and end. Nothing here recurses.

/// Environments that hold rows and cells, with the number of arguments before the columns.
const TABULARS: [(&str, usize); 8] = [
    ("tabular", 0),
    ("tabular*", 1),
    ("tabularx", 1),
    ("tabulary", 1),
    ("longtable", 0),
    ("longtable*", 0),
    ("supertabular", 0),
    ("array", 0),
];

/// Commands that leave nothing, with the number of their arguments; optional ones may stand before each.
const RULES: [(&str, usize); 29] = [
    ("\\hline", 0),
    ("\\toprule", 0),
    ("\\midrule", 0),
    ("\\bottomrule", 0),
    ("\\thickhline", 0),
    ("\\Xhline", 1),
    ("\\cline", 1),
    ("\\cmidrule", 1),
    ("\\hhline", 1),
    ("\\cdashline", 1),
    ("\\hdashline", 0),
    ("\\specialrule", 3),
    ("\\addlinespace", 0),
    ("\\morecmidrules", 0),
    ("\\noalign", 1),
    ("\\rowcolor", 1),
    ("\\cellcolor", 1),
    ("\\columncolor", 1),
    ("\\arrayrulecolor", 1),
    ("\\endhead", 0),
    ("\\endfirsthead", 0),
    ("\\endfoot", 0),
    ("\\endlastfoot", 0),
    ("\\centering", 0),
    ("\\color", 1),
    ("\\textcolor", 1),
    // Of these the last argument stays.
    ("\\makecell", 0),
    ("\\shortstack", 0),
    ("\\thead", 0),
];

/// What a scan meets.
enum Token<'a> {
    /// A backslash with the letters, or the one character, after it.
    Command(&'a str),
    /// `\begin{name}` or `\end{name}`, whole.
    Begin(&'a str),
    End(&'a str),
    Other(char),
}

/// The token at the start of `text`, which is not empty, and its length in bytes.
fn token(text: &str) -> Option<(Token<'_>, usize)> {
    let first = text.chars().next()?;
    if first != '\\' {
        return Some((Token::Other(first), first.len_utf8()));
    }
    let letters = text[1..]
        .bytes()
        .take_while(u8::is_ascii_alphabetic)
        .count();
    let length = match letters {
        0 => 1 + text[1..].chars().next().map_or(0, char::len_utf8),
        letters => 1 + letters,
    };
    let command = &text[..length];
    let name = |text: &'_ str| -> Option<usize> { text.strip_prefix('{')?.find('}') };
    if let ("\\begin" | "\\end", Some(end)) = (command, name(&text[length..])) {
        let name = &text[length + 1..length + 1 + end];
        let token = match command {
            "\\begin" => Token::Begin(name),
            _ => Token::End(name),
        };
        return Some((token, length + end + 2));
    }
    Some((Token::Command(command), length))
}

/// What stands inside the outermost tabulars, without the arguments at their beginning. One that is not closed ends with
/// the text.
pub(super) fn bodies(latex: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut open: Option<(&str, usize, usize)> = None;
    let mut at = 0;
    while let Some((token, length)) = token(&latex[at..]) {
        at += length;
        match (token, &mut open) {
            (Token::Begin(name), None) => {
                if let Some((_, before)) = TABULARS.iter().find(|(tabular, _)| *tabular == name) {
                    let rest = &latex[at..];
                    let start = at + rest.len() - arguments(rest, before + 1).1.len();
                    open = Some((name, start, 1));
                    at = start;
                }
            }
            (Token::Begin(name), Some((tabular, _, depth))) if name == *tabular => *depth += 1,
            (Token::End(name), Some((tabular, start, depth))) if name == *tabular => {
                *depth -= 1;
                if *depth == 0 {
                    found.push(&latex[*start..at - length]);
                    open = None;
                }
            }
            _ => {}
        }
    }
    found.extend(open.map(|(_, start, _)| &latex[start..]));
    found
}

/// The first `count` arguments in braces of `text`, without these, and what follows. Optional ones in brackets or
/// parentheses, stars and blanks between them go; of an argument without braces the next character counts.
pub(super) fn arguments(text: &str, count: usize) -> (Vec<&str>, &str) {
    let mut found = Vec::new();
    let mut rest = optional(text);
    while found.len() < count {
        if rest.starts_with('{') {
            let end = closing(rest);
            found.push(rest.get(1..end).unwrap_or(""));
            rest = rest.get(end + 1..).unwrap_or("");
        } else {
            let Some((_, length)) = token(rest) else {
                break;
            };
            found.push(&rest[..length]);
            rest = &rest[length..];
        }
        if found.len() < count {
            rest = optional(rest);
        }
    }
    (found, rest)
}

/// Without the optional arguments, stars and blanks at the beginning.
fn optional(text: &str) -> &str {
    let mut rest = text;
    loop {
        let bare = rest.trim_start();
        let close = match bare.chars().next() {
            Some('[') => ']',
            Some('(') => ')',
            _ => return bare,
        };
        match bare.find(close) {
            Some(end) => rest = &bare[end + 1..],
            None => return bare,
        }
    }
}

/// Where the group closes that `text` begins with; its length when it does not.
fn closing(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some((token, length)) = token(&text[at..]) {
        match token {
            Token::Other('{') => depth += 1,
            Token::Other('}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
        at += length;
    }
    text.len()
}

/// The cells of a tabular's rows. What stands after the last row's end is no row when it is blank.
pub(super) fn rows(body: &str) -> Vec<Vec<&str>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let (mut depth, mut maths) = (0_i64, false);
    let (mut start, mut at) = (0, 0);
    while let Some((token, length)) = token(&body[at..]) {
        let flat = depth <= 0 && !maths;
        match token {
            Token::Other('{') | Token::Begin(_) => depth += 1,
            Token::Other('}') | Token::End(_) => depth -= 1,
            Token::Other('$') if depth <= 0 => maths = !maths,
            Token::Other('&') if flat => {
                row.push(&body[start..at]);
                start = at + length;
            }
            Token::Command("\\\\" | "\\tabularnewline" | "\\cr") if depth <= 0 => {
                row.push(&body[start..at]);
                rows.push(std::mem::take(&mut row));
                maths = false;
                let after = &body[at + length..];
                let after = after.strip_prefix('*').unwrap_or(after);
                let skipped = match after.strip_prefix('[').and_then(|size| size.find(']')) {
                    Some(end) => &after[end + 2..],
                    None => after,
                };
                at = body.len() - skipped.len();
                start = at;
                continue;
            }
            _ => {}
        }
        at += length;
    }
    let last = body.get(start..).unwrap_or("");
    if !row.is_empty() || !without_rules(last).trim().is_empty() {
        row.push(last);
        rows.push(row);
    }
    rows.retain(|row| {
        row.len() > 1
            || row
                .iter()
                .any(|cell| !without_rules(cell).trim().is_empty())
    });
    rows
}

/// A cell without rules, colours and what else leaves nothing.
pub(super) fn without_rules(cell: &str) -> String {
    let mut kept = String::with_capacity(cell.len());
    let mut at = 0;
    while let Some((found, length)) = token(&cell[at..]) {
        let rule = match found {
            Token::Command(name) => RULES.iter().find(|(rule, _)| *rule == name),
            _ => None,
        };
        match rule {
            Some(&(_, count)) => {
                let rest = &cell[at + length..];
                let after = match count {
                    // Blanks after a command without arguments end its name.
                    0 if !rest.trim_start().starts_with('[') => rest.trim_start(),
                    count => arguments(rest, count).1,
                };
                at = cell.len() - after.len();
            }
            None => {
                kept.push_str(&cell[at..at + length]);
                at += length;
            }
        }
    }
    kept
}
