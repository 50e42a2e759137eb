//! The text of web pages: what is read on them, without what surrounds it.

use html5gum::{Token, Tokenizer};

/// Elements whose contents are not text of the page.
const DROPPED: [&str; 15] = [
    "script", "style", "nav", "header", "footer", "aside", "form", "noscript", "template", "svg",
    "iframe", "button", "select", "head", "object",
];
/// Elements that stand on lines of their own.
const BLOCKS: [&str; 33] = [
    "address",
    "article",
    "blockquote",
    "br",
    "caption",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "main",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "tbody",
    "tfoot",
    "thead",
    "tr",
    "ul",
];
/// Deepest nesting of dropped elements that is followed.
const DEEPEST: usize = 1000;

/// The text of an HTML page or fragment: entities decoded, white space normalised, a line a block, `- ` before items of lists,
/// code as it is.
pub fn extract(html: &str) -> String {
    let mut text = Text::default();
    // Names of the dropped elements that are open, the outermost first.
    let mut dropped: Vec<String> = Vec::new();
    let mut code = 0usize;
    for token in Tokenizer::new(html) {
        let token = match token {
            Ok(token) => token,
            Err(never) => match never {},
        };
        match token {
            Token::StartTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                if DROPPED.contains(&name.as_str()) {
                    if !tag.self_closing && dropped.len() < DEEPEST {
                        dropped.push(name);
                    }
                } else if dropped.is_empty() {
                    code += usize::from(name == "pre");
                    text.tag(&name);
                    if name == "li" {
                        text.put("- ");
                    }
                }
            }
            Token::EndTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                if let Some(at) = dropped.iter().rposition(|open| *open == name) {
                    dropped.truncate(at);
                } else if dropped.is_empty() {
                    code = code.saturating_sub(usize::from(name == "pre"));
                    text.tag(&name);
                }
            }
            Token::String(string) if dropped.is_empty() => {
                let string = String::from_utf8_lossy(&string);
                match code {
                    0 => text.flow(&string),
                    _ => text.put(&string),
                }
            }
            _ => {}
        }
    }
    text.finish()
}

#[derive(Default)]
struct Text {
    out: String,
    blank: bool,
}

impl Text {
    fn tag(&mut self, name: &str) {
        if BLOCKS.contains(&name) {
            while self.out.ends_with(' ') {
                self.out.pop();
            }
            if !self.out.is_empty() && !self.out.ends_with('\n') {
                self.out.push('\n');
            }
            self.blank = false;
        } else if matches!(name, "td" | "th") {
            self.blank = true;
        }
    }

    /// Text as it is.
    fn put(&mut self, text: &str) {
        self.blank = false;
        self.out.push_str(text);
    }

    /// Text whose white space means a blank.
    fn flow(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() {
                self.blank = true;
                continue;
            }
            if std::mem::take(&mut self.blank)
                && !self.out.is_empty()
                && !self.out.ends_with(['\n', ' '])
            {
                self.out.push(' ');
            }
            self.out.push(c);
        }
    }

    /// Without items that hold nothing and more than one empty line in a row.
    fn finish(self) -> String {
        let mut lines: Vec<&str> = Vec::new();
        for line in self.out.lines() {
            let line = line.trim_end();
            let empty = line.is_empty();
            if line == "-" || (empty && lines.last().is_none_or(|last| last.is_empty())) {
                continue;
            }
            lines.push(line);
        }
        while lines.last().is_some_and(|line| line.is_empty()) {
            lines.pop();
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_lose_what_surrounds_their_text() {
        let page = "<html><head><title>t</title></head><body><nav><a>Home</a></nav><h1>A &amp; B</h1>\
            <p>One\n  <b>two</b>&nbsp;three.</p><script>x < 1</script><ul><li>first<li>second</ul>\
            <pre>a\n  b</pre><footer>(c)</footer></body>";
        assert_eq!(
            extract(page),
            "A & B\nOne two three.\n- first\n- second\na\n  b"
        );
    }

    #[test]
    fn broken_pages_are_read_too() {
        assert_eq!(extract("<p>a</nav></p><nav><p>b</p>"), "a");
        assert_eq!(extract("x <y"), "x");
        assert_eq!(extract(""), "");
        let deep = "<nav>".repeat(100_000) + "x";
        assert_eq!(extract(&deep), "");
    }
}
