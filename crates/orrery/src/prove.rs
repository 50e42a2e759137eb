//! `orrery prove`: a system's small-scale proof, run again.

use std::path::PathBuf;

use clap::Args;
use engine::card::Status;
use engine::command::{Context, Failure};

use crate::registry::card;
use crate::unknown;

/// Options of `prove`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  orrery prove stiv --out proofs/stiv")]
pub struct Prove {
    /// Which system
    system: String,
    /// As long as the whole proof takes, in place of a few minutes
    #[arg(long)]
    full: bool,
    /// Folder for the report and its pictures
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// How many seeds each arm runs with
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: Option<u64>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Prove {
    /// Runs the proof.
    pub fn run(&self, _context: Context) -> Result<(), Failure> {
        let card = card(&self.system).ok_or_else(|| unknown::system(&self.system))?;
        match card.status {
            Status::Works => Err(Failure::failed(format!(
                "the proof of `{}` is not built yet: read proofs/ for what was run",
                self.system
            ))),
            Status::Planned => Err(unknown::planned(card)),
        }
    }
}
