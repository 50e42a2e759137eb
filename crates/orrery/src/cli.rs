//! Commands and where they lead.

use clap::{Parser, Subcommand};
use engine::command::{Context, Failure};

use crate::create::Create;
use crate::list::{List, not_a_command};

/// One engine for 27 AI systems: make, steer, guard, mark and judge text, pictures and video.
#[derive(Parser, Debug)]
#[command(name = "orrery", version, about, arg_required_else_help = true)]
#[command(after_help = "Example:\n  orrery create \"red apple\"")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What Orrery can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Draw what a prompt says: a picture, or with --video a clip
    Create(Create),
    /// Text and frames to pictures and clips, and the training of such models (arXiv 2412.07730)
    #[command(subcommand, arg_required_else_help = true)]
    Stiv(video::stiv::command::Command),
    /// The 27 systems and which of them work
    List(List),
    /// A system that is not built yet
    #[command(external_subcommand)]
    Other(Vec<String>),
}

impl Command {
    /// Does it.
    pub fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run(context),
            Self::Stiv(command) => video::stiv::command::run(command, context),
            Self::List(list) => list.run(context),
            Self::Other(words) => Err(not_a_command(words.first().map_or("", String::as_str))),
        }
    }
}
