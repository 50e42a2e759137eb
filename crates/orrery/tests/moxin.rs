//! `orrery moxin data` as a user sees it.
#![allow(clippy::unwrap_used)]

mod common;

use common::folder;
use common::transcript::Transcript;
use std::fs;

/// What is left out counts among the documents in every step.
#[test]
fn steps_count_alike() {
    let folder = folder();
    let at = folder.path();
    fs::create_dir(at.join("texts")).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(at.join("texts").join(name), bytes).unwrap();
    write("a.txt", "Words enough to stay. ".repeat(20).as_bytes());
    write("b.txt", b"short");
    write("c.txt", b"\x7fELF\0\0");
    write("d.txt", b"  \n");
    let mut seen = Transcript::new(at);
    seen.line("moxin data import texts --out lines");
    seen.line("moxin data filter lines --min-chars 100 --out clean");
    fs::create_dir(at.join("none")).unwrap();
    fs::write(at.join("none/c.txt"), b"\0").unwrap();
    seen.line("moxin data import none --out nothing").refused(2);
    seen.compare("moxin_data");
}
