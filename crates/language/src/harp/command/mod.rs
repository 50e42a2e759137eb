//! The verbs of `orrery harp`.

use base::command::{Context, Failure};
use base::system::Verbs;
use clap::Subcommand;

mod eval;
mod generate;
mod options;
mod sweep;

/// What `orrery harp` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Continue a text or answer a question; tokens are coloured by how unsure the model was
    Generate(Box<generate::Generate>),
    /// Compare the ordinary model, HARP, second looks everywhere and beam search on tasks
    Eval(Box<eval::Eval>),
    /// Accuracy and loss for every θ, δ and β at once, on given texts
    Sweep(Box<sweep::Sweep>),
}

impl Verbs for Command {
    fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::Generate(verb) => verb.run(context),
            Self::Eval(verb) => verb.run(context),
            Self::Sweep(verb) => verb.run(context),
        }
    }
}
