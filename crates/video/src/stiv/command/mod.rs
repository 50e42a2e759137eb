//! The verbs of `orrery stiv`, and the drawing that `orrery create` shares with them.

use clap::Subcommand;
use engine::command::{Context, Failure};

pub mod draw;
mod export;
mod note;
pub mod options;
pub mod output;
mod plan;
mod reading;
pub mod ticket;

/// What `orrery stiv` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Write the averaged weights of a training run, with its text tower, as one 16-bit file
    Export(export::Export),
}

/// Does it.
///
/// # Errors
/// One line with the cause and the mend.
pub fn run(command: &Command, context: Context) -> Result<(), Failure> {
    match command {
        Command::Export(export) => export.run(context),
    }
}
