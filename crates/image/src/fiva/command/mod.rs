//! The verbs of `orrery fiva`.

use base::command::{Context, Failure};
use base::system::Verbs;
use clap::Subcommand;

mod data;
mod embed;
mod eval;
mod generate;
mod options;
mod train;

/// What `orrery fiva` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Draw what a prompt says, with attributes of reference pictures
    Generate(Box<generate::Generate>),
    /// Read reference pictures once and save their tokens
    Embed(Box<embed::Embed>),
    /// Taxonomy, prompts, range filter, pairs and statistics of training data
    #[command(subcommand)]
    Data(Box<data::Data>),
    /// Train adapter and Q-Former on pairs
    Train(Box<train::Train>),
    /// Ask a judge that sees whether results have the right subject and attribute
    Eval(Box<eval::Eval>),
}

impl Verbs for Command {
    fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::Generate(verb) => verb.run(context),
            Self::Embed(verb) => verb.run(),
            Self::Data(verb) => verb.run(context),
            Self::Train(verb) => verb.run(context),
            Self::Eval(verb) => verb.run(context),
        }
    }
}
