//! The verbs of `orrery emov2`.

use base::command::{Context, Failure};
use base::system::Verbs;
use clap::Subcommand;

mod classify;
mod count;
mod detect;
mod eval;
mod export;
mod features;
mod options;
mod segment;
mod train;

/// What `orrery emov2` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Say what is in pictures
    Classify(classify::Classify),
    /// Write the feature maps of a picture
    Features(features::Features),
    /// Find things in a picture, with boxes and masks
    Detect(detect::Detect),
    /// Say for each pixel of a picture what it belongs to
    Segment(segment::Segment),
    /// Train a classifier on a folder of pictures
    Train(Box<train::Train>),
    /// Measure a classifier, a detector or a segmenter
    Eval(eval::Eval),
    /// Count parameters and multiply-adds, and measure pictures a second
    Count(count::Count),
    /// Write a checkpoint as safetensors under its official names
    Export(export::Export),
}

impl Verbs for Command {
    fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::Classify(verb) => verb.run(context),
            Self::Features(verb) => verb.run(context),
            Self::Detect(verb) => verb.run(context),
            Self::Segment(verb) => verb.run(context),
            Self::Train(verb) => verb.run(context),
            Self::Eval(verb) => verb.run(context),
            Self::Count(verb) => verb.run(context),
            Self::Export(verb) => verb.run(context),
        }
    }
}
