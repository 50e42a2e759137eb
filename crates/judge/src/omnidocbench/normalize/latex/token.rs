//! LaTeX as tokens, by the rules of pylatexenc's token reader.

use super::Error;
use super::table::SPECIALS;
use crate::omnidocbench::python::is_space;

/// What the reader expects where it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// Whether square brackets delimit groups.
    pub brackets: bool,
    /// The delimiter that ends the maths around, where one does.
    pub closes: Option<&'static str>,
}

/// A token's sort.
#[derive(Clone, Debug, PartialEq)]
pub enum Sort {
    /// Plain characters.
    Chars(String),
    /// A macro's name and the blanks after it.
    Macro(String, String),
    /// `\begin{name}`.
    Begin(String),
    /// `\end{name}`.
    End(String),
    /// The blanks after a comment; its text is never needed.
    Comment(String),
    /// An opening brace or bracket.
    Open(char),
    /// A closing brace or bracket.
    Close(char),
    /// A delimiter of maths.
    Math(&'static str),
    /// A special, as its text.
    Special(&'static str),
}

/// A token with its place.
#[derive(Clone, Debug)]
pub struct Token {
    /// What it is.
    pub sort: Sort,
    /// Blanks before it.
    pub space: String,
    /// Where it begins, after the blanks.
    pub at: usize,
    /// Where it ends.
    pub end: usize,
}

/// The source and the place in it.
pub struct Reader {
    pub source: Vec<char>,
    pub at: usize,
}

impl Reader {
    /// The next token, without passing it; `None` at the end, where only blanks may remain.
    pub fn peek(&mut self, state: State, environments: bool) -> Result<Option<Token>, Error> {
        let from = self.at;
        let mut at = self.blanks(from);
        let space = &self.source[from..at];
        if space.iter().filter(|&&c| c == '\n').count() >= 2 {
            let first = space.iter().position(|&c| c == '\n').unwrap_or(0);
            let last = space.iter().rposition(|&c| c == '\n').unwrap_or(first);
            return Ok(Some(Token {
                sort: Sort::Special("\n\n"),
                space: space[..first].iter().collect(),
                at: from + first,
                end: from + last + 1,
            }));
        }
        let space: String = space.iter().collect();
        let Some(&c) = self.source.get(at) else {
            return Ok(None);
        };
        let start = at;
        let sort = if let Some(delimiter) = self.math(at, state) {
            at += delimiter.len();
            Sort::Math(delimiter)
        } else if c == '\\' {
            let (sort, end) = self.escape(at, environments)?;
            at = end;
            if matches!(&sort, Sort::Chars(_)) {
                self.at = at;
            }
            sort
        } else if c == '%' {
            let (sort, end) = self.comment(at);
            at = end;
            sort
        } else if c == '{' || (state.brackets && c == '[') {
            at += 1;
            Sort::Open(c)
        } else if c == '}' || (state.brackets && c == ']') {
            at += 1;
            Sort::Close(c)
        } else if let Some((special, text)) =
            SPECIALS.iter().find(|(special, _)| self.has(at, special))
        {
            at += special.len();
            Sort::Special(text)
        } else {
            at += 1;
            Sort::Chars(c.to_string())
        };
        Ok(Some(Token {
            sort,
            space,
            at: start,
            end: at,
        }))
    }

    /// The next token, passed.
    pub fn next(&mut self, state: State, environments: bool) -> Result<Option<Token>, Error> {
        let token = self.peek(state, environments)?;
        if let Some(token) = &token {
            self.at = token.end;
        }
        Ok(token)
    }

    /// First place at or after `at` that holds no blank.
    pub fn blanks(&self, at: usize) -> usize {
        let rest = self.source.get(at..).unwrap_or_default();
        at + rest.iter().take_while(|&&c| is_space(c)).count()
    }

    fn has(&self, at: usize, text: &str) -> bool {
        let rest = self.source.get(at..).unwrap_or_default();
        text.chars()
            .enumerate()
            .all(|(i, c)| rest.get(i) == Some(&c))
    }

    fn math(&self, at: usize, state: State) -> Option<&'static str> {
        if let Some(close) = state.closes
            && self.has(at, close)
        {
            return Some(close);
        }
        ["$$", "\\(", "\\)", "\\[", "\\]", "$"]
            .into_iter()
            .find(|delimiter| self.has(at, delimiter))
    }

    /// A macro, or the beginning or end of an environment.
    fn escape(&self, at: usize, environments: bool) -> Result<(Sort, usize), Error> {
        let alphabetic = |at: usize| self.source.get(at).is_some_and(char::is_ascii_alphabetic);
        if environments {
            for word in ["begin", "end"] {
                let after = at + 1 + word.len();
                if self.has(at + 1, word) && !alphabetic(after) {
                    return Ok(match self.environment_name(after) {
                        Some((name, end)) if word == "begin" => (Sort::Begin(name), end),
                        Some((name, end)) => (Sort::End(name), end),
                        None => (Sort::Chars(format!("\\{word}")), after),
                    });
                }
            }
        }
        // pylatexenc never gets past a lonely backslash at the end.
        let &c = self.source.get(at + 1).ok_or(Error::LonelyBackslash)?;
        let mut end = at + 2;
        if !c.is_ascii_alphabetic() {
            return Ok((Sort::Macro(c.to_string(), String::new()), end));
        }
        while alphabetic(end) {
            end += 1;
        }
        let name = self.source[at + 1..end].iter().collect();
        let (blanks, end) = self.blanks_in_paragraph(end);
        Ok((Sort::Macro(name, blanks), end))
    }

    fn environment_name(&self, at: usize) -> Option<(String, usize)> {
        let open = self.blanks(at);
        if self.source.get(open) != Some(&'{') {
            return None;
        }
        let allowed = |c: &char| c.is_ascii_alphanumeric() || "*._ :/!^()[]-".contains(*c);
        let name: String = self.source[open + 1..]
            .iter()
            .take_while(|c| allowed(c))
            .collect();
        let close = open + 1 + name.len();
        (!name.is_empty() && self.source.get(close) == Some(&'}')).then_some((name, close + 1))
    }

    fn comment(&self, at: usize) -> (Sort, usize) {
        let rest = &self.source[at..];
        match rest.iter().position(|&c| c == '\n') {
            None => (Sort::Comment(String::new()), self.source.len()),
            Some(offset) => {
                let (blanks, end) = self.blanks_in_paragraph(at + offset);
                (Sort::Comment(blanks), end)
            }
        }
    }

    /// The blanks at `at`, up to the first newline where they hold an empty line.
    fn blanks_in_paragraph(&self, at: usize) -> (String, usize) {
        let mut end = self.blanks(at);
        let blanks = &self.source[at..end];
        if blanks.iter().filter(|&&c| c == '\n').count() >= 2 {
            end = at + blanks.iter().position(|&c| c == '\n').unwrap_or(0);
        }
        (self.source[at..end].iter().collect(), end)
    }
}
