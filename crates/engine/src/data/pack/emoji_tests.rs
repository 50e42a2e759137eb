//! Facts about the emoji pack that ships, and what happens to a broken one.

use std::fs;
use std::path::PathBuf;

use super::*;

fn assets() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets/emoji-styles-32")
}

#[test]
fn the_pack_has_its_subjects_and_twins() {
    let pack = EmojiPack::embedded().unwrap();
    assert_eq!(pack.subjects.len(), 1118);
    let pairs = pack.skin_pairs();
    assert_eq!(pairs.len(), 125);
    assert!(pairs.iter().all(|(plain, dark)| dark.base == plain.code));
    let cat = pack.by_emoji("🐱").unwrap();
    assert_eq!(
        (cat.name("en"), cat.name("ko")),
        (Some("cat face"), Some("고양이 얼굴"))
    );
    assert_eq!((cat.emoji().as_str(), cat.name("xx")), ("🐱", None));
    assert!(cat.keywords_en.contains(&"pet".to_owned()));
    assert_eq!(pack.by_emoji("👋🏿").unwrap().base, "1f44b");
    let heart = pack.by_emoji("❤\u{fe0f}").unwrap();
    assert_eq!(heart.code, "2764");
}

#[test]
fn every_cell_is_drawn_in_every_style_and_differs() {
    let pack = EmojiPack::embedded().unwrap();
    for subject in &pack.subjects {
        let [a, b, c] = Style::ALL.map(|style| pack.image(subject.cell, style).unwrap());
        assert_eq!((a.width, a.height), (32, 32));
        assert!(a.pixels.iter().any(|&v| v < 128) || a.pixels.iter().any(|&v| v < 240));
        assert!(a != b && b != c && a != c, "{}", subject.code);
    }
    assert!(matches!(
        pack.image(1118, Style::Noto),
        Err(PackError::OutOfRange { last: 1117, .. })
    ));
}

#[test]
fn a_folder_gives_the_same_pack() {
    let (pack, folder) = (EmojiPack::embedded().unwrap(), assets());
    let opened = EmojiPack::open(folder).unwrap();
    assert_eq!(opened.subjects, pack.subjects);
    let of = |pack: &EmojiPack| pack.image(77, Style::Fluent3d).unwrap();
    assert_eq!(of(&opened), of(pack));
}

#[test]
fn styles_are_parsed_and_a_wrong_one_lists_them() {
    for style in Style::ALL {
        assert_eq!(style.to_string().parse(), Ok(style));
    }
    assert_eq!(" Noto ".parse(), Ok(Style::Noto));
    let line = "apple".parse::<Style>().unwrap_err().to_string();
    assert!(
        Style::ALL.iter().all(|style| line.contains(style.name())),
        "{line}"
    );
}

#[test]
fn a_broken_pack_is_told_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let open = || EmojiPack::open(folder.path()).unwrap_err().to_string();
    assert!(open().contains("index.tsv"));
    for style in Style::ALL {
        let name = format!("{style}.png");
        fs::copy(assets().join(&name), folder.path().join(&name)).unwrap();
    }
    let index = fs::read_to_string(assets().join("index.tsv")).unwrap();
    let with = |text: &str| {
        fs::write(folder.path().join("index.tsv"), text).unwrap();
        open()
    };
    assert!(with("").contains("line 1"));
    for (from, to) in [
        ("\n4\t", "\n5\t"),
        ("\n4\t1f", "\n4\tzz"),
        ("\n4\t", "\n4\t\t"),
        ("\n4\t", "\nfour\t"),
    ] {
        assert!(
            with(&index.replace(from, to)).contains("line 6"),
            "{from:?}"
        );
    }
    let short: String = index
        .lines()
        .take(500)
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(with(&short).contains("1280x896, not 1280x416"));
    fs::write(folder.path().join("index.tsv"), b"cell\n\xff").unwrap();
    assert!(open().contains("line 2"));
}
