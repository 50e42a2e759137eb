//! The verbs of `orrery lora-rar`.

mod inspect;
mod judge;
mod merge;

base::verbs! {
    /// What `orrery lora-rar` can do.
    pub enum Command {
        /// Merge a subject's and a style's LoRA into one
        Merge(merge::Merge),
        /// Say what is in a LoRA file: format, layers, ranks, alphas, sizes
        Inspect(inspect::Inspect),
        /// Ask a model that sees whether generated pictures show the subject and the style
        Judge(judge::Judge),
    }
}
