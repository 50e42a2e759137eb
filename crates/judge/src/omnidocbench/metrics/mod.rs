//! Scores of matched pairs: TEDS, BLEU, METEOR, detection.

pub mod detection;
pub mod html;
pub mod teds;
mod tree_distance;
