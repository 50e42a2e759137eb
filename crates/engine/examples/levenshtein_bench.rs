//! How many cells of the edit distance's table are worked out in a second, on one core.
//!
//! ```text
//! cargo run --release --workspace --example levenshtein_bench
//! ```
//!
//! A cell is one comparison of an item of one side with an item of the other. Prints a line for each length: a pair at a
//! time with [`levenshtein_numbered`], and a table of pairs with [`levenshtein_table`]. The median of several rounds.

use std::time::{Duration, Instant};

use base::numerics::{levenshtein_numbered, levenshtein_table};
use base::rng::Rng;

/// Time for one length.
const TIME: Duration = Duration::from_millis(600);

/// Lines on each side of a table.
const LINES: usize = 32;

fn main() {
    println!("| characters | a pair (10⁹ cells/s) | a table of {LINES} × {LINES} (10⁹ cells/s) |");
    println!("| --- | --- | --- |");
    for length in [16, 64, 256, 1_000, 10_000] {
        let mut rng = Rng::new(length as u64);
        let mut line = || -> Vec<u32> { (0..length).map(|_| 1 + rng.below(26) as u32).collect() };
        let lines: Vec<Vec<u32>> = (0..2 * LINES).map(|_| line()).collect();
        let slices: Vec<&[u32]> = lines.iter().map(Vec::as_slice).collect();
        let (a, b) = slices.split_at(LINES);
        let single = rate(length * length, |round| {
            levenshtein_numbered(a[round % LINES], b[round / LINES % LINES])
        });
        // A table of the longest lines takes too long.
        let lines = if length > 2_000 { 8 } else { LINES };
        let table = rate(lines * lines * length * length, |_| {
            levenshtein_table(&a[..lines], &b[..lines])[0]
        });
        println!("| {length} | {single:.2} | {table:.2} |");
    }
}

/// 10⁹ cells a second: the median of rounds of `cells` each.
fn rate(cells: usize, work: impl Fn(usize) -> usize) -> f64 {
    let mut rates = Vec::new();
    let (begun, mut round, mut sum) = (Instant::now(), 0, 0);
    while rates.len() < 5 || begun.elapsed() < TIME {
        let start = Instant::now();
        // So many that the clock does not count.
        let calls = (2_000_000 / cells).max(1);
        for _ in 0..calls {
            sum += work(round);
            round += 1;
        }
        rates.push((cells * calls) as f64 / start.elapsed().as_secs_f64() / 1e9);
    }
    std::hint::black_box(sum);
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
