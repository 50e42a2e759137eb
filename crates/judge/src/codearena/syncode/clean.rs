//! Step 3: text out of HTML. Navigation, advertisements and markup go; code stays as it is, between fences [ours].

use html5gum::{Token, Tokenizer};

mod writer;

use writer::{BLOCKS, Writer};

/// Elements without content or end tag.
const VOID: &[&str] = &[
    "br", "hr", "img", "input", "meta", "link", "wbr", "source", "col", "area", "base", "embed",
    "track",
];
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

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn boilerplate_goes_and_code_stays_verbatim() {
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
