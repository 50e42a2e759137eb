//! HTML read as lxml reads it.
//!
//! The official tree similarity is taken between trees that lxml 6 (libxml2 2.14) made of whatever markup came, so the
//! recovery from broken markup is part of the metric: which tags close which, which are implied, which are dropped.
//! The tokens are HTML 5's (`html5gum`); the tree is not HTML 5's but libxml2's older one, whose rules are in `rules`.
//! Comments are left out, as with `remove_comments=True`. At most [`DEPTH`] elements are open at a time, and nothing
//! here recurses.

mod build;
mod rules;
mod tree;

pub use build::{DEPTH, parse};
pub use tree::{Element, Tree};
