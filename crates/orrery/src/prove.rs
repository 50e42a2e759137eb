//! `orrery prove`: a system's small-scale proof, run again.

use std::path::PathBuf;

use base::card::Status;
use base::command::{Context, Failure, say};
use clap::Args;
use engine::device;
use engine::train::Progress;
use video::stiv::proof::{Part, ProofOptions};

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
    /// stiv: run this part again, once or more; the others are taken from an earlier run into the same folder
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
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
    pub fn run(&self, context: Context) -> Result<(), Failure> {
        let card = card(&self.system).ok_or_else(|| unknown::system(&self.system))?;
        if !self.only.is_empty() && card.slug != "stiv" {
            return Err(Failure::input(format!(
                "the proof of `{}` has no parts: leave `--only` out",
                card.slug
            )));
        }
        match (card.status, card.slug) {
            (Status::Works, "codearena") => self.codearena(context),
            (Status::Works, "omnidocbench") => self.omnidocbench(context),
            (Status::Works, _) => self.stiv(context),
            (Status::Planned, _) => Err(unknown::planned(card)),
        }
    }

    /// The folder for the report, made when absent.
    fn folder(&self, slug: &str) -> Result<PathBuf, Failure> {
        let usual = || PathBuf::from(format!("proofs/{slug}"));
        let out = self.out.clone().unwrap_or_else(usual);
        std::fs::create_dir_all(&out).map_err(|error| {
            Failure::input(format!(
                "cannot make the folder `{}`: {error}; choose another `--out`",
                out.display()
            ))
        })?;
        Ok(out)
    }

    fn codearena(&self, context: Context) -> Result<(), Failure> {
        let seeds = self.seeds.unwrap_or(if self.full { 15 } else { 3 });
        let options = judge::codearena::proof::ProofOptions {
            full: self.full,
            seeds: (0..seeds).collect(),
            out: self.folder("codearena")?,
        };
        let report =
            judge::codearena::proof::run(&options, context.stop).map_err(|error| match error {
                judge::codearena::proof::ProofError::Stopped => Failure::interrupted(error),
                error => Failure::failed(error),
            })?;
        if self.json {
            return say(&serde_json::to_string(&report).map_err(Failure::failed)?);
        }
        say(&report.markdown())
    }

    fn omnidocbench(&self, context: Context) -> Result<(), Failure> {
        let seeds = self.seeds.unwrap_or(if self.full { 20 } else { 5 });
        let options = judge::omnidocbench::proof::ProofOptions {
            full: self.full,
            seeds: (0..seeds).collect(),
            out: self.folder("omnidocbench")?,
            demo: PathBuf::from("../shared/fixtures/omnidocbench/e2e_demo.json"),
        };
        let report =
            judge::omnidocbench::proof::run(&options, context.stop).map_err(
                |error| match error {
                    judge::omnidocbench::proof::ProofError::Stopped => Failure::interrupted(error),
                    error => Failure::failed(error),
                },
            )?;
        if self.json {
            return say(&serde_json::to_string(&report).map_err(Failure::failed)?);
        }
        say(&report.markdown())
    }

    fn stiv(&self, context: Context) -> Result<(), Failure> {
        let out = self.folder("stiv")?;
        let options = ProofOptions {
            full: self.full,
            only: self.only.clone(),
            seeds: (0..self.seeds.unwrap_or(3)).collect(),
            runs: out.join("runs"),
            out,
            device: device("cpu")?,
        };
        let mut progress = if self.json {
            Progress::silent()
        } else {
            Progress::new("proof")
        };
        let report =
            video::stiv::proof::run(&options, context.stop, &mut progress).map_err(|error| {
                match context.stopped() {
                    true => Failure::interrupted(error),
                    false => Failure::failed(error),
                }
            })?;
        if self.json {
            return say(&serde_json::to_string(&report).map_err(Failure::failed)?);
        }
        say(&report.markdown())
    }
}
