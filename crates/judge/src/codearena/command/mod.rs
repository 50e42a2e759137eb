//! The verbs of `orrery codearena`.

mod check;
mod classify;
mod failures;
mod generate;
mod judge;
mod leaderboard;
mod merge;
mod options;
mod score;
mod shards;
mod syncode;

base::verbs! {
    /// What `orrery codearena` can do.
    pub enum Command {
        /// Answer the questions with a model behind an OpenAI-compatible server
        Generate(generate::Generate),
        /// Compare the answers with the baseline's, two games an item
        Judge(judge::Judge),
        /// Win and tie rates of a judged file, overall and by class
        Score(score::Score),
        /// Several judged files in one table, or Bradley–Terry ratings with intervals
        Leaderboard(leaderboard::Leaderboard),
        /// A judged file as a web page, with the items whose two orders disagree
        Report(score::Report),
        /// Classes for items that have no task type
        Classify(classify::Classify),
        /// Run answers against their tests in the sandbox: grades and pass@k
        Check(check::Check),
        /// Put the shards of `generate`, `judge` or `check` together
        Merge(merge::Merge),
        /// Languages that the sandbox can run here
        Languages(check::Languages),
        /// Instruction data from web pages (SynCode-Instruct)
        #[command(
            subcommand,
            arg_required_else_help = true,
            after_help = "Each step reads the file that the one before wrote, in the order above; `run` does them all. What is done is not done again."
        )]
        Syncode(syncode::Syncode),
    }
}
