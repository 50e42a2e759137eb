//! Facts about words in eleven languages.

use std::time::Instant;

use super::*;
use crate::data::pack::{EmojiPack, LANGUAGES};

#[test]
fn words_are_split_and_spelt_alike_in_every_script() {
    for (prompt, tokens) in [
        ("A Red CAT, sitting!", vec!["a", "red", "cat", "sitting"]),
        ("l'ÉCLAIR au café", vec!["l", "éclair", "au", "café"]),
        ("Cafe\u{301}", vec!["café"]),
        ("Красный КОТ", vec!["красный", "кот"]),
        ("웃는 고양이.", vec!["웃는", "고양이"]),
        ("दाँत दिखाता चेहरा", vec!["दाँत", "दिखाता", "चेहरा"]),
        ("وجه، بابتسامة", vec!["وجه", "بابتسامة"]),
        ("猫が好き、cat。", vec!["猫が好き", "cat"]),
        ("红色cat猫", vec!["红色", "cat", "猫"]),
        ("Ｆｕｌｌ　ｗｉｄｔｈ", vec!["full", "width"]),
        ("I ❤\u{fe0f} 🐱🐶", vec!["i", "❤", "🐱", "🐶"]),
        ("hi👋🏿there", vec!["hi", "👋🏿", "there"]),
        ("3 dogs_and-2", vec!["3", "dogs", "and", "2"]),
        (" \u{301}\u{200d},. ", vec![]),
    ] {
        assert_eq!(normalise(prompt), tokens, "{prompt}");
    }
}

#[test]
fn decomposed_hangul_and_kana_are_composed() {
    let apart: String = "고양이 が".nfd().collect();
    assert_ne!(apart, "고양이 が");
    assert_eq!(normalise(&apart), ["고양이", "が"]);
}

#[test]
fn a_prompt_is_bounded() {
    assert_eq!(normalise(&"a ".repeat(10_000)).len(), MAX_TOKENS);
    assert_eq!(normalise(&"a".repeat(10_000))[0].len(), MAX_CHARS);
    let vocabulary = Vocabulary::new(["猫"]);
    assert_eq!(vocabulary.tokens(&"猫".repeat(10_000)).len(), MAX_TOKENS);
}

#[test]
fn unspaced_runs_are_cut_into_the_longest_known_words() {
    let vocabulary = Vocabulary::new(["红", "红色", "的", "猫", "고양이", "고", "cat"]);
    assert_eq!(vocabulary.segment("红色的猫"), ["红色", "的", "猫"]);
    assert_eq!(vocabulary.segment("红大猫"), ["红", "大", "猫"]);
    assert_eq!(vocabulary.segment("고양이가"), ["고양이", "가"]);
    assert_eq!(vocabulary.segment("고래"), ["고래"]);
    assert_eq!(vocabulary.segment("catfish"), ["catfish"]);
    assert_eq!(vocabulary.tokens("CAT红猫!"), ["cat", "红", "猫"]);
}

#[test]
fn every_name_of_the_pack_is_found_again() {
    let pack = EmojiPack::embedded().unwrap();
    let names = || pack.subjects.iter().flat_map(|subject| &subject.names);
    let vocabulary = Vocabulary::new(names().flat_map(|(_, name)| normalise(name)));
    for (language, name) in names() {
        let tokens = vocabulary.tokens(name);
        assert!(!tokens.is_empty(), "{language}: {name}");
        let known = tokens.iter().all(|token| vocabulary.id(token).is_some());
        assert!(known, "{language}: {name}");
    }
    for subject in &pack.subjects {
        assert_eq!(
            normalise(&subject.emoji()),
            [subject.emoji()],
            "{}",
            subject.code
        );
    }
    assert_eq!(LANGUAGES.len(), pack.subjects[0].names.len());
}

#[test]
fn near_words_are_found_and_far_ones_are_not() {
    let vocabulary = Vocabulary::new(["cat", "car", "dog", "elephant", "хвост", "고양이"]);
    assert_eq!(vocabulary.nearest("elefant", 2), ["elephant"]);
    assert_eq!(vocabulary.nearest("catt", 2), ["cat", "car"]);
    assert_eq!(vocabulary.nearest("CAT", 1), ["cat"]);
    assert_eq!(vocabulary.nearest("고앙이", 3), ["고양이"]);
    assert!(vocabulary.nearest("zzzz", 3).is_empty());
    assert!(vocabulary.nearest("", 3).is_empty());
    assert!(vocabulary.nearest("cat", 0).is_empty());
}

#[test]
fn thirty_thousand_words_answer_quickly() {
    let mut rng = base::rng::Rng::new(1);
    let mut letters = |n: usize| -> String {
        (0..n)
            .map(|_| (b'a' + rng.below(26) as u8) as char)
            .collect()
    };
    let words: Vec<String> = (0..30_000).map(|i| letters(3 + i % 12)).collect();
    let vocabulary = Vocabulary::new(words);
    let mut worst = 0.0f64;
    for query in [
        letters(8),
        letters(12),
        letters(24),
        letters(64),
        letters(100_000),
    ] {
        let start = Instant::now();
        vocabulary.nearest(&query, 5);
        worst = worst.max(start.elapsed().as_secs_f64());
    }
    println!("slowest answer: {:.1} ms", worst * 1e3);
    // 50 ms optimised; a debug build or a busy machine gets more.
    assert!(worst < 1.0, "{worst} s");
}

#[test]
fn a_vocabulary_is_its_list_of_words() {
    let vocabulary = Vocabulary::new(["b", "a", "b"]);
    assert_eq!(
        (vocabulary.len(), vocabulary.id("a"), vocabulary.word(0)),
        (2, Some(1), Some("b"))
    );
    let json = serde_json::to_string(&vocabulary).unwrap();
    assert_eq!(json, r#"["b","a"]"#);
    assert_eq!(
        serde_json::from_str::<Vocabulary>(&json).unwrap(),
        vocabulary
    );
}
