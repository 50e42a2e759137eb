//! What a federation is: method, sizes, optimisers.

use serde::{Deserialize, Serialize};

use super::hypernetwork::Init;
use super::local::LocalConfig;
use crate::error::{LearningError, Result};

/// How clients train and what they share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Hypernetwork shared; embedding and head private
    Hyperfl,
    /// Whole network shared
    Fedavg,
    /// Nothing shared
    Local,
    /// Whole network shared, trained by DP-SGD
    DpFedavg,
    /// Extractor shared, trained by DP-SGD after the private head
    Centaur,
    /// Extractor shared, trained by DP-SGD batch by batch with the private head
    Ppsgd,
    /// Hypernetwork on the server makes each client's whole network
    Pfedhn,
    /// Hypernetwork on the server makes each client's extractor; head private
    PfedhnPc,
}

impl Method {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hyperfl => "hyperfl",
            Self::Fedavg => "fedavg",
            Self::Local => "local",
            Self::DpFedavg => "dp-fedavg",
            Self::Centaur => "centaur",
            Self::Ppsgd => "ppsgd",
            Self::Pfedhn => "pfedhn",
            Self::PfedhnPc => "pfedhn-pc",
        }
    }

    /// Whether its gradients are clipped and noised.
    pub fn private(self) -> bool {
        matches!(self, Self::DpFedavg | Self::Centaur | Self::Ppsgd)
    }
}

/// Settings of a federation; those of the paper where there is no other word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// How clients train.
    pub method: Method,
    /// Number of clients.
    pub clients: usize,
    /// Share of the clients that take part in a round, in (0, 1].
    pub frac: f64,
    /// Rounds in all: the noise of the DP methods is for these.
    pub rounds: usize,
    /// Epochs of a client in a round.
    pub epochs: usize,
    /// Pictures of a batch.
    pub batch: usize,
    /// Values of an embedding.
    pub embed: usize,
    /// Width of the hypernetwork's trunk.
    pub hidden: usize,
    /// How the hypernetwork starts.
    pub init: Init,
    /// Optimisers.
    pub local: LocalConfig,
    /// Privacy target of the DP methods.
    pub epsilon: f64,
    /// Its δ.
    pub delta: f64,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Report accuracy with the extractor generated before the last step, as the official code does.
    pub strict_official: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            method: Method::Hyperfl,
            clients: 20,
            frac: 1.0,
            rounds: 200,
            epochs: 5,
            batch: 50,
            embed: 64,
            hidden: 128,
            init: Init::Scaled,
            local: LocalConfig::default(),
            epsilon: 4.0,
            delta: 1e-5,
            seed: 520,
            strict_official: false,
        }
    }
}

impl Config {
    /// Checks that the numbers make a federation.
    ///
    /// # Errors
    /// With the first that does not.
    pub fn check(&self) -> Result<()> {
        let problem = if self.clients == 0 || self.clients > 100_000 {
            "the number of clients must be from 1 to 100000"
        } else if !(self.frac > 0.0 && self.frac <= 1.0) {
            "the share of clients in a round must be above 0 and at most 1"
        } else if self.rounds == 0 || self.epochs == 0 || self.batch == 0 {
            "rounds, epochs and batch must be at least 1"
        } else if self.embed == 0 || self.hidden == 0 || self.embed > 4096 || self.hidden > 1024 {
            "embeddings must have 1 to 4096 values, the hypernetwork 1 to 1024"
        } else if !(self.local.lr > 0.0 && self.local.lr.is_finite()) {
            "the learning rate must be above 0"
        } else {
            return Ok(());
        };
        Err(LearningError::invalid(problem))
    }

    /// Clients of a round: ⌊frac · clients⌋, at least one.
    pub fn chosen(&self) -> usize {
        ((self.frac * self.clients as f64) as usize).max(1)
    }

    /// Steps of SGD on what is shared, of a client with `samples` pictures in a round.
    pub fn steps(&self, samples: usize) -> usize {
        match self.method {
            Method::Pfedhn | Method::PfedhnPc => super::baselines::INNER_STEPS,
            _ => samples.div_ceil(self.batch) * self.epochs,
        }
    }
}
