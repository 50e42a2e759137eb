//! Packs the synonyms of WordNet for METEOR.
//!
//! `cargo run --release --workspace --example wordnet_pack -- WORDNET_FOLDER assets/wordnet-3.0/synonyms.txt.zlib`

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;

/// Files of a part of speech, and how lines of sets and of forms begin.
const SPEECH: [(&str, &str, &str); 4] = [
    ("noun", "n", "N"),
    ("verb", "v", "V"),
    ("adj", "a", "A"),
    ("adv", "r", "R"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [folder, out] = given.as_slice() else {
        return Err("give WordNet's folder (with `data.noun`) and the file to write".into());
    };
    let mut lines = BTreeSet::new();
    for (name, set, form) in SPEECH {
        let read = |file: String| std::fs::read_to_string(Path::new(folder).join(file));
        for line in read(format!("data.{name}"))?
            .lines()
            .filter(|line| !line.starts_with(' '))
        {
            lines.extend(members(line).map(|members| format!("{set} {}", members.join(" "))));
        }
        // Of a form that is listed twice the last line counts.
        let mut forms = BTreeMap::new();
        for line in read(format!("{name}.exc"))?
            .lines()
            .filter(|line| !line.contains('_'))
        {
            let words: Vec<&str> = line.split_whitespace().collect();
            forms.insert(
                words.first().copied().unwrap_or_default().to_owned(),
                words.join(" "),
            );
        }
        lines.extend(forms.into_values().map(|words| format!("{form} {words}")));
    }
    let text: String = lines.into_iter().map(|line| line + "\n").collect();
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(text.as_bytes(), 10);
    println!("{} bytes, packed {}", text.len(), packed.len());
    Ok(std::fs::write(out, packed)?)
}

/// The one-part words of a set, as written, without the marks of adjectives; none where no word is in lower case, for
/// stems are.
fn members(line: &str) -> Option<Vec<&str>> {
    let mut fields = line.split(' ').skip(3);
    let count = usize::from_str_radix(fields.next()?, 16).ok()?;
    let words = fields
        .step_by(2)
        .take(count)
        .map(|word| word.split('(').next().unwrap_or(word));
    let words: Vec<&str> = words.filter(|word| !word.contains('_')).collect();
    words
        .iter()
        .any(|word| word.to_lowercase() == **word)
        .then_some(words)
}
