//! Memory of scores and ratings: that of labels and fingerprints, not of questions and answers. A test of its own, for the
//! peak is that of the whole process.
#![cfg(feature = "codearena")]
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::io::Write as _;

use base::rng::Rng;
use judge::codearena::bias::Bias;
use judge::codearena::rating::Board;
use judge::codearena::scores::{Scores, each_judged};

const ITEMS: usize = 40_000;

/// Most memory that this process has held, in MB; none where the system does not tell.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1024)
}

#[test]
fn many_items_take_the_memory_of_their_labels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("judged.jsonl");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    let mut line = String::new();
    let filler = "sort the list and say why ".repeat(80);
    for item in 0..ITEMS {
        line.clear();
        let label = ["A>B", "B>A", "A=B", "A>>B"][item % 4];
        writeln!(
            line,
            r#"{{"id": {item}, "question": ["{item} {filler}"], "response": "{filler}", "model": "m", "difficulty": "easy", "games": [{{"score": "{label}"}}, {{"score": "B>A"}}]}}"#
        )
        .unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
    file.into_inner().unwrap();
    let before = peak();
    let (mut scores, mut bias, mut board) = (Scores::default(), Bias::default(), Board::default());
    each_judged(&path, &mut |item| {
        scores.add(&item);
        bias.add(&item);
        board.add("m", "baseline", &item.item.question, &item.labels);
    })
    .unwrap();
    let ratings = board.ratings("baseline", 3, &Rng::new(0)).unwrap();
    assert_eq!((scores.all.items, bias.games), (ITEMS, 2 * ITEMS));
    assert_eq!(ratings[0].games, 2 * ITEMS);
    match before.zip(peak()) {
        // The questions alone are 80 MB.
        Some((before, after)) => {
            println!("{} MB for {ITEMS} items", after - before);
            assert!(after - before < 40, "{before} MB, then {after} MB");
        }
        None => println!("skipped: the system does not tell the memory of a process"),
    }
}
