//! The verbs of `orrery lora-rar`.

mod inspect;
mod judge;
mod merge;
mod merge_report;
mod train;
mod ziplora;

base::verbs! {
    /// What `orrery lora-rar` can do.
    pub enum Command {
        /// Merge a subject's and a style's LoRA into one
        Merge(merge::Merge),
        /// Train the network that merges on a model, with LoRAs of subjects and of styles; Ctrl-C keeps what is done
        Train(Box<train::Train>),
        /// Say what is in a LoRA file: format, layers, ranks, alphas, sizes
        Inspect(inspect::Inspect),
        /// Ask a model that sees whether generated pictures show the subject and the style
        Judge(judge::Judge),
    }
}

/// A weight of the similarity term.
fn similarity(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(weight) if (0.0..=1.0).contains(&weight) => Ok(weight),
        _ => Err("give a number from 0 to 1".into()),
    }
}
