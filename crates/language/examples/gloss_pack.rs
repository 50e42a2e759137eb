//! Makes `assets/wordnet-3.0/glosses.txt.zlib` from WordNet's files: `gloss_pack FOLDER OUT`.
//!
//! A line a noun: word, topic (lexicographer file), offset of the first hypernym, meaning. Kept are words of 3 to 14 small
//! letters in their most frequent sense whose meaning has 20 to 110 ASCII characters and does not name the word: the 450 most
//! frequent animals and foods each, and all other nouns of everyday topics that WordNet's texts use. Left out are meanings with
//! words of `LEFT_OUT`.

use std::collections::HashMap;
use std::path::Path;

/// WordNet's names of lexicographer files, from number 3 on.
const TOPICS: [&str; 26] = [
    "Tops",
    "act",
    "animal",
    "artifact",
    "attribute",
    "body",
    "cognition",
    "communication",
    "event",
    "feeling",
    "food",
    "group",
    "location",
    "motive",
    "object",
    "person",
    "phenomenon",
    "plant",
    "possession",
    "process",
    "quantity",
    "relation",
    "shape",
    "state",
    "substance",
    "time",
];
/// Topics that are kept for their common words.
const EVERYDAY: [&str; 17] = [
    "artifact",
    "plant",
    "person",
    "body",
    "act",
    "substance",
    "object",
    "cognition",
    "communication",
    "event",
    "location",
    "attribute",
    "feeling",
    "state",
    "phenomenon",
    "group",
    "possession",
];
/// Meanings with words that begin so are left out.
const LEFT_OUT: [&str; 18] = [
    "sex",
    "slur",
    "offensive",
    "disparag",
    "genital",
    "vagina",
    "penis",
    "obscene",
    "derogat",
    "negro",
    "jew",
    "nazi",
    "breast",
    "rape",
    "prostitut",
    "insult",
    "vulgar",
    "ethnic",
];

struct Noun {
    word: String,
    topic: &'static str,
    parent: String,
    text: String,
    uses: u32,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: gloss_pack FOLDER OUT".into());
    };
    // Files of WordNet are Latin-1 at most; what is kept is ASCII.
    let read = |name: &str| {
        std::fs::read(Path::new(&folder).join(name))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    let mut senses: HashMap<String, (String, u32)> = HashMap::new();
    for line in read("index.noun")?
        .lines()
        .filter(|line| !line.starts_with(' '))
    {
        let parts: Vec<&str> = line.split_whitespace().collect();
        let pointers: usize = parts[3].parse()?;
        senses.insert(
            parts[0].to_owned(),
            (parts[6 + pointers].to_owned(), parts[5 + pointers].parse()?),
        );
    }
    let mut nouns: Vec<Noun> = read("data.noun")?
        .lines()
        .filter_map(|line| noun(line, &senses))
        .collect();
    nouns.sort_by(|a, b| b.uses.cmp(&a.uses).then_with(|| a.word.cmp(&b.word)));
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut lines: Vec<String> = Vec::new();
    for noun in &nouns {
        let count = counts.entry(noun.topic).or_default();
        *count += 1;
        let kept = match noun.topic {
            "animal" | "food" => *count <= 450,
            topic => EVERYDAY.contains(&topic) && noun.uses > 0,
        };
        if kept {
            lines.push(format!(
                "{}\t{}\t{}\t{}\n",
                noun.word, noun.topic, noun.parent, noun.text
            ));
        }
    }
    lines.sort();
    println!("{} nouns", lines.len());
    std::fs::write(
        out,
        miniz_oxide::deflate::compress_to_vec_zlib(lines.concat().as_bytes(), 10),
    )?;
    Ok(())
}

fn noun(line: &str, senses: &HashMap<String, (String, u32)>) -> Option<Noun> {
    let (data, gloss) = line.split_once(" | ")?;
    let parts: Vec<&str> = data.split_whitespace().collect();
    let (offset, word) = (*parts.first()?, *parts.get(4)?);
    let topic = *TOPICS.get(parts.get(1)?.parse::<usize>().ok()?.checked_sub(3)?)?;
    let small = word.bytes().all(|b| b.is_ascii_lowercase());
    let (first, uses) = senses.get(word)?;
    if !small || !(3..=14).contains(&word.len()) || first != offset {
        return None;
    }
    let words = usize::from_str_radix(parts.get(3)?, 16).ok()?;
    let pointers: usize = parts.get(4 + 2 * words)?.parse().ok()?;
    let mut all = (0..pointers).map(|i| 5 + 2 * words + 4 * i);
    let parent = all.find(|at| parts.get(*at) == Some(&"@"))?;
    let text = gloss.split(';').next()?.trim();
    let lower = text.to_lowercase();
    let said = lower.split(|c: char| !c.is_ascii_alphanumeric());
    let names = said.clone().any(|it| {
        it.strip_prefix(word)
            .is_some_and(|rest| matches!(rest, "" | "s" | "es"))
    });
    let left_out = said
        .chain([word])
        .any(|it| LEFT_OUT.iter().any(|start| it.starts_with(start)));
    ((20..=110).contains(&text.len()) && text.is_ascii() && !names && !left_out).then(|| Noun {
        word: word.to_owned(),
        topic,
        parent: parts[parent + 1].to_owned(),
        text: text.to_owned(),
        uses: *uses,
    })
}
