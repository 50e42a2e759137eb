//! `orrery counterspeech study design`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, is_quiet, print_json, print_line, warn};
use base::files::{make_folder, write_new};
use clap::Args;
use serde_json::json;

use super::options::records;
use crate::counterspeech::Row;
use crate::counterspeech::store::read_lines;
use crate::counterspeech::study::{Design, DesignOptions, Preregistration};

/// Options of `design`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery counterspeech study design --replies replies.jsonl --configs Ba,Ba.Pr,Ba.Hi --messages 4 --ratings 3 --out pilot

The folder gets `design.json`, `consent.txt` and `prereg.toml`. Edit the last two before the first participant; a design
belongs to one pre-registration, so plan again after a change of `prereg.toml`.")]
pub struct DesignStudy {
    /// Replies that `generate` wrote
    #[arg(long, value_name = "FILE")]
    replies: PathBuf,
    /// The records that they answer
    #[arg(long, value_name = "FILE", default_value = "synthetic")]
    data: PathBuf,
    /// Configurations, the baseline first; `rank --top 7` names some
    #[arg(long, value_name = "LIST", value_delimiter = ',', required = true)]
    configs: Vec<String>,
    /// Hostile comments that a participant sees, each with a reply by every configuration
    #[arg(long, value_name = "N", default_value_t = 4)]
    messages: usize,
    /// Ratings that every reply gets at least, in each condition
    #[arg(long, value_name = "N", default_value_t = 3)]
    ratings: usize,
    /// Participants; without it, as few as that takes
    #[arg(long, value_name = "N", default_value_t = 0)]
    participants: usize,
    /// Points of the scale
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(2..=9))]
    points: u8,
    /// Seed of the order
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// A folder for the study
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl DesignStudy {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let (rows, wrong) = read_lines::<Row>(&self.replies, "reply")?;
        warn(&wrong);
        let records = records(&self.data)?;
        let options = DesignOptions {
            configs: self.configs.clone(),
            messages: self.messages,
            ratings: self.ratings,
            participants: self.participants,
            points: self.points,
            seed: self.seed,
        };
        // Everything that can be wrong is found before the folder is made.
        Design::plan(&rows, &records, "", &options)?;
        let answers = self.out.join("answers.jsonl");
        if std::fs::metadata(&answers).is_ok_and(|it| it.len() > 0) {
            return Err(Failure::input(format!(
                "people have answered in `{}`: plan another study in another folder",
                self.out.display()
            )));
        }
        make_folder(&self.out)?;
        let prereg = self.out.join("prereg.toml");
        write_new(&prereg, Preregistration::template().as_bytes())?;
        write_new(
            self.out.join("consent.txt"),
            include_bytes!("../study/consent.txt"),
        )?;
        let prereg = Preregistration::open(&prereg)?;
        if prereg.baseline != self.configs[0] {
            return Err(Failure::input(format!(
                "the baseline of `prereg.toml` is `{}` and the first of `--configs` is `{}`: make them one",
                prereg.baseline, self.configs[0]
            )));
        }
        let design = Design::plan(&rows, &records, &prereg.sha, &options)?;
        design.write(&self.out.join("design.json"))?;
        let items = design.plans.first().map_or(0, |plan| plan.items.len());
        if self.output.json {
            return print_json(&json!({
                "participants": design.plans.len(), "items": items, "replies": design.items.len(),
                "prereg_sha": design.prereg_sha,
            }));
        }
        if is_quiet() {
            return Ok(());
        }
        print_line(&format!(
            "{} participants rate {items} replies each, of {} in all; pre-registration {}\nnext: read `consent.txt` and `prereg.toml` in `{}`, then `orrery counterspeech study serve --study {}`",
            design.plans.len(),
            design.items.len(),
            &design.prereg_sha[..16],
            self.out.display(),
            self.out.display()
        ))
    }
}
