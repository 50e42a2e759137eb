//! The data pipeline: streaming steps over JSON lines (`{"text": …}`), each usable alone.
//!
//! A step reads pieces of a corpus, whole files or parts of large ones, several at a time, and writes a file for each, all or
//! nothing. What is done is not done again; machines may share the pieces, and what comes out is the same.

pub mod dedup;
pub mod filter;
pub mod html;
pub mod import;
pub mod job;
pub mod lines;
pub mod minhash;
pub mod mix;
pub mod pack;
pub mod paragraphs;
pub mod pieces;
pub mod quality;
pub mod tally;
pub mod text;
