//! Step 2: the language of a page's code. Fences that name it are believed; other snippets go to a character-n-gram
//! classifier trained on sources, or, without one, to a table of telling words [ours].

use std::collections::BTreeMap;
use std::path::Path;

use engine::rng::Rng;
use serde_json::json;

use super::clean::clean;
use super::ngram::{Classifier, Grams};
use super::stage::{Fate, text};
use crate::codearena::fingerprint;
use crate::codearena::jsonl::Record;
use crate::codearena::sandbox::Language;

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

/// Who tells the language of a snippet that names none.
#[derive(Debug)]
pub enum Teller {
    /// A trained classifier.
    Model(Box<Classifier>),
    /// The table of telling words.
    Words,
}

impl Teller {
    /// The language of a snippet with a confidence in `[0, 1]`.
    pub fn tell(&self, code: &str) -> Option<(String, f32)> {
        match self {
            Self::Model(model) => model.best(code).map(|(label, p)| (label.to_owned(), p)),
            Self::Words => {
                let count =
                    |words: &[&str]| words.iter().filter(|word| code.contains(**word)).count();
                let scores = WORDS.iter().map(|(name, words)| (*name, count(words)));
                let total: usize = scores.clone().map(|(_, hits)| hits).sum();
                let best = scores
                    .rev()
                    .max_by_key(|(_, hits)| *hits)
                    .filter(|(_, hits)| *hits > 0)?;
                Some((best.0.to_owned(), best.1 as f32 / total as f32))
            }
        }
    }
}

/// Trains a classifier on a folder of sources, whose endings name their languages.
///
/// # Errors
/// What the folder lacks.
pub fn train(folder: &Path, rng: &Rng) -> Result<Classifier, String> {
    const MOST_FILES: usize = 20_000;
    const SNIPPET: usize = 1_500;
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut open, mut files) = (vec![folder.to_owned()], 0);
    while let Some(folder) = open.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        entries.sort_by_key(std::fs::DirEntry::path);
        for entry in entries {
            let path = entry.path();
            // Links are not followed: they may lead in circles.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(path),
                Ok(kind) if kind.is_file() && files < MOST_FILES => {
                    let ending = path
                        .extension()
                        .and_then(|ending| ending.to_str())
                        .unwrap_or_default();
                    let (Some(language), Ok(bytes)) = (by_ending(ending), std::fs::read(&path))
                    else {
                        continue;
                    };
                    files += 1;
                    let text = String::from_utf8_lossy(&bytes);
                    let middle: String = text.chars().skip(text.len() / 3).take(SNIPPET).collect();
                    texts.entry(language).or_default().push(middle);
                }
                _ => {}
            }
        }
    }
    if texts.len() < 2 {
        return Err("the folder holds sources of fewer than two languages".into());
    }
    let labels: Vec<String> = texts.keys().cloned().collect();
    // The rarest language must not drown: at most four times its number of each other one.
    let most = 4 * texts.values().map(Vec::len).min().unwrap_or(1).max(25);
    let samples: Vec<(&str, usize)> = texts
        .values()
        .enumerate()
        .flat_map(|(label, texts)| {
            texts
                .iter()
                .take(most)
                .map(move |text| (text.as_str(), label))
        })
        .collect();
    Ok(Classifier::train(
        Grams::Characters,
        &labels,
        &samples,
        5,
        rng,
    ))
}

fn by_ending(ending: &str) -> Option<String> {
    let name = match ending {
        "h" => "c",
        "hpp" | "cxx" => "cpp",
        "mjs" => "javascript",
        "html" | "htm" => "html",
        "css" => "css",
        other => Language::named(other)?.name,
    };
    Some(name.to_owned())
}

/// What is kept of the languages.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Languages to keep; all when empty.
    pub keep: Vec<String>,
    /// Shares of pages to keep of languages that there are too many of, 0 to 1.
    pub shares: BTreeMap<String, f64>,
}

/// Tells the language of a page: that of most of its code. Pages without code are dropped.
pub fn judge(teller: &Teller, page: &Record, wanted: &Wanted) -> Fate {
    let cleaned = clean(text(page, "text"));
    let mut votes: BTreeMap<String, (f32, f32)> = BTreeMap::new();
    for (tag, code) in &cleaned.snippets {
        let named = Language::named(tag).map(|language| (language.name.to_owned(), 1.0));
        if let Some((language, p)) = named.or_else(|| teller.tell(code)) {
            let (weight, sure) = votes.entry(language).or_default();
            *weight += code.len() as f32 * p;
            *sure = sure.max(p);
        }
    }
    let best = votes.into_iter().max_by(|a, b| a.1.0.total_cmp(&b.1.0));
    let Some((language, (_, p))) = best else {
        return Fate::Drop("no code".into());
    };
    if !wanted.keep.is_empty() && !wanted.keep.contains(&language) {
        return Fate::Drop(format!("language {language}"));
    }
    if let Some(share) = wanted.shares.get(&language) {
        let place = fingerprint(&[text(page, "text")]) as f64 / u64::MAX as f64;
        if place >= *share {
            return Fate::Drop(format!("enough {language}"));
        }
    }
    let mut page = page.clone();
    page.insert("lang".into(), json!(language));
    page.insert("p_lang".into(), json!((p * 1e4).round() / 1e4));
    Fate::Keep(page)
}
