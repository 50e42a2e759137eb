//! OmniDocBench (arXiv 2412.07626): how well a document parser turned pages into markdown.
//!
//! A page's predicted markdown is taken apart ([`extract`]), normalised ([`normalize`]), matched with the annotated blocks
//! ([`matching`]) and scored ([`metrics`], [`cdm`]). Everything numbers depend on follows the official evaluator, quirks
//! included, in both of its protocols ([`Protocol`]).

pub mod cdm;
mod element;
pub mod evaluate;
pub mod extract;
pub mod matching;
pub mod merge;
pub mod metrics;
pub mod module;
pub mod normalize;
pub mod page;
mod protocol;
pub mod python;
pub mod score;

pub use element::{Element, Fine, Kind};
pub use protocol::Protocol;
