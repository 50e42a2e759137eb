//! The verbs of `orrery acdit`.

use base::command::{Context, Failure};
use base::system::Verbs;
use clap::Subcommand;

mod classify;
mod draw;
mod info;
mod model;
mod options;
mod sizes;
mod train;

/// What `orrery acdit` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Draw pictures, block by block
    Sample(Box<draw::Sample>),
    /// Draw clips, block by block, as long as wanted
    Video(Box<draw::Video>),
    /// Go on from a given picture or clip
    Continue(Box<draw::Continue>),
    /// Say what pictures show
    Classify(Box<classify::Classify>),
    /// Count what sampling costs, by blocks and all at once
    Flops(Box<info::Flops>),
    /// Say what a model is
    Info(Box<info::Info>),
    /// Train a model on pictures or clips, or teach one to classify; Ctrl-C keeps what is done
    Train(Box<train::Train>),
}

impl Verbs for Command {
    fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::Sample(verb) => verb.run(context),
            Self::Video(verb) => verb.run(context),
            Self::Continue(verb) => verb.run(context),
            Self::Classify(verb) => verb.run(context),
            Self::Flops(verb) => verb.run(),
            Self::Info(verb) => verb.run(),
            Self::Train(verb) => verb.run(context),
        }
    }
}
