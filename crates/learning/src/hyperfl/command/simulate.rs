//! `orrery hyperfl simulate`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, Steps, eprint_line, print_json, print_line};
use clap::Args;
use serde_json::json;

use super::options::{Data, Federation, How};
use crate::hyperfl::{Method, Simulation};

/// Options of `simulate`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery hyperfl simulate --out federation
  orrery hyperfl simulate --method fedavg --clients 20 --rounds 10
  orrery hyperfl simulate --data fashion --clients 20 --train 600 --test 300 --batch 50 --hidden 128 --rounds 200 --out paper

`before` is the accuracy of the clients with what they received, `after` the accuracy once they trained. The same command goes
on after the last finished round.")]
pub struct Simulate {
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    federation: Federation,
    #[command(flatten)]
    data: Data,
    /// Keep state and log in this folder after each round
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Report accuracy with the extractor generated before the last step, as the official code does
    #[arg(long)]
    strict_official: bool,
    #[command(flatten)]
    output: Output,
}

impl Simulate {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let mut config = self.federation.config(self.how.method);
        config.strict_official = self.strict_official;
        config.check()?;
        let data = self.data.open()?;
        let parts = self.data.parts(&data, config.clients)?;
        let steps = config.steps(self.data.train);
        if config.method == Method::Hyperfl && steps < 2 && !self.output.json {
            eprint_line(
                "one step a round: what these clients send gives their pictures away (`orrery hyperfl report`)",
            );
        }
        let mut simulation = Simulation::new(config, &data, parts)?;
        if let Some(folder) = &self.out {
            simulation.resume(folder)?;
        }
        let done = simulation.log.len();
        let mut bar = Steps::new("rounds", self.output.json);
        for round in done..self.federation.rounds {
            bar.at(round - done, self.federation.rounds - done);
            simulation.round(&data, context)?;
            if let Some(folder) = &self.out {
                simulation.keep(folder)?;
            }
        }
        bar.finish();
        if self.output.json {
            return print_json(&json!({
                "method": self.how.method.name(),
                "uploaded_values": simulation.shared.len(),
                "rounds": simulation.log,
            }));
        }
        print_line(&format!(
            "{}: {} values uploaded by a client in a round",
            self.how.method.name(),
            simulation.shared.len()
        ))?;
        print_line("round   before    after     loss   change   seconds")?;
        for row in &simulation.log {
            print_line(&format!(
                "{:>5}  {:>5.1} %  {:>5.1} %  {:>7.4}  {:>7.3}  {:>8.2}",
                row.round,
                100.0 * row.before,
                100.0 * row.after,
                row.loss,
                row.change,
                row.seconds
            ))?;
        }
        match simulation.decline() {
            Some(slope) => print_line(&format!(
                "change of what is shared by round: slope {slope:.2} on logarithmic axes"
            )),
            None => Ok(()),
        }
    }
}
