//! The right subject of what people type. Which lines tune and which test is said in `data/README.md`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use video::stiv::words::Words;

const PROMPTS: &str = include_str!("data/prompts.tsv");

/// Prompts of the test half that are read right.
const RIGHT_OF_TEST: usize = 139;

/// How many prompts of a half are read right, and how many there are.
fn right(tuning: bool) -> (usize, usize) {
    let words = Words::embedded().unwrap();
    let mut languages: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (line, row) in (1..).zip(PROMPTS.lines()) {
        if (line <= 40 || line % 2 == 1) != tuning {
            continue;
        }
        let [language, prompt, codes]: [&str; 3] =
            row.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let analysis = words.analyse(prompt);
        let first = analysis
            .subjects
            .first()
            .map_or("", |(code, _)| code.as_str());
        let right = codes.split(',').any(|code| code == first);
        let count = languages.entry(language).or_default();
        *count = (count.0 + usize::from(right), count.1 + 1);
        if tuning && !right {
            println!("{language}\t{prompt}\t{first}\t{codes}");
        }
    }
    println!("{languages:?}");
    let sum = |(a, b), (c, d)| (a + c, b + d);
    languages.into_values().fold((0, 0), sum)
}

#[test]
fn most_prompts_mean_their_subject() {
    let (found, of) = right(true);
    println!("tuning: {found} of {of}");
    assert_eq!(of, 193);
    assert!(
        found >= 182,
        "{found} of {of}; 103 with the words of the tower"
    );
}

/// Measured once, after the last change of the reading; what it gets wrong is not looked at.
#[test]
fn most_prompts_of_the_other_half_do_too() {
    let (found, of) = right(false);
    println!("test: {found} of {of}");
    assert_eq!(of, 152);
    assert!(found >= RIGHT_OF_TEST, "{found} of {of}");
}
