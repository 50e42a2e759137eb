//! Options that several verbs share.

use base::command::number_in;
use clap::Args;

use crate::rapl::learn::{Fit, usual_alignment};
use crate::rapl::world::{Embodiment, Layout, Task, Variant, View};
use crate::rapl::{Alignment, Epsilon, Result, Transport};

/// Which world.
#[derive(Args, Clone, Debug)]
pub(super) struct WorldArgs {
    /// What is to be done
    #[arg(long, value_enum, default_value = "sweep")]
    pub(super) env: Task,
    /// Which robot does it
    #[arg(long, value_enum, default_value = "longstick")]
    pub(super) robot: Embodiment,
    /// What is drawn by lot
    #[arg(long, value_enum, default_value = "demo")]
    pub(super) variant: Variant,
    /// From where it is seen
    #[arg(long, value_enum, default_value = "allo")]
    pub(super) view: View,
}

impl WorldArgs {
    pub(super) fn layout(&self) -> Layout {
        Layout {
            task: self.env,
            embodiment: self.robot,
            variant: self.variant,
        }
    }
}

fn epsilon(text: &str) -> Result<f32, String> {
    number_in(text, 1e-4, 100.0)
}

/// How frames are matched.
#[derive(Args, Clone, Debug)]
pub(super) struct Matching {
    /// Strength of the entropy term
    #[arg(long, value_name = "EPS", default_value = "0.05", value_parser = epsilon)]
    eps: f32,
    /// Iterations of Sinkhorn's algorithm
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    iterations: u16,
    /// Weight of the frames' places in time; above 0, order counts
    #[arg(long, value_name = "WEIGHT", default_value = "0", value_parser = |text: &str| number_in(text, 0.0, 1000.0))]
    position: f32,
}

impl Matching {
    pub(super) fn transport(&self) -> Transport {
        Transport {
            epsilon: Epsilon::Absolute(self.eps.into()),
            iterations: self.iterations.into(),
            position: self.position.into(),
            ..usual_alignment().transport
        }
    }
}

/// How networks are trained.
#[derive(Args, Clone, Debug)]
pub(super) struct Learning {
    /// Passes over the preferences
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    epochs: u16,
    /// Triplets in a step
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
    /// Learning rate of Adam
    #[arg(long, value_name = "RATE", default_value = "0.001", value_parser = |text: &str| number_in(text, 1e-7, 1.0))]
    lr: f32,
    /// What similarities are multiplied by
    #[arg(long, value_name = "FACTOR", default_value = "8", value_parser = |text: &str| number_in(text, 1e-3, 1000.0))]
    temp: f32,
    /// Let gradients run through Sinkhorn's iterations too
    #[arg(long)]
    unroll: bool,
    /// Seed of weights and order
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(super) seed: u64,
}

impl Learning {
    pub(super) fn fit(&self) -> Fit {
        Fit {
            epochs: self.epochs.into(),
            batch: self.batch.into(),
            learning_rate: self.lr.into(),
            seed: self.seed,
            ..Fit::default()
        }
    }

    pub(super) fn alignment(&self, matching: &Matching) -> Alignment {
        Alignment {
            transport: matching.transport(),
            temperature: self.temp.into(),
            unroll: self.unroll,
        }
    }
}
