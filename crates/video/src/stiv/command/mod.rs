//! The verbs of `orrery stiv`, and the drawing that `orrery create` shares with them.

use base::command::{Context, Failure};
use base::system::Verbs;
use clap::Subcommand;

pub mod draw;
mod eval;
mod export;
pub mod generate;
mod measure;
pub mod options;
pub mod output;
mod run_config;
mod run_training;
mod subjects;
mod train;

/// What `orrery stiv` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Text to image
    T2i(Box<generate::TextToImage>),
    /// Text to clip
    T2v(Box<generate::TextToVideo>),
    /// Text and a first frame to clip
    Ti2v(Box<generate::ImageToVideo>),
    /// Go on from the first frames of a clip
    #[command(after_help = "Example:\n  orrery stiv predict fox --clip start.gif --out more.gif")]
    Predict(Box<generate::FromClip>),
    /// New frames between the frames of a clip
    #[command(after_help = "Example:\n  orrery stiv interpolate --clip slow.gif --out smooth.gif")]
    Interpolate(Box<generate::FromClip>),
    /// What a model can draw, and what it takes words to mean
    Subjects(Box<subjects::Subjects>),
    /// Train the text tower, a picture model or a clip model; Ctrl-C keeps what is done
    Train(Box<train::Train>),
    /// Loss of a picture model on pairs it was trained on and on pairs it never saw
    Eval(Box<eval::Eval>),
    /// Write the averaged weights of a training run, with its text tower, as one 16-bit file
    Export(Box<export::Export>),
    /// Where a clip cuts
    Scenes(Box<measure::Scenes>),
    /// VBench's totals out of the scores of its dimensions
    VbenchAggregate(Box<measure::Aggregate>),
    /// How much a caption makes up (DSG-Video), from answers about its objects
    CaptionCheck(Box<measure::CaptionCheck>),
}

impl Verbs for Command {
    fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::T2i(verb) => verb.run(context),
            Self::T2v(verb) => verb.run(context),
            Self::Ti2v(verb) => verb.run(context),
            Self::Predict(verb) => verb.predict(context),
            Self::Interpolate(verb) => verb.interpolate(context),
            Self::Subjects(verb) => verb.run(),
            Self::Train(verb) => verb.run(context),
            Self::Eval(verb) => verb.run(context),
            Self::Export(verb) => verb.run(context),
            Self::Scenes(verb) => verb.run(),
            Self::VbenchAggregate(verb) => verb.run(),
            Self::CaptionCheck(verb) => verb.run(),
        }
    }
}
