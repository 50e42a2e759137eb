//! SynCode-Instruct (paper section 4): from web pages to verified instruction data, in steps from file to file.
//!
//! `recall` keeps pages about code that are worth reading, alone or with their repository, `lang` tells the language of their snippets, `clean` makes text of HTML, `ask` lets a
//! language model write a question inspired by each, `answer` samples candidates, `verify` runs them in the sandbox or lets a
//! model score them, `filter` removes duplicates, benchmark leaks and surplus. The paper's numbers are kept where it gives any;
//! the rest is ours and says so.

pub mod answer;
pub mod ask;
pub mod clean;
pub mod config;
pub mod encode;
pub mod filter;
pub mod head;
pub mod lang;
pub mod ngram;
pub mod pages;
pub mod recall;
pub mod scripted;
pub mod stage;
pub mod verify;
mod words;

pub use scripted::Scripted;
pub use stage::{Fate, StageError, Stats, Step};
