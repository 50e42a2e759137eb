//! What a picture model is asked for, and whether it came.

use base::proof::Share;

use crate::stiv::data::{EmojiGrid, Pair};
use crate::stiv::judge::{Judge, Verdict as Seen};

/// Pairs that are asked for, with the prompts that ask.
pub(super) struct Asked {
    pub pairs: Vec<Pair>,
    pub prompts: Vec<String>,
    /// The judge's number for each pair's subject, where it knows it.
    meant: Vec<Option<usize>>,
}

impl Asked {
    pub fn new(grid: &EmojiGrid, pairs: Vec<Pair>, judge: &Judge) -> Self {
        let name = |pair: &Pair| grid.subjects[pair.subject].name("en").unwrap_or_default();
        let prompts = pairs
            .iter()
            .map(|pair| format!("{} {}", name(pair), pair.style));
        let number = |pair: &Pair| {
            let code = &grid.subjects[pair.subject].code;
            judge.codes().iter().position(|known| known == code)
        };
        Self {
            prompts: prompts.collect(),
            meant: pairs.iter().map(number).collect(),
            pairs,
        }
    }

    /// How often subject and style are as asked, of pictures drawn with `seed`.
    pub fn count(&self, seen: &[Seen], seed: u64) -> [Share; 2] {
        self.count_of(seen, seed, |_| true)
    }

    /// The same over the pairs that `wanted` is true of.
    pub fn count_of(&self, seen: &[Seen], seed: u64, wanted: impl Fn(&Pair) -> bool) -> [Share; 2] {
        let wanted: Vec<usize> = (0..seen.len())
            .filter(|&at| wanted(&self.pairs[at]))
            .collect();
        let share = |right: &dyn Fn(usize, &Seen) -> bool| Share {
            seed,
            hits: wanted.iter().filter(|&&at| right(at, &seen[at])).count(),
            of: wanted.len(),
        };
        [
            share(&|at, seen| self.meant[at] == Some(seen.subject)),
            share(&|at, seen| self.pairs[at].style == seen.style),
        ]
    }
}
