//! The verbs of `orrery emov2`.

mod classify;
mod count;
mod detect;
mod eval;
mod export;
mod features;
mod options;
mod segment;
mod train;

base::verbs! {
    /// What `orrery emov2` can do.
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
        Train(train::Train),
        /// Measure a classifier, a detector or a segmenter
        Eval(eval::Eval),
        /// Count parameters and multiply-adds, and measure pictures a second
        Count(count::Count),
        /// Write a checkpoint as safetensors under its official names
        Export(export::Export),
    }
}
