//! `orrery hyperfl client`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, check_out};
use base::tensor_file::Precision;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::options::{Data, Federation, How};
use crate::hyperfl::{
    ClientState, LearningError, Method, Work, evaluate, read_shared, write_update,
};

/// How the uploaded values are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Stored {
    /// 4 bytes a value
    #[default]
    F32,
    /// 2 bytes a value, 11 significant bits
    F16,
}

/// Options of `client`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery hyperfl client --client 0 --round 1 --state alice --global global.safetensors --out update.safetensors
  orrery hyperfl client --client 0 --round 1 --state alice --global global.safetensors --evaluate

Embedding and head stay in the folder of `--state`, readable by its owner alone. A round that is asked for again begins from the
state before it. All clients and the server need the same settings.")]
pub struct Client {
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    federation: Federation,
    #[command(flatten)]
    data: Data,
    /// Number of this client, from 0: which pictures it has
    #[arg(long, value_name = "N")]
    client: usize,
    /// Number of the round, from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    round: u32,
    /// Folder of what stays with this client
    #[arg(long, value_name = "FOLDER")]
    state: PathBuf,
    /// What the server sent
    #[arg(long, value_name = "FILE")]
    global: PathBuf,
    /// Where the upload goes
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "evaluate",
        conflicts_with = "evaluate"
    )]
    out: Option<PathBuf>,
    /// Only test what the server sent with this client's private parts
    #[arg(long)]
    evaluate: bool,
    /// How the uploaded values are stored
    #[arg(long, value_enum, default_value_t)]
    upload: Stored,
    /// Upload the result of a single step, from which a server can reconstruct pictures
    #[arg(long)]
    force_one_step: bool,
    #[command(flatten)]
    output: Output,
}

impl Client {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let config = self.federation.config(self.how.method);
        config.check()?;
        if matches!(
            config.method,
            Method::Local | Method::Pfedhn | Method::PfedhnPc
        ) {
            return Err(Failure::input(format!(
                "`{}` has no client that uploads to an average: take another `--method`, or `orrery hyperfl simulate`",
                config.method.name()
            )));
        }
        if self.client >= config.clients {
            return Err(Failure::input(format!(
                "there is no client {} among {}: count from 0, or give `--clients`",
                self.client, config.clients
            )));
        }
        if let Some(out) = &self.out {
            check_out(out, [])?;
        }
        if self.round as usize > config.rounds {
            return Err(Failure::input(format!(
                "there is no round {} among {}: count from 1, or give `--rounds`",
                self.round, config.rounds
            )));
        }
        let data = self.data.open()?;
        let parts = self.data.parts(&data, config.clients)?;
        let [train, test] = &parts[self.client];
        let (train, test) = (data.train.pick(train), data.test.pick(test));
        let steps = config.steps(train.len());
        if steps < 2 && !self.evaluate && !self.force_one_step {
            return Err(LearningError::invalid(format!(
                "{} pictures in batches of {} are one step a round, and what one step uploads gives the pictures away: give a smaller `--batch` or more `--local-epochs`, or `--force-one-step`",
                train.len(),
                config.batch
            ))
            .into());
        }
        let work = Work::new(config, data.shape, data.classes)?;
        let shared = read_shared(&work, &self.global)?;
        let round = self.round as usize;
        let state = ClientState::open(&work, &self.state, self.client)?;
        let mut private = state.before(round).to_vec();
        if self.evaluate {
            let private = state.latest();
            let params = work.network_params(&shared, private);
            let [accuracy, loss] = evaluate(&work.model.net, &params, &test)?;
            let answer = json!({"client": self.client, "round": round, "num-examples": test.len(), "accuracy": accuracy, "loss": loss});
            return self.answer(&answer, || {
                format!(
                    "client {}: {:.1} % on {} pictures",
                    self.client,
                    100.0 * accuracy,
                    test.len()
                )
            });
        }
        if round < state.round() {
            return Err(Failure::input(format!(
                "round {round} is over: `{}` is after round {}, and only that one can be done again",
                self.state.display(),
                state.round()
            )));
        }
        let before = private.clone();
        let done = work.run((round, self.client), &shared, &mut private, &train, &test)?;
        if let Some(out) = &self.out {
            let stored = match self.upload {
                Stored::F32 => Precision::F32,
                Stored::F16 => Precision::F16,
            };
            write_update(&work, out, (self.client, round), &done, stored)?;
        }
        // The state follows the upload: a client killed in between does the round again and sends the same.
        ClientState::keep(&work, &self.state, [self.client, round], &before, &private)?;
        let [received, after] = done.accuracy;
        let answer = json!({
            "client": self.client, "round": round, "num-examples": done.samples, "loss": done.losses.last,
            "accuracy_before": received, "accuracy": after,
        });
        self.answer(&answer, || {
            format!(
                "client {}, round {round}: {:.1} % as received, {:.1} % after {steps} steps on {} pictures",
                self.client,
                100.0 * received,
                100.0 * after,
                done.samples
            )
        })
    }

    fn answer(&self, json: &serde_json::Value, text: impl Fn() -> String) -> Result<(), Failure> {
        self.output.print(&json, &text())
    }
}
