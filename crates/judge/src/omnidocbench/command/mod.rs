//! The verbs of `orrery omnidocbench`.

use clap::Subcommand;
use engine::command::{Context, Failure, Later};

mod blocks;
mod boxes;
mod eval;
mod failures;
mod leaderboard;
mod merge;
mod options;
mod output;
mod pages;
mod pieces;
mod show;

/// What `orrery omnidocbench` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Score predicted pages end to end: text, formulas, tables, reading order
    Eval(Later<eval::Eval>),
    /// Score markdown against markdown
    Md2md(Later<eval::Md2md>),
    /// Put the shards of an evaluation together
    Merge(Later<merge::Merge>),
    /// Score recognised text, block by block
    Ocr(Later<blocks::Ocr>),
    /// Score recognised tables, block by block
    Table(Later<blocks::Table>),
    /// Score recognised formulas, block by block
    Formula(Later<blocks::Formula>),
    /// Score detected layout boxes (COCO average precision)
    Layout(Later<boxes::Layout>),
    /// The elements that a predicted page is taken apart into
    Extract(Later<pieces::Extract>),
    /// Which element of a page was matched with which annotated block
    Match(Later<pieces::Match>),
    /// How much alike two formulas look
    Cdm(Later<pieces::Cdm>),
    /// Several results in one table
    Leaderboard(Later<leaderboard::Leaderboard>),
    /// Annotated pages as markdown
    Gt2md(Later<pieces::Gt2md>),
    /// Matched pairs side by side on a web page, differences marked
    Show(Later<show::Show>),
}

/// Does it.
///
/// # Errors
/// One line with the cause and the mend.
pub fn run(command: &Command, context: Context) -> Result<(), Failure> {
    match command {
        Command::Eval(verb) => verb.run(context),
        Command::Md2md(verb) => verb.run(context),
        Command::Merge(verb) => verb.run(),
        Command::Ocr(verb) => verb.run(),
        Command::Table(verb) => verb.run(),
        Command::Formula(verb) => verb.run(),
        Command::Layout(verb) => verb.run(),
        Command::Extract(verb) => verb.run(),
        Command::Match(verb) => verb.run(),
        Command::Cdm(verb) => verb.run(),
        Command::Leaderboard(verb) => verb.run(),
        Command::Gt2md(verb) => verb.run(context),
        Command::Show(verb) => verb.run(),
    }
}
