//! The verbs of `orrery counterspeech`.

use base::command::{Context, Failure};
use base::system::Verbs;
use clap::Subcommand;

mod design;
mod generate;
mod measure;
mod options;
mod power;
mod records;
mod reply;
mod study;
mod templates;
mod train;

/// What `orrery counterspeech` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Draft one reply to a hostile comment
    Reply(Box<reply::ReplyTo>),
    /// Draft replies to many comments by every configuration of a grid
    Generate(Box<generate::Generate>),
    /// Measure replies: relevance, diversity, readability, toxicity, adaptation, personalization
    Indicators(Box<measure::Indicators>),
    /// Train a LoRA adapter on pairs of message and reply, or on a community's comments
    Train(Box<train::Train>),
    /// Order configurations by their indicators
    Rank(measure::Rank),
    /// Import records, or delete what is kept of a person
    #[command(subcommand)]
    Records(records::Records),
    /// Plan, serve and analyse a study in which people rate replies
    #[command(subcommand)]
    Study(study::Study),
    /// Write the built-in prompts, grid and records into a folder, to begin from
    Templates(templates::Templates),
}

impl Verbs for Command {
    fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::Reply(verb) => verb.run(context),
            Self::Generate(verb) => verb.run(context),
            Self::Indicators(verb) => verb.run(context),
            Self::Train(verb) => verb.run(context),
            Self::Rank(verb) => verb.run(),
            Self::Records(verb) => verb.run(),
            Self::Study(verb) => verb.run(context),
            Self::Templates(verb) => verb.run(),
        }
    }
}
