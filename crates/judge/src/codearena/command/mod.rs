//! The verbs of `orrery codearena`.

use base::command::{Context, Failure};
use base::system::Verbs;
use clap::Subcommand;

mod check;
mod classify;
mod failures;
mod generate;
mod judge;
mod leaderboard;
mod merge;
mod options;
mod score;
mod shards;
mod syncode;

/// What `orrery codearena` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Answer the questions with a model behind an OpenAI-compatible server
    Generate(Box<generate::Generate>),
    /// Compare the answers with the baseline's, two games an item
    Judge(Box<judge::Judge>),
    /// Win and tie rates of a judged file, overall and by class
    Score(Box<score::Score>),
    /// Several judged files in one table, or Bradley–Terry ratings with intervals
    Leaderboard(Box<leaderboard::Leaderboard>),
    /// A judged file as a web page, with the items whose two orders disagree
    Report(Box<score::Report>),
    /// Classes for items that have no task type
    Classify(Box<classify::Classify>),
    /// Run answers against their tests in the sandbox: grades and pass@k
    Check(Box<check::Check>),
    /// Put the shards of `generate`, `judge` or `check` together
    Merge(merge::Merge),
    /// Languages that the sandbox can run here
    Languages(Box<check::Languages>),
    /// Instruction data from web pages (SynCode-Instruct)
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Each step reads the file that the one before wrote, in the order above; `run` does them all. What is done is not done again."
    )]
    Syncode(Box<syncode::Syncode>),
}

impl Verbs for Command {
    fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::Generate(verb) => verb.run(context),
            Self::Judge(verb) => verb.run(context),
            Self::Score(verb) => verb.run(),
            Self::Leaderboard(verb) => verb.run(),
            Self::Report(verb) => verb.run(),
            Self::Classify(verb) => verb.run(context),
            Self::Check(verb) => verb.run(context),
            Self::Merge(verb) => verb.run(),
            Self::Languages(verb) => verb.run(),
            Self::Syncode(verb) => syncode::run(verb, context),
        }
    }
}
