//! Scores pairs of tables and times it, for `benches/teds.py`.
//!
//! Reads one JSON list `[prediction, ground truth]` a line; prints one line `{"ms", "teds", "structure"}` for each. The time is
//! that of both similarities, parsing included.

use std::io::BufRead;
use std::time::Instant;

use judge::omnidocbench::metrics::teds;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in std::io::stdin().lock().lines() {
        let [prediction, ground_truth]: [String; 2] = serde_json::from_str(&line?)?;
        let start = Instant::now();
        let found = teds::compare(&prediction, &ground_truth)?;
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let (teds, structure) = (found.full, found.structure);
        println!(
            "{}",
            serde_json::json!({"ms": ms, "teds": teds, "structure": structure})
        );
    }
    Ok(())
}
