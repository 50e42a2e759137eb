//! The verbs of `orrery lora-rar`.

use base::command::{Context, Failure};
use base::system::Verbs;
use clap::Subcommand;

mod inspect;
mod judge;
mod merge;

/// What `orrery lora-rar` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Merge a subject's and a style's LoRA into one
    Merge(Box<merge::Merge>),
    /// Say what is in a LoRA file: format, layers, ranks, alphas, sizes
    Inspect(Box<inspect::Inspect>),
    /// Ask a model that sees whether generated pictures show the subject and the style
    Judge(Box<judge::Judge>),
}

impl Verbs for Command {
    fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::Merge(verb) => verb.run(context),
            Self::Inspect(verb) => verb.run(context),
            Self::Judge(verb) => verb.run(context),
        }
    }
}
