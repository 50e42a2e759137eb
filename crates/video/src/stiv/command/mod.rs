//! The verbs of `orrery stiv`, and the drawing that `orrery create` shares with them.

use clap::Subcommand;
use engine::command::{Context, Failure, Later};

mod carry;
pub mod draw;
mod eval;
mod export;
pub mod generate;
mod measure;
mod note;
pub mod options;
pub mod output;
mod painter;
mod plan;
mod reading;
mod subjects;
pub mod ticket;
mod train;

/// What `orrery stiv` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Text to picture
    T2i(Later<generate::TextToPicture>),
    /// Text to clip
    T2v(Later<generate::TextToVideo>),
    /// Text and a first frame to clip
    Ti2v(Later<generate::PictureToVideo>),
    /// Go on from the first frames of a clip
    #[command(after_help = "Example:\n  orrery stiv predict fox --clip start.gif --out more.gif")]
    Predict(Later<generate::FromClip>),
    /// New frames between the frames of a clip
    #[command(after_help = "Example:\n  orrery stiv interpolate --clip slow.gif --out smooth.gif")]
    Interpolate(Later<generate::FromClip>),
    /// What a model can draw, and what it takes words to mean
    Subjects(Later<subjects::Subjects>),
    /// Train the text tower, a picture model or a clip model; Ctrl-C keeps what is done
    Train(Later<train::Train>),
    /// Loss of a picture model on pairs it was trained on and on pairs it never saw
    Eval(Later<eval::Eval>),
    /// Write the averaged weights of a training run, with its text tower, as one 16-bit file
    Export(Later<export::Export>),
    /// Where a clip cuts
    Scenes(Later<measure::Scenes>),
    /// VBench's totals out of the scores of its dimensions
    VbenchAggregate(Later<measure::Aggregate>),
    /// How much a caption makes up (DSG-Video), from answers about its objects
    CaptionCheck(Later<measure::CaptionCheck>),
}

/// Does it.
///
/// # Errors
/// One line with the cause and the mend.
pub fn run(command: &Command, context: Context) -> Result<(), Failure> {
    match command {
        Command::T2i(verb) => verb.run(context),
        Command::T2v(verb) => verb.run(context),
        Command::Ti2v(verb) => verb.run(context),
        Command::Predict(verb) => verb.predict(context),
        Command::Interpolate(verb) => verb.interpolate(context),
        Command::Subjects(verb) => verb.run(),
        Command::Train(verb) => verb.run(context),
        Command::Eval(verb) => verb.run(context),
        Command::Export(verb) => verb.run(context),
        Command::Scenes(verb) => verb.run(),
        Command::VbenchAggregate(verb) => verb.run(),
        Command::CaptionCheck(verb) => verb.run(),
    }
}
