//! Synthetic labelled data: tool calls with one planted fault, retrieval triples, and prompts of three kinds; by rules, or
//! with a language model (sections 6 and 7.1 of the specification).

mod calls;
mod glosses;
mod prompts;
mod retrieval;

pub use calls::{Edit, tool_calls};
pub use glosses::{Gloss, glosses};
pub use prompts::{PromptKind, prompts};
pub use retrieval::{mentions, retrieval, word_meanings};

/// Which half of a pool's names: what is trained on and what is tested share none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Half {
    /// Three quarters.
    Train,
    /// One quarter.
    Test,
}

impl Half {
    /// Whether `name` belongs to it.
    fn holds(self, name: &str) -> bool {
        let hash = base::hash::fnv1a(base::hash::FNV_START, name.bytes());
        let test = (hash ^ (hash >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 60 < 4;
        test == (self == Self::Test)
    }
}
