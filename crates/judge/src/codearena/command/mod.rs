//! The verbs of `orrery codearena`.

use clap::Subcommand;
use engine::command::{Context, Failure, Later};

mod check;
mod classify;
mod failures;
mod generate;
mod judge;
mod leaderboard;
mod options;
mod score;
mod syncode;

/// What `orrery codearena` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Answer the questions with a model behind an OpenAI-compatible server
    Generate(Later<generate::Generate>),
    /// Compare the answers with the baseline's, two games an item
    Judge(Later<judge::Judge>),
    /// Win and tie rates of a judged file, overall and by class
    Score(Later<score::Score>),
    /// Several judged files in one table, or Bradley–Terry ratings with intervals
    Leaderboard(Later<leaderboard::Leaderboard>),
    /// A judged file as a web page, with the items whose two orders disagree
    Report(Later<score::Report>),
    /// Classes for items that have no task type
    Classify(Later<classify::Classify>),
    /// Run answers against their tests in the sandbox: grades and pass@k
    Check(Later<check::Check>),
    /// Languages that the sandbox can run here
    Languages(Later<check::Languages>),
    /// Instruction data from web pages (SynCode-Instruct)
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Each step reads the file that the one before wrote, in the order above; `run` does them all. What is done is not done again."
    )]
    Syncode(Later<syncode::Syncode>),
}

/// Does it.
///
/// # Errors
/// One line with the cause and the mend.
pub fn run(command: &Command, context: Context) -> Result<(), Failure> {
    match command {
        Command::Generate(verb) => verb.run(context),
        Command::Judge(verb) => verb.run(context),
        Command::Score(verb) => verb.run(),
        Command::Leaderboard(verb) => verb.run(),
        Command::Report(verb) => verb.run(),
        Command::Classify(verb) => verb.run(context),
        Command::Check(verb) => verb.run(context),
        Command::Languages(verb) => verb.run(),
        Command::Syncode(verb) => syncode::run(verb, context),
    }
}
