//! Scores of matched pairs: TEDS, BLEU, METEOR, detection.
//!
//! Every score is that of the official evaluator, slips included; the modules name them. Nothing here fails on what a
//! parser may have written: what cannot be scored scores as it does there, and where there is a reason it is reported.

pub mod bleu;
pub mod detection;
pub mod html;
pub mod meteor;
pub mod teds;
mod tree_distance;

use regex::Regex;

/// Compiles patterns with what they are replaced by.
fn patterns(rules: &[(&str, &'static str)]) -> Vec<(Regex, &'static str)> {
    let one = |&(pattern, with): &(&str, &'static str)| Some((Regex::new(pattern).ok()?, with));
    rules.iter().filter_map(one).collect()
}

/// The stretches between white space, which is Python's.
fn words(text: &str) -> Vec<String> {
    let blank = |c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
    text.split(blank)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
