//! Porter's stemmer with the extensions of NLTK ("An algorithm for suffix stripping", Program 14(3), 1980).

/// Words that the rules would get wrong.
const IRREGULAR: &[(&str, &str)] = &[
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// An ending, and what comes in its place if the rest is long enough.
type Rule = (&'static str, &'static str);

const STEP_1A: &[Rule] = &[("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", "")];
const STEP_2: &[Rule] = &[
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
    ("logi", "log"),
];
const STEP_3: &[Rule] = &[
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];
const STEP_4: &[&str] = &[
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou",
    "ism", "ate", "iti", "ous", "ive", "ize",
];

/// The stem of a word in lower case.
pub fn stem(word: &str) -> String {
    let word = word.to_lowercase();
    if let Some((_, stem)) = IRREGULAR.iter().find(|(form, _)| *form == word) {
        return (*stem).to_owned();
    }
    let mut word: Vec<char> = word.chars().collect();
    if word.len() <= 2 {
        return word.into_iter().collect();
    }
    step_1a(&mut word);
    step_1b(&mut word);
    step_1c(&mut word);
    step_2(&mut word);
    step_3(&mut word);
    step_4(&mut word);
    step_5(&mut word);
    word.into_iter().collect()
}

fn step_1a(word: &mut Vec<char>) {
    if word.len() == 4 && ends(word, "ies") {
        word.pop();
        return;
    }
    if let Some(&(ending, with)) = STEP_1A.iter().find(|(ending, _)| ends(word, ending)) {
        replace(word, ending, with);
    }
}

fn step_1b(word: &mut Vec<char>) {
    if ends(word, "ied") {
        let with = if word.len() == 4 { "ie" } else { "i" };
        replace(word, "ied", with);
        return;
    }
    if ends(word, "eed") {
        if measure(before(word, "eed")) > 0 {
            word.pop();
        }
        return;
    }
    let has_vowel = |rest: &[char]| consonants(rest).contains(&false);
    let dropped = ["ed", "ing"]
        .into_iter()
        .find(|ending| ends(word, ending) && has_vowel(before(word, ending)));
    let Some(ending) = dropped else {
        return;
    };
    replace(word, ending, "");
    if ["at", "bl", "iz"].iter().any(|ending| ends(word, ending)) {
        word.push('e');
    } else if is_doubled(word) {
        if !matches!(word.last(), Some('l' | 's' | 'z')) {
            word.pop();
        }
    } else if measure(word) == 1 && is_short(word) {
        word.push('e');
    }
}

/// `y` becomes `i` after a consonant, unless that is all there is.
fn step_1c(word: &mut Vec<char>) {
    let rest = before(word, "y");
    if ends(word, "y") && rest.len() > 1 && consonants(rest).last() == Some(&true) {
        replace(word, "y", "i");
    }
}

fn step_2(word: &mut Vec<char>) {
    // What has lost its `li` is looked at once more.
    while ends(word, "alli") && measure(before(word, "alli")) > 0 {
        replace(word, "alli", "al");
    }
    if let Some(&(ending, with)) = STEP_2.iter().find(|(ending, _)| ends(word, ending)) {
        // The `l` of `logi` counts among the rest, so that `geo` and `theo` are long enough.
        let rest = if ending == "logi" {
            before(word, "ogi")
        } else {
            before(word, ending)
        };
        if measure(rest) > 0 {
            replace(word, ending, with);
        }
    }
}

fn step_3(word: &mut Vec<char>) {
    if let Some(&(ending, with)) = STEP_3.iter().find(|(ending, _)| ends(word, ending))
        && measure(before(word, ending)) > 0
    {
        replace(word, ending, with);
    }
}

fn step_4(word: &mut Vec<char>) {
    if let Some(&ending) = STEP_4.iter().find(|ending| ends(word, ending)) {
        let rest = before(word, ending);
        if measure(rest) > 1 && (ending != "ion" || matches!(rest.last(), Some('s' | 't'))) {
            replace(word, ending, "");
        }
    }
}

fn step_5(word: &mut Vec<char>) {
    if ends(word, "e") {
        let rest = before(word, "e");
        let length = measure(rest);
        if length > 1 || (length == 1 && !is_short(rest)) {
            word.pop();
        }
    }
    if ends(word, "ll") && measure(before(word, "l")) > 1 {
        word.pop();
    }
}

fn ends(word: &[char], ending: &str) -> bool {
    let mut backwards = word.iter().rev();
    ending.chars().rev().all(|c| backwards.next() == Some(&c))
}

/// The word without an ending of that length.
fn before<'a>(word: &'a [char], ending: &str) -> &'a [char] {
    word.get(..word.len().saturating_sub(ending.len()))
        .unwrap_or_default()
}

fn replace(word: &mut Vec<char>, ending: &str, with: &str) {
    word.truncate(word.len().saturating_sub(ending.len()));
    word.extend(with.chars());
}

/// Which letters are consonants: all but a, e, i, o, u and a y after a consonant.
fn consonants(word: &[char]) -> Vec<bool> {
    let mut found: Vec<bool> = Vec::with_capacity(word.len());
    for &c in word {
        let is_consonant = match c {
            'a' | 'e' | 'i' | 'o' | 'u' => false,
            'y' => !found.last().copied().unwrap_or(false),
            _ => true,
        };
        found.push(is_consonant);
    }
    found
}

/// How often vowels are followed by consonants.
fn measure(word: &[char]) -> usize {
    consonants(word)
        .windows(2)
        .filter(|pair| **pair == [false, true])
        .count()
}

/// Whether it ends in the same consonant twice.
fn is_doubled(word: &[char]) -> bool {
    match word {
        [.., a, b] => a == b && consonants(word).last() == Some(&true),
        _ => false,
    }
}

/// Whether it ends in consonant, vowel, consonant, the last none of w, x, y; or is a vowel and a consonant.
fn is_short(word: &[char]) -> bool {
    match consonants(word).as_slice() {
        [false, true] => true,
        [.., true, false, true] => !matches!(word.last(), Some('w' | 'x' | 'y')),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn words_lose_their_endings() {
        for (word, expected) in [
            ("caresses", "caress"),
            ("flies", "fli"),
            ("dies", "die"),
            ("agreed", "agre"),
            ("hopping", "hop"),
            ("filing", "file"),
            ("enjoy", "enjoy"),
            ("happy", "happi"),
            ("relational", "relat"),
            ("radically", "radic"),
            ("geology", "geolog"),
            ("adoption", "adopt"),
            ("controlling", "control"),
            ("skies", "sky"),
            ("is", "is"),
            ("文档", "文档"),
        ] {
            assert_eq!(stem(word), expected, "{word}");
        }
    }
}
