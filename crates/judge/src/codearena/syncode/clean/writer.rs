//! Boilerplate removal: the lines of a page that are its text, and code between fences.

use super::Cleaned;

/// Elements whose content is not the page's text.
const HIDDEN: &[&str] = &[
    "script", "style", "nav", "header", "footer", "aside", "form", "noscript", "template", "svg",
    "iframe", "button", "select",
];
/// Elements that begin a block of text.
pub(super) const BLOCKS: &[&str] = &[
    "p",
    "div",
    "section",
    "article",
    "main",
    "li",
    "ul",
    "ol",
    "table",
    "tr",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "br",
    "hr",
    "blockquote",
    "dl",
    "dt",
    "dd",
    "body",
    "html",
    "title",
    "figure",
    "figcaption",
    "details",
    "summary",
];
/// Words in class or id that mark advertisements and other boilerplate.
const BOILERPLATE: &[&str] = &[
    "advert",
    "banner",
    "cookie",
    "sidebar",
    "breadcrumb",
    "newsletter",
    "social",
    "navbar",
    "sponsor",
    "promo",
];
/// A block with more of its letters in links is navigation.
const LINK_DENSITY: f64 = 0.5;
/// Words that a line must have outside code.
const FEWEST_WORDS: usize = 3;

/// Writes the text while tags pass by.
#[derive(Default)]
pub(super) struct Writer {
    out: Cleaned,
    /// Open elements that hide their content, and how deep inside each name is open again.
    hidden: Option<(String, usize)>,
    /// Language and text of the snippet being read, and how many `pre` are open.
    code: Option<(String, String, usize)>,
    line: String,
    /// Letters of the line, and those in links.
    letters: usize,
    linked: usize,
    links: usize,
}

impl Writer {
    pub(super) fn open(&mut self, name: &str, marks: &str) {
        if let Some((hider, depth)) = &mut self.hidden {
            *depth += usize::from(hider == name);
            return;
        }
        if let Some((language, _, depth)) = &mut self.code {
            *depth += usize::from(name == "pre");
            if language.is_empty() {
                *language = language_of(marks);
            }
            return;
        }
        let boilerplate = BOILERPLATE.iter().any(|word| marks.contains(word))
            && !matches!(name, "body" | "html" | "main");
        if HIDDEN.contains(&name) || boilerplate {
            self.end_line();
            self.hidden = Some((name.to_owned(), 1));
            return;
        }
        match name {
            "pre" => {
                self.end_line();
                self.code = Some((language_of(marks), String::new(), 1));
            }
            "code" => self.line.push('`'),
            "a" => self.links += 1,
            _ if BLOCKS.contains(&name) => self.end_line(),
            _ => {}
        }
    }

    pub(super) fn close(&mut self, name: &str) {
        if let Some((hider, depth)) = &mut self.hidden {
            *depth -= usize::from(hider == name);
            if *depth == 0 {
                self.hidden = None;
            }
            return;
        }
        if let Some((_, _, depth)) = &mut self.code {
            *depth -= usize::from(name == "pre");
            if *depth == 0 {
                self.end_code();
            }
            return;
        }
        match name {
            "code" => self.line.push('`'),
            "a" => self.links = self.links.saturating_sub(1),
            _ if BLOCKS.contains(&name) => self.end_line(),
            _ => {}
        }
    }

    pub(super) fn write(&mut self, text: &str) {
        if self.hidden.is_some() {
            return;
        }
        if let Some((_, code, _)) = &mut self.code {
            code.push_str(text);
            return;
        }
        for c in text.chars() {
            if c.is_whitespace() {
                if !self.line.ends_with(' ') && !self.line.is_empty() {
                    self.line.push(' ');
                }
                continue;
            }
            self.line.push(c);
            self.letters += 1;
            self.linked += usize::from(self.links > 0);
        }
    }

    /// Ends a line of text; navigation and scraps go.
    pub(super) fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = line.trim();
        let dense = self.linked as f64 > LINK_DENSITY * self.letters as f64;
        if !dense && line.split_whitespace().count() >= FEWEST_WORDS {
            self.out.text.push_str(line);
            self.out.text.push('\n');
        }
        (self.letters, self.linked) = (0, 0);
    }

    fn end_code(&mut self) {
        let Some((language, code, _)) = self.code.take() else {
            return;
        };
        let code = code.trim_matches('\n').to_owned();
        if code.trim().is_empty() {
            return;
        }
        // A fence longer than any inside.
        let inside = code
            .lines()
            .map(|line| line.trim_start().bytes().take_while(|b| *b == b'`').count())
            .max();
        let fence = "`".repeat(3.max(inside.unwrap_or(0) + 1));
        self.out
            .text
            .push_str(&format!("{fence}{language}\n{code}\n{fence}\n"));
        self.out.snippets.push((language, code));
    }

    pub(super) fn finish(mut self) -> Cleaned {
        self.end_line();
        self.end_code();
        self.out
    }
}

/// The language that a class such as `highlight-python` or `lang-c` names.
fn language_of(marks: &str) -> String {
    let named = marks.split_whitespace().find_map(|class| {
        let name = ["language-", "lang-", "highlight-", "brush:"]
            .iter()
            .find_map(|prefix| class.strip_prefix(prefix))?;
        Some(name.to_owned())
    });
    named.unwrap_or_default()
}
