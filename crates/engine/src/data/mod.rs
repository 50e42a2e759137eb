//! Packs of real data and the words that name them.

pub mod lexicon;
pub mod pack;
pub mod shapes;
