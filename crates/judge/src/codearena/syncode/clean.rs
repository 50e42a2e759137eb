//! Step 3: text out of HTML. Navigation, advertisements and markup go; code stays as it is, between fences [ours].

use html5gum::{Token, Tokenizer};

/// Elements whose content is not the page's text.
const HIDDEN: &[&str] = &[
    "script", "style", "nav", "header", "footer", "aside", "form", "noscript", "template", "svg",
    "iframe", "button", "select",
];
/// Elements that begin a block of text.
const BLOCKS: &[&str] = &[
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
/// Elements without content or end tag.
const VOID: &[&str] = &[
    "br", "hr", "img", "input", "meta", "link", "wbr", "source", "col", "area", "base", "embed",
    "track",
];
/// Words in class or id that mark advertisements and furniture.
const FURNITURE: &[&str] = &[
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

/// A cleaned page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// The text, code between fences.
    pub text: String,
    /// Tag and content of each snippet.
    pub snippets: Vec<(String, String)>,
}

/// Cleans a page; plain text and markdown go through with their fences. Time grows with the length alone: the page is read
/// token by token, nothing is built of it, and how deeply it is nested does not matter.
pub fn clean(page: &str) -> Cleaned {
    if !looks_like_html(page) {
        return plain(page);
    }
    let mut writer = Writer::default();
    let mut emitter = html5gum::DefaultEmitter::<()>::default();
    emitter.naively_switch_states(true);
    let tokens = Tokenizer::new_with_emitter(page, emitter);
    for token in tokens {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                let attribute = |key: &[u8]| {
                    let value = tag.attributes.get(key)?;
                    Some(String::from_utf8_lossy(value).to_lowercase())
                };
                let marks = format!(
                    "{} {}",
                    attribute(b"class").unwrap_or_default(),
                    attribute(b"id").unwrap_or_default()
                );
                if !tag.self_closing && !VOID.contains(&name.as_str()) {
                    writer.open(&name, &marks);
                } else if BLOCKS.contains(&name.as_str()) {
                    writer.end_line();
                }
            }
            Token::EndTag(tag) => writer.close(&String::from_utf8_lossy(&tag.name)),
            Token::String(text) => writer.write(&String::from_utf8_lossy(&text)),
            _ => {}
        }
    }
    writer.finish()
}

/// The text of a page on one level, for classifiers.
pub fn page_text(page: &str) -> String {
    clean(page).text
}

fn looks_like_html(page: &str) -> bool {
    let head: String = page
        .chars()
        .take(2000)
        .flat_map(char::to_lowercase)
        .collect();
    ["<html", "<!doctype", "<body", "<div", "<p>", "<p ", "<pre"]
        .iter()
        .any(|tag| head.contains(tag))
}

/// Text and markdown: fences are found, the rest stays.
fn plain(page: &str) -> Cleaned {
    let mut cleaned = Cleaned {
        text: page.trim().to_owned(),
        ..Cleaned::default()
    };
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        let fence = line.trim_start().strip_prefix("```");
        open = match (open, fence) {
            (Some(snippet), Some(_)) => {
                cleaned.snippets.push(snippet);
                None
            }
            (None, Some(tag)) => Some((tag.trim().to_lowercase(), String::new())),
            (Some((tag, mut code)), None) => {
                code.push_str(line);
                code.push('\n');
                Some((tag, code))
            }
            (None, None) => None,
        };
    }
    cleaned.snippets.extend(open);
    cleaned
}

/// Writes the text while tags pass by.
#[derive(Default)]
struct Writer {
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
    fn open(&mut self, name: &str, marks: &str) {
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
        let furniture = FURNITURE.iter().any(|word| marks.contains(word))
            && !matches!(name, "body" | "html" | "main");
        if HIDDEN.contains(&name) || furniture {
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

    fn close(&mut self, name: &str) {
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

    fn write(&mut self, text: &str) {
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
    fn end_line(&mut self) {
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

    fn finish(mut self) -> Cleaned {
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

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn furniture_goes_and_code_stays_verbatim() {
        let page = "<html><head><title>How to sort lists</title><style>p{}</style></head><body><nav><ul><li>Home page of us</ul></nav>\
            <div class='advert-top'>Buy our very good things</div><div>More</div>\
            <p>Sorting is <b>quite</b> easy &amp; fast.</p><p><a href=x>one two three</a> <a>four five</a></p>\
            <pre><code class='language-python'>def f(a):\n    return  a &lt; 1\n</code></pre><script>if (a < b) { x() }</script>\
            <footer>All rights are reserved</footer></body></html>";
        let cleaned = clean(page);
        assert_eq!(
            cleaned.text,
            "How to sort lists\nSorting is quite easy & fast.\n```python\ndef f(a):\n    return  a < 1\n```\n"
        );
        assert_eq!(cleaned.snippets.len(), 1);
    }

    #[test]
    fn deep_and_long_pages_take_linear_time() {
        let deep = format!(
            "<html>{}some words are here{}",
            "<div><nav>".repeat(100_000),
            "</div>".repeat(100_000)
        );
        assert_eq!(clean(&deep).text, "");
        let deep = format!("<html>{}some words are here", "<div><b>".repeat(500_000));
        assert_eq!(clean(&deep).text, "some words are here\n");
        let long = format!("<p>{}</p>", "word & <i>x</i> ".repeat(300_000));
        assert!(clean(&long).text.len() > 1_000_000);
    }

    #[test]
    fn markdown_keeps_its_fences() {
        let cleaned = clean("Text here\n```C\nint x;\n```\n");
        assert_eq!(cleaned.snippets, [("c".to_owned(), "int x;\n".to_owned())]);
    }
}
