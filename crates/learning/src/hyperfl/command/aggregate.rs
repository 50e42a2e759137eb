//! `orrery hyperfl aggregate`.

use std::collections::HashSet;
use std::path::PathBuf;

use base::command::{Context, Failure, Output, check_out, eprint_line, print_json, report};
use base::files::write_bytes;
use clap::Args;
use serde_json::json;

use super::options::{Data, Federation, How};
use crate::hyperfl::checks::{Limits, digest, judge};
use crate::hyperfl::{LearningError, Work, read_shared, read_update, weighted_mean, write_shared};

/// Options of `aggregate`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery hyperfl aggregate --start --out global-0.safetensors
  orrery hyperfl aggregate --round 1 --global global-0.safetensors --out global-1.safetensors alice.safetensors bob.safetensors

An upload that cannot be right (values that are not finite, other shapes, an old round, a replay, a change far larger than the
others') is left out by name, and the round goes on. Digests of accepted uploads are kept beside the result, in FILE.seen.")]
pub struct Aggregate {
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    federation: Federation,
    #[command(flatten)]
    data: Data,
    /// Write what the first round begins with
    #[arg(long, conflicts_with_all = ["global", "round", "updates"])]
    start: bool,
    /// Number of the round, from 1
    #[arg(long, value_name = "N", required_unless_present = "start")]
    round: Option<usize>,
    /// What this round began with
    #[arg(long, value_name = "FILE", required_unless_present = "start")]
    global: Option<PathBuf>,
    /// What the clients sent
    #[arg(value_name = "UPDATES", required_unless_present = "start")]
    updates: Vec<PathBuf>,
    /// Where the result goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Most samples that a client may claim; more counts as this many
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    most_samples: u64,
    /// Most times that a client may claim the median's samples; more counts as this many
    #[arg(long, value_name = "TIMES", default_value_t = 10)]
    most_claim: u64,
    /// Most times that a client's change may be larger than the median change
    #[arg(long, value_name = "TIMES", default_value_t = 100)]
    most_change: u64,
    #[command(flatten)]
    output: Output,
}

impl Aggregate {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let data = self.data.open()?;
        let config = self.federation.config(self.how.method);
        let work = Work::new(config, data.shape, data.classes)?;
        check_out(&self.out, self.updates.iter().chain(&self.global))?;
        let (Some(round), Some(global)) = (self.round, &self.global) else {
            write_shared(&work, &self.out, &work.start().0)?;
            return match self.output.json {
                true => print_json(&json!({"round": 0, "out": base::files::shown(&self.out)})),
                false => report(false, &format!("wrote `{}`", self.out.display())),
            };
        };
        let shared = read_shared(&work, global)?;
        let seen_at = |path: &PathBuf| PathBuf::from(format!("{}.seen", path.display()));
        let seen: HashSet<String> = std::fs::read_to_string(seen_at(global))
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect();
        let mut refused = Vec::new();
        let mut uploads = Vec::new();
        for path in &self.updates {
            match read_update(&work, path) {
                Ok(upload) => uploads.push(upload),
                Err(why) => refused.push(format!("{why}; left out")),
            }
        }
        // The order of arrival must not change the sum.
        uploads.sort_by_key(|upload| (upload.client.parse::<u64>().ok(), upload.client.clone()));
        let limits = Limits {
            samples: self.most_samples as f64,
            claim: self.most_claim as f64,
            change: self.most_change as f64,
        };
        let verdicts = judge(&uploads, (round, &shared), limits, &seen);
        refused.extend(
            verdicts
                .iter()
                .filter_map(|it| it.line().map(str::to_owned)),
        );
        refused.iter().for_each(|line| eprint_line(line));
        let taken: Vec<(&[f32], f64)> = uploads
            .iter()
            .zip(&verdicts)
            .filter_map(|(upload, verdict)| Some((&upload.values[..], verdict.weight()?)))
            .collect();
        if taken.is_empty() {
            return Err(LearningError::failed(format!(
                "round {round}: none of {} uploads can be used; `{}` stays as it was",
                self.updates.len(),
                global.display()
            ))
            .into());
        }
        let next = weighted_mean(&taken)?;
        let mut digests: Vec<String> = seen.into_iter().collect();
        digests.extend(taken.iter().map(|(values, _)| digest(values)));
        digests.sort();
        write_bytes(seen_at(&self.out), (digests.join("\n") + "\n").as_bytes())?;
        write_shared(&work, &self.out, &next)?;
        self.output.print(
            &json!({"round": round, "taken": taken.len(), "log": refused}),
            &format!(
                "round {round}: {} of {} uploads averaged",
                taken.len(),
                self.updates.len()
            ),
        )
    }
}
