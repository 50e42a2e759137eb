//! One spelling for words that people write in several ways: case, accents, kana, Arabic letters, endings.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Plurals and short forms of English that endings do not show.
const IRREGULAR: &[(&str, &str)] = &[
    ("mice", "mouse"),
    ("geese", "goose"),
    ("men", "man"),
    ("women", "woman"),
    ("children", "child"),
    ("kids", "child"),
    ("kid", "child"),
    ("teeth", "tooth"),
    ("feet", "foot"),
    ("wolves", "wolf"),
    ("knives", "knife"),
    ("leaves", "leaf"),
    ("loaves", "loaf"),
    ("people", "person"),
    ("oxen", "ox"),
    ("buses", "bus"),
    ("cookies", "cookie"),
    ("zombies", "zombie"),
    ("elves", "elf"),
    ("plane", "airplane"),
    ("planes", "airplane"),
];
/// Endings without which words are compared, the longest first.
const GERMAN: &[&str] = &["ern", "er", "en", "em", "es", "e", "n"];
const RUSSIAN: &[&str] = &[
    "иями", "ями", "ами", "ого", "его", "ому", "ему", "ыми", "ими", "иях", "ях", "ах", "ов", "ев",
    "ей", "ой", "ий", "ый", "ая", "яя", "ое", "ее", "ые", "ие", "ую", "юю", "ам", "ям", "ом", "ем",
    "а", "я", "о", "е", "ы", "и", "у", "ю", "ь", "й",
];
const HINDI: &[&str] = &["ियों", "ियां", "ाओं", "ों", "ें", "ां", "ी", "ा", "े", "ि"];
const BENGALI: &[&str] = &[
    "গুলো",
    "গুলি",
    "টির",
    "টি",
    "টা",
    "দের",
    "ের",
    "রা",
    "কে",
    "ে",
    "র",
];
const URDU: &[&str] = &["یوں", "یاں", "وں", "یں", "ے", "ہ", "ا", "ی"];
const KOREAN: &[&str] = &[
    "들이", "들을", "들", "에서", "에게", "으로", "이랑", "하고", "은", "는", "이", "가", "을",
    "를", "의", "에", "와", "과", "도", "로",
];
const ARABIC_BEGINNINGS: &[&str] = &["وال", "بال", "كال", "فال", "ال", "لل"];
const ARABIC_ENDINGS: &[&str] = &["ات", "ه", "ة"];

/// A word without accents, in hiragana, with plain Arabic letters.
pub fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    let lower = word.nfkc().collect::<String>().to_lowercase();
    let mut folded = String::with_capacity(lower.len());
    let mut before = ' ';
    for c in lower.nfd() {
        let accent =
            is_combining_mark(c) && (c < '\u{370}' || ('\u{64b}'..='\u{655}').contains(&c));
        match c {
            // A short i is a letter of its own.
            '\u{306}' if before == 'и' => folded.push(c),
            _ if accent => {}
            // Signs below letters of foreign sounds, which many leave out.
            '\u{93c}' | '\u{9bc}' | 'ـ' => {}
            '\u{901}' => folded.push('\u{902}'),
            'ァ'..='ヶ' => folded.push(char::from_u32(c as u32 - 0x60).unwrap_or(c)),
            'ى' => folded.push('ي'),
            'ß' => folded.push_str("ss"),
            'œ' => folded.push_str("oe"),
            'æ' => folded.push_str("ae"),
            _ => folded.push(c),
        }
        before = c;
    }
    folded.nfc().collect()
}

/// A folded word of a language of [`super::LANGUAGES`] without its ending: one and many, cases and articles become alike.
pub fn stem(language: &str, word: &str) -> String {
    match language {
        "en" => return english(word),
        "fr" => return french(word),
        "es" => return spanish(word),
        "de" if ["os", "is", "as"].iter().any(|end| word.ends_with(*end)) => {
            shorten(word, &["s"], 3)
        }
        "de" => shorten(word, GERMAN, 3),
        "ru" => shorten(word, RUSSIAN, 2),
        "ar" => {
            let mut begins = ARABIC_BEGINNINGS
                .iter()
                .filter_map(|part| word.strip_prefix(*part));
            let bare = begins.find(|rest| rest.chars().count() >= 3);
            shorten(bare.unwrap_or(word), ARABIC_ENDINGS, 2)
        }
        "hi" => shorten(word, HINDI, 2),
        "bn" => shorten(word, BENGALI, 2),
        "ur" => shorten(word, URDU, 2),
        "ko" => shorten(word, KOREAN, 1),
        _ => word,
    }
    .to_owned()
}

fn english(word: &str) -> String {
    if let Some((_, base)) = IRREGULAR.iter().find(|(form, _)| *form == word) {
        return (*base).to_owned();
    }
    let ends = |endings: &[&str]| endings.iter().any(|ending| word.ends_with(*ending));
    let cut = |letters: usize| word.get(..word.len() - letters).unwrap_or(word);
    match word.len() {
        5.. if ends(&["ies"]) => format!("{}y", cut(3)),
        4.. if ends(&["sses", "xes", "ches", "shes", "zes"]) => cut(2).to_owned(),
        6.. if ends(&["toes", "goes"]) => cut(2).to_owned(),
        4.. if ends(&["s"]) && !ends(&["ss", "us", "is"]) => cut(1).to_owned(),
        _ => word.to_owned(),
    }
}

fn french(word: &str) -> String {
    match (word.strip_suffix("aux"), word.len()) {
        (Some(begin), 6..) if !begin.ends_with('e') => format!("{begin}al"),
        _ => shorten(word, &["s", "x"], 3).to_owned(),
    }
}

/// Without the plural and the vowel that goes with it or with the gender.
fn spanish(word: &str) -> String {
    let one = shorten(shorten(word, &["s"], 3), &["a", "e", "o"], 3);
    match one.strip_suffix('c') {
        Some(begin) => format!("{begin}z"),
        None => one.to_owned(),
    }
}

/// `word` without the first of `endings` that leaves `least` characters.
fn shorten<'a>(word: &'a str, endings: &[&str], least: usize) -> &'a str {
    let rests = endings
        .iter()
        .filter_map(|ending| word.strip_suffix(*ending));
    let mut long = rests.filter(|rest| rest.chars().count() >= least);
    long.next().unwrap_or(word)
}

/// Whether a word is in a script of a language.
pub fn written_in(language: &str, word: &str) -> bool {
    word.chars().any(|c| match language {
        "ru" => matches!(c, '\u{400}'..='\u{52f}'),
        "ar" | "ur" => matches!(c, '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}'),
        "hi" => matches!(c, '\u{900}'..='\u{97f}'),
        "bn" => matches!(c, '\u{980}'..='\u{9ff}'),
        "ko" => matches!(c, '\u{ac00}'..='\u{d7a3}'),
        "zh" => is_han(c),
        "ja" => is_han(c) || matches!(c, '\u{3041}'..='\u{30ff}'),
        _ => c.is_ascii_alphanumeric() || matches!(c, '\u{c0}'..='\u{24f}'),
    })
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_many_are_alike() {
        for (language, words) in [
            ("en", ["puppy", "puppies"]),
            ("en", ["fox", "foxes"]),
            ("en", ["rose", "roses"]),
            ("en", ["tomato", "tomatoes"]),
            ("en", ["mouse", "mice"]),
            ("fr", ["cheval", "chevaux"]),
            ("fr", ["gateau", "gateaux"]),
            ("es", ["pez", "peces"]),
            ("es", ["flor", "flores"]),
            ("es", ["tigre", "tigres"]),
            ("de", ["fuchs", "fuchse"]),
            ("de", ["auto", "autos"]),
            ("ru", ["лиса", "лисы"]),
            ("ar", ["ثعلب", "الثعلب"]),
        ] {
            let [one, many] = words.map(|word| stem(language, word));
            assert_eq!(one, many, "{language}");
        }
        assert_eq!(stem("en", "bus"), "bus");
        assert_eq!(stem("en", "glass"), "glass");
    }

    #[test]
    fn spellings_are_folded() {
        assert_eq!(fold("Cœur"), "coeur");
        assert_eq!(fold("ÉTOILE"), "etoile");
        assert_eq!(fold("キツネ"), "きつね");
        assert_eq!(fold("жёлтый"), "желтый");
        assert_eq!(fold("أرنب"), "ارنب");
    }
}
