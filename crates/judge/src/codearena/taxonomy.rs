//! Task types and the classes they belong to.
//!
//! The table is the official `utils/tasktype_to_levels.json` (Qwen2.5-Coder repository, Apache-2.0), written shorter:
//! first the pairs of main class and subclass, then each task type with the numbers of its pairs.

use std::collections::HashMap;
use std::sync::OnceLock;

/// Main class and subclass of what the table does not know; the official code stops there.
pub const UNCLASSIFIED: &str = "Unclassified";

const TABLE: &str = include_str!("taxonomy.tsv");

/// A main class with one of its subclasses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Class {
    /// One of seven.
    pub main: &'static str,
    /// A part of it.
    pub sub: &'static str,
}

/// What is known of task types.
#[derive(Debug)]
pub struct Taxonomy {
    /// All pairs of main class and subclass, in the order of the table.
    pub classes: Vec<Class>,
    /// Task type → numbers of its candidate classes; the first is used.
    types: HashMap<&'static str, Vec<usize>>,
}

impl Taxonomy {
    /// The official table.
    pub fn official() -> &'static Self {
        static ALL: OnceLock<Taxonomy> = OnceLock::new();
        ALL.get_or_init(|| {
            let (classes, types) = TABLE.split_once("\n\n").unwrap_or_default();
            let classes = classes
                .lines()
                .filter_map(|line| line.split_once('\t'))
                .map(|(main, sub)| Class { main, sub })
                .collect();
            let types = types
                .lines()
                .filter_map(|line| line.split_once('\t'))
                .map(|(name, numbers)| (name, numbers.split(' ').flat_map(str::parse).collect()))
                .collect();
            Self { classes, types }
        })
    }

    /// All candidate classes of a task type: blanks for dashes, lower case.
    pub fn candidates(&self, task_type: &str) -> Option<Vec<Class>> {
        let key = task_type.replace('-', " ").to_lowercase();
        let numbers = self.types.get(key.as_str())?;
        Some(
            numbers
                .iter()
                .filter_map(|&at| self.classes.get(at).copied())
                .collect(),
        )
    }

    /// The class that a task type is reported under: its first candidate.
    pub fn class(&self, task_type: &str) -> Option<Class> {
        self.candidates(task_type)?.first().copied()
    }

    /// All task types with their first class, in alphabetic order.
    pub fn types(&self) -> Vec<(&'static str, Class)> {
        let mut all: Vec<_> = self
            .types
            .iter()
            .filter_map(|(name, numbers)| Some((*name, *self.classes.get(*numbers.first()?)?)))
            .collect();
        all.sort_by_key(|(name, _)| *name);
        all
    }

    /// The class whose subclass is called `name`.
    pub fn by_sub(&self, name: &str) -> Option<Class> {
        let same = |class: &&Class| class.sub.eq_ignore_ascii_case(name.trim());
        self.classes.iter().find(same).copied()
    }
}
