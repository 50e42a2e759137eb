//! The verbs of `orrery counterspeech`.

mod design;
mod generate;
mod measure;
mod options;
mod power;
mod records;
mod reply;
mod study;
mod templates;
mod train;

base::verbs! {
    /// What `orrery counterspeech` can do.
    pub enum Command {
        /// Draft one reply to a hostile comment
        Reply(reply::ReplyTo),
        /// Draft replies to many comments by every configuration of a grid
        Generate(generate::Generate),
        /// Measure replies: relevance, diversity, readability, toxicity, adaptation, personalization
        Indicators(measure::Indicators),
        /// Train a LoRA adapter on pairs of message and reply, or on a community's comments
        Train(train::Train),
        /// Order configurations by their indicators
        Rank(measure::Rank),
        /// Import records, or delete what is kept of a person
        #[command(subcommand)]
        Records(records::Records),
        /// Plan, serve and analyse a study in which people rate replies
        #[command(subcommand)]
        Study(study::Study),
        /// Write the built-in prompts, grid and records into a folder, to begin from
        Templates(templates::Templates),
    }
}
