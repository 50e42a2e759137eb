//! Which tokens can be seen, and where their colours begin and end.
//!
//! The official code writes a colour command around every visible token and later looks for pixels of that colour. The
//! token list and the nesting of colours come out of one pass over the tokens, which this follows, including its habit of
//! not noticing that a group grew by the closing braces it had inserted.

use super::braces::{
    BRACKETED, BraceError, DRAWN_ONE, DRAWN_TWO, PLACED_TWO, STYLED_ONE, close_of,
};

const SKIPPED: &[&str] = &[
    "\\",
    "\\\\",
    "\\index",
    "\\a",
    "&",
    "$",
    "\\multirow",
    "\\def",
    "\\raggedright",
    "\\url",
    "\\cr",
    "\\ensuremath",
    "\\left",
    "\\right",
    "\\mathchoice",
    "\\scriptstyle",
    "\\displaystyle",
    "\\qquad",
    "\\quad",
    "\\,",
    "\\!",
    "~",
    "\\boldmath",
];
/// Commands whose argument cannot be seen.
const PHANTOMS: &[&str] = &[
    "\\fontfamily",
    "\\vphantom",
    "\\phantom",
    "\\rowcolor",
    "\\ref",
];

/// One token of the coloured formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Painted {
    /// The token.
    pub text: String,
    /// The colour that begins before it: an index into [`Coloured::visible`].
    pub colour: Option<usize>,
    /// Whether that colour ends right after the token, else at a later closing brace.
    pub alone: bool,
    /// Whether token and colour stand in braces of their own.
    pub braced: bool,
}

impl AsRef<str> for Painted {
    /// The token, where it is still plain: painted ones open or close no group.
    fn as_ref(&self) -> &str {
        match self.colour {
            None => &self.text,
            Some(_) => "",
        }
    }
}

/// A formula with a colour for each visible token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coloured {
    /// All tokens, in order.
    pub tokens: Vec<Painted>,
    /// The visible ones, in the order of their colours.
    pub visible: Vec<String>,
}

/// Colours the visible tokens of a formula that [`super::normalize_latex`] made.
///
/// # Errors
/// [`BraceError`] where a command stands without its argument.
pub fn colour(normalized: &str) -> Result<Coloured, BraceError> {
    let blank = |c: char| c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}');
    let tokens = normalized
        .trim_matches(blank)
        .split(' ')
        .map(plain)
        .collect();
    let mut coloured = Coloured {
        tokens,
        visible: Vec::new(),
    };
    let mut at = 0;
    while at < coloured.tokens.len() {
        at = coloured.step(at, false)?;
    }
    Ok(coloured)
}

fn plain(text: &str) -> Painted {
    Painted {
        text: text.into(),
        colour: None,
        alone: false,
        braced: false,
    }
}

impl Coloured {
    /// The token at `at` where it is plain, else an empty text.
    fn token(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", AsRef::as_ref)
    }

    fn close(&self, start: usize) -> Result<usize, BraceError> {
        close_of(&self.tokens, start, ("{", "}"))
    }

    fn paint(&mut self, at: usize, alone: bool, braced: bool) {
        if let Some(token) = self.tokens.get_mut(at) {
            self.visible.push(token.text.clone());
            (token.colour, token.alone, token.braced) =
                (Some(self.visible.len() - 1), alone, braced);
        }
    }

    /// Paints a command whose colour reaches over its arguments up to `end`.
    fn paint_over(&mut self, at: usize, end: usize, braced: bool) {
        self.paint(at, false, braced);
        self.tokens
            .insert(end + 1, plain(if braced { "}}" } else { "}" }));
    }

    /// Paints what stands at `at`, if it can be seen, and gives the place to go on at.
    fn step(&mut self, at: usize, braced: bool) -> Result<usize, BraceError> {
        let token = self.token(at).to_string();
        let listed = |names: &[&str]| names.contains(&token.as_str());
        if token.is_empty() {
            self.repaint(at);
            return Ok(at + 1);
        }
        if listed(PHANTOMS) {
            if at + 1 >= self.tokens.len() {
                return Err(BraceError::Argument(token));
            }
            let end = if self.token(at + 1) == "{" {
                self.close(at + 1)?
            } else {
                at + 1
            };
            return Ok(end + 1);
        }
        if listed(DRAWN_TWO) {
            let upper = self.close(at + 1)?;
            let lower = self.close(upper + 1)?;
            self.paint_over(at, lower, false);
            return Ok(at + 1);
        }
        if listed(DRAWN_ONE) {
            let end = self.close(at + 1)?;
            let braced = token != "\\underbrace" && self.token(end + 1) == "_";
            self.paint_over(at, end, braced);
            return Ok(at + 1);
        }
        if listed(STYLED_ONE) {
            let end = self.close(at + 1)?;
            if end == at + 3 {
                self.paint(at + 2, true, false);
            } else {
                self.walk(at + 2, end, false)?;
            }
            return Ok(end + 1);
        }
        if listed(BRACKETED) {
            return self.bracketed(at);
        }
        if matches!(token.as_str(), "\\multicolumn" | "\\multirow") {
            let second = self.close(at + 1)? + 1;
            let third = self.close(second)? + 1;
            let end = self.close(third)?;
            self.walk(third + 1, end, false)?;
            return Ok(end + 1);
        }
        if listed(SKIPPED) || listed(PLACED_TWO) || skipped(&token) {
            let single = token == "[" && self.before(at, 1) != "\\sqrt"
                || token == "]" && at >= 3 && self.before(at, 3) != "\\sqrt";
            if single {
                self.paint(at, true, false);
            }
            return Ok(at + 1);
        }
        let braced = braced || at > 1 && self.token(at - 1) == "_";
        self.paint(at, true, braced);
        Ok(at + 1)
    }

    /// What is painted already is taken for one more visible token, which nothing of is left to see.
    fn repaint(&mut self, at: usize) {
        if let Some(Painted {
            text,
            colour: Some(colour),
            alone,
            braced: false,
        }) = self.tokens.get(at)
            && !text.contains("line")
            && !text.contains("rule")
        {
            let end = if *alone { "}" } else { "" };
            self.visible
                .push(format!("\\mathcolor[RGB]{{<color_{colour}>}}{{{text}{end}"));
        }
    }

    /// The token `back` places before `at`, counted from the end where that lies before the first.
    fn before(&self, at: usize, back: usize) -> &str {
        self.token(
            at.checked_sub(back)
                .unwrap_or(self.tokens.len().saturating_sub(back - at.min(back))),
        )
    }

    /// `\sqrt`, `\xrightarrow`: an optional argument in brackets, then one in braces.
    fn bracketed(&mut self, at: usize) -> Result<usize, BraceError> {
        let (optional, body) = match self.token(at + 1) {
            "{" => (None, at + 1),
            "[" => {
                let end = close_of(&self.tokens, at + 1, ("[", "]"))?;
                (Some((at + 2, end)), end + 1)
            }
            _ => return Err(BraceError::Argument(self.token(at).into())),
        };
        let end = self.close(body)?;
        self.paint_over(at, end, false);
        if let Some((from, to)) = optional {
            self.walk(from, to, true)?;
        }
        self.walk(body + 1, end, false)?;
        Ok(end + 1)
    }

    fn walk(&mut self, from: usize, to: usize, braced: bool) -> Result<(), BraceError> {
        let mut at = from;
        while at < to {
            at = self.step(at, braced)?;
        }
        Ok(())
    }
}

/// Tokens that only arrange others.
fn skipped(token: &str) -> bool {
    let after = |prefix: &str| {
        token
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.contains('}'))
    };
    token.starts_with(['{', '}', '[', ']', '^', '_'])
        || after("\\begin{")
        || after("\\end{")
        || token
            .strip_prefix('\\')
            .is_some_and(|rest| rest.contains("rule") || rest.contains("line"))
}
