//! The readers, their matching and their scores, from the files of the crate `judge`: without what belongs to commands.

#[allow(dead_code)]
pub mod omnidocbench;
