//! The verbs of `orrery omnidocbench`.

use base::command::{Context, Failure};
use base::system::Verbs;
use clap::Subcommand;

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
    Eval(Box<eval::Eval>),
    /// Score markdown against markdown
    Md2md(Box<eval::Md2md>),
    /// Put the shards of an evaluation together
    Merge(Box<merge::Merge>),
    /// Score recognised text, block by block
    Ocr(Box<blocks::Ocr>),
    /// Score recognised tables, block by block
    Table(Box<blocks::Table>),
    /// Score recognised formulas, block by block
    Formula(Box<blocks::Formula>),
    /// Score detected layout boxes (COCO average precision)
    Layout(Box<boxes::Layout>),
    /// The elements extracted from a predicted page
    Extract(Box<pieces::Extract>),
    /// Which element of a page was matched with which annotated block
    Match(Box<pieces::Match>),
    /// Visual similarity of two formulas (CDM)
    Cdm(Box<pieces::Cdm>),
    /// Several results in one table
    Leaderboard(Box<leaderboard::Leaderboard>),
    /// Annotated pages as markdown
    Gt2md(Box<pieces::Gt2md>),
    /// Matched pairs side by side on a web page, differences marked
    Show(Box<show::Show>),
}

impl Verbs for Command {
    fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::Eval(verb) => verb.run(context),
            Self::Md2md(verb) => verb.run(context),
            Self::Merge(verb) => verb.run(),
            Self::Ocr(verb) => verb.run(),
            Self::Table(verb) => verb.run(),
            Self::Formula(verb) => verb.run(),
            Self::Layout(verb) => verb.run(),
            Self::Extract(verb) => verb.run(),
            Self::Match(verb) => verb.run(),
            Self::Cdm(verb) => verb.run(),
            Self::Leaderboard(verb) => verb.run(),
            Self::Gt2md(verb) => verb.run(context),
            Self::Show(verb) => verb.run(),
        }
    }
}
