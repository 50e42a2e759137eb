//! Commands and where they lead.

use std::ffi::OsString;

use clap::{Parser, Subcommand};
use engine::command::{Context, Failure, Later};

use crate::bench::Bench;
use crate::create::Create;
use crate::list::List;
use crate::prove::Prove;
use crate::pull::Pull;
use crate::unknown;

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
    Create(Later<Create>),
    /// STIV: text and frames to pictures and clips, and the training of such models (arXiv 2412.07730)
    #[command(subcommand, arg_required_else_help = true)]
    Stiv(Later<video::stiv::command::Command>),
    /// OmniDocBench: document parsers scored on text, formulas, tables and reading order (arXiv 2412.07626)
    #[command(subcommand, arg_required_else_help = true)]
    Omnidocbench(Later<judge::omnidocbench::command::Command>),
    /// CodeArena: code models judged by human preference, and instruction data from web pages (arXiv 2412.05210)
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "A comparison takes three steps: `generate` lets a model answer, `judge` compares its answers with a baseline's, `score` counts."
    )]
    Codearena(Later<judge::codearena::command::Command>),
    /// All 27 systems and how far they are
    List(List),
    /// Fetch a language model into the cache that other tools share
    Pull(Later<Pull>),
    /// Run a system's small-scale proof again
    Prove(Later<Prove>),
    /// Time the kernels and two networks, beside PyTorch where there is one
    Bench(Later<Bench>),
    /// Anything else.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

impl Command {
    /// Does it.
    pub fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run(context),
            Self::Stiv(command) => video::stiv::command::run(command, context),
            Self::Omnidocbench(command) => judge::omnidocbench::command::run(command, context),
            Self::Codearena(command) => judge::codearena::command::run(command, context),
            Self::List(list) => list.run(),
            Self::Pull(pull) => pull.run(context),
            Self::Prove(prove) => prove.run(context),
            Self::Bench(bench) => bench.run(context),
            Self::Other(words) => {
                let name = words.first().map(|name| name.to_string_lossy());
                Err(unknown::command(&name.unwrap_or_default()))
            }
        }
    }
}
