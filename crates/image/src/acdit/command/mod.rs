//! The verbs of `orrery acdit`.

mod classify;
mod draw;
mod info;
mod model;
mod options;
mod sizes;
mod train;

base::verbs! {
    /// What `orrery acdit` can do.
    pub enum Command {
        /// Draw pictures, block by block
        Sample(draw::Sample),
        /// Draw clips, block by block, as long as wanted
        Video(draw::Video),
        /// Go on from a given picture or clip
        Continue(draw::Continue),
        /// Say what pictures show
        Classify(classify::Classify),
        /// Count what sampling costs, by blocks and all at once
        Flops(info::Flops),
        /// Say what a model is
        Info(info::Info),
        /// Train a model on pictures or clips, or teach one to classify; Ctrl-C keeps what is done
        Train(train::Train),
    }
}
