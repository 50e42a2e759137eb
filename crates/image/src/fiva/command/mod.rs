//! The verbs of `orrery fiva`.

mod data;
mod embed;
mod eval;
mod generate;
mod options;
mod qformer;
mod render;
mod train;

base::verbs! {
    /// What `orrery fiva` can do.
    pub enum Command {
        /// Draw what a prompt says, with attributes of reference pictures
        Generate(generate::Generate),
        /// Read reference pictures once and save their tokens
        Embed(embed::Embed),
        /// Taxonomy, prompts, range filter, pairs and statistics of training data
        #[command(subcommand)]
        Data(data::Data),
        /// Train a small Q-Former to begin with: it learns to tell of a picture the attribute that a word asks for
        #[command(name = "qformer")]
        QFormer(qformer::QFormerVerb),
        /// Train adapter and Q-Former on pairs
        Train(train::Train),
        /// Ask a judge that sees whether results have the right subject and attribute
        Eval(eval::Eval),
    }
}
