//! The verbs of `orrery grape`.

mod bench;
mod convert;
mod edit;
mod options;
mod plan;
mod run;

base::verbs! {
    /// What `orrery grape` can do.
    pub enum Command {
        /// Draw a prompt, let a model that sees plan what is wrong, and edit it, step by step
        Run(run::RunVerb),
        /// Let a model that sees say how a picture is to be edited
        Plan(plan::PlanVerb),
        /// Edit a picture by one or more instructions
        Edit(edit::EditVerb),
        /// Score prompts with questions before and after editing
        Bench(bench::BenchVerb),
        /// Give PixArt-Σ the input channels of an editor, to begin a training with
        ConvertPixart(convert::Convert),
    }
}
