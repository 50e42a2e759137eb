//! `orrery prove`: a system's small-scale proof, run again.

use std::path::PathBuf;

use base::command::{Context, Failure, print_json, print_line};
use base::proof::ProofOptions;
use clap::Args;

use crate::{registry, unknown};

/// Options of `prove`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  orrery prove stiv --out proofs/stiv")]
pub struct Prove {
    /// Which system
    system: String,
    /// As long as the whole proof takes, in place of a few minutes
    #[arg(long)]
    full: bool,
    /// Run this part again, once or more; the others are taken from an earlier run into the same folder
    #[arg(long, value_name = "PART")]
    only: Vec<String>,
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
    /// Runs the proof and prints its report.
    pub fn run(&self, context: Context) -> Result<(), Failure> {
        let system = registry::system(&self.system).ok_or_else(|| unknown::system(&self.system))?;
        let slug = system.card.slug;
        let proof = system.proof.ok_or_else(|| system.not_built())?;
        let parts = proof.parts();
        let unknown = |part: &&String| !parts.contains(&part.as_str());
        if let Some(part) = self.only.iter().find(unknown) {
            return Err(Failure::input(match &parts[..] {
                [] => format!("the proof of `{slug}` has no parts: leave `--only` out"),
                parts => format!(
                    "the proof of `{slug}` has no part `{part}`: it has `{}`",
                    parts.join("`, `")
                ),
            }));
        }
        let [short, full] = proof.seeds;
        let seeds = self.seeds.unwrap_or(if self.full { full } else { short });
        let options = ProofOptions {
            full: self.full,
            only: self.only.clone(),
            seeds: (proof.first_seed..proof.first_seed + seeds).collect(),
            out: self.folder(slug)?,
            progress: !self.json,
            context,
        };
        let report = proof.run(slug, &options)?;
        match self.json {
            true => print_json(&report),
            false => print_line(&report.markdown()),
        }
    }

    /// The folder for the report, made when absent.
    fn folder(&self, slug: &str) -> Result<PathBuf, Failure> {
        let usual = || PathBuf::from(format!("proofs/{slug}"));
        let out = self.out.clone().unwrap_or_else(usual);
        base::files::make_folder(&out)?;
        Ok(out)
    }
}
