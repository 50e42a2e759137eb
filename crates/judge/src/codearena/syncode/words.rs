//! Keywords of programming languages [ours], for use without a trained classifier.

/// Telling words of languages; each counts once.
const WORDS: &[(&str, &[&str])] = &[
    (
        "python",
        &[
            "def ", "import ", "self.", "elif ", "print(", "None", "lambda ", "):\n",
        ],
    ),
    (
        "javascript",
        &[
            "function ",
            "const ",
            "let ",
            "=>",
            "console.log",
            "===",
            "document.",
        ],
    ),
    (
        "typescript",
        &[
            "interface ",
            ": string",
            ": number",
            "export type",
            "readonly ",
            "as const",
        ],
    ),
    (
        "c",
        &[
            "#include <std",
            "printf(",
            "int main(",
            "malloc(",
            "->",
            "sizeof(",
            "char *",
        ],
    ),
    (
        "cpp",
        &[
            "std::",
            "#include <iostream>",
            "cout <<",
            "template <",
            "namespace ",
            "::",
        ],
    ),
    (
        "java",
        &[
            "public class",
            "System.out",
            "private ",
            "void ",
            "new ",
            "String[]",
            "@Override",
        ],
    ),
    (
        "rust",
        &[
            "fn ", "let mut ", "impl ", "match ", "println!", "&str", "pub fn", "unwrap()",
        ],
    ),
    (
        "go",
        &[
            "package main",
            "func ",
            ":=",
            "fmt.",
            "import (",
            "err != nil",
            "chan ",
        ],
    ),
    (
        "bash",
        &[
            "#!/bin/", "echo ", "$1", "fi\n", "done\n", "then\n", "sudo ", "grep ",
        ],
    ),
    (
        "sql",
        &[
            "SELECT ",
            "FROM ",
            "WHERE ",
            "INSERT INTO",
            "CREATE TABLE",
            "JOIN ",
        ],
    ),
    (
        "html",
        &[
            "<div", "<html", "</p>", "<body", "href=", "<span", "class=\"",
        ],
    ),
    (
        "css",
        &["color:", "margin:", "{\n", "px;", "display:", "@media"],
    ),
    (
        "php",
        &["<?php", "$this->", "echo ", "function ", "array(", "=> "],
    ),
    (
        "ruby",
        &["end\n", "puts ", "require '", ".each do", "attr_", "nil"],
    ),
    (
        "perl",
        &["my $", "use strict", "sub ", "=~", "@_", "print "],
    ),
    (
        "lua",
        &["local ", "then\n", "end\n", "function ", "nil", "~="],
    ),
];

/// The language with most keywords in a snippet, and its share of all that were found.
pub fn detect(code: &str) -> Option<(String, f32)> {
    let count = |words: &[&str]| words.iter().filter(|word| code.contains(**word)).count();
    let scores = WORDS.iter().map(|(name, words)| (*name, count(words)));
    let total: usize = scores.clone().map(|(_, hits)| hits).sum();
    let (name, hits) = scores.rev().max_by_key(|(_, hits)| *hits)?;
    (hits > 0).then(|| (name.to_owned(), hits as f32 / total as f32))
}

#[cfg(test)]
mod tests {
    use super::detect;

    #[test]
    fn keywords_identify_languages() {
        let name = |code: &str| detect(code).map(|(name, _)| name);
        assert_eq!(
            name("fn main() { let mut x = 1; println!(\"{x}\"); }").as_deref(),
            Some("rust")
        );
        assert_eq!(
            name("def f(self):\n    return self.x").as_deref(),
            Some("python")
        );
        assert_eq!(name("the cat sat"), None);
    }
}
