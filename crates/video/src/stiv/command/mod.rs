//! The verbs of `orrery stiv`, and the drawing that `orrery create` shares with them.

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

base::verbs! {
    /// What `orrery stiv` can do.
    pub enum Command {
        /// Text to image
        T2i(generate::TextToImage),
        /// Text to clip
        T2v(generate::TextToVideo),
        /// Text and a first frame to clip
        Ti2v(generate::ImageToVideo),
        /// Go on from the first frames of a clip
        #[command(after_help = "Example:\n  orrery stiv predict fox --clip start.gif --out more.gif")]
        Predict(generate::Predict),
        /// New frames between the frames of a clip
        #[command(after_help = "Example:\n  orrery stiv interpolate --clip slow.gif --out smooth.gif")]
        Interpolate(generate::Interpolate),
        /// What a model can draw, and what it takes words to mean
        Subjects(subjects::Subjects),
        /// Train the text tower, a picture model or a clip model; Ctrl-C keeps what is done
        Train(train::Train),
        /// Loss of a picture model on pairs it was trained on and on pairs it never saw
        Eval(eval::Eval),
        /// Write the averaged weights of a training run, with its text tower, as one 16-bit file
        Export(export::Export),
        /// Where a clip cuts
        Scenes(measure::Scenes),
        /// VBench's totals out of the scores of its dimensions
        VbenchAggregate(measure::Aggregate),
        /// How much a caption makes up (DSG-Video), from answers about its objects
        CaptionCheck(measure::CaptionCheck),
    }
}
