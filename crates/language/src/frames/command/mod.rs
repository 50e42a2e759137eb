//! `orrery frames`: the verbs.

mod compare;
mod guide;
mod options;
mod read;

use std::path::PathBuf;
use std::time::Instant;

use base::command::{Context, Failure, Output, Steps};
use clap::Args;

use super::making::ConceptOptions;
use super::model::FramesModel;
use engine::SystemError;
use options::{MakingArgs, ModelArgs};

base::verbs! {
    /// The verbs.
    pub enum Command {
        /// Make the frames of all concepts of WordNet, once for each model
        Build(Build),
        /// Measure, token by token, how much a text expresses a concept
        Probe(read::Probe),
        /// List the concepts that a text expresses most
        Top(read::Top),
        /// Write on, towards a concept
        Guide(guide::Guide),
        /// Count the words whose frames have full rank
        Rank(read::Rank),
        /// Compare the concepts of two models of equal width
        Compare(compare::Compare),
        /// Measure how far guidance moves prompts between pairs of concepts
        Bias(guide::Bias),
    }
}

/// Options of `build`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery frames build --pos noun --out concepts.safetensors
  orrery frames build --wordnet package/dict --omw wn-data-fra.tab --langs eng,fra --out concepts.safetensors")]
pub struct Build {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    making: MakingArgs,
    /// Where the concepts go
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl Build {
    fn run(&self, context: Context) -> Result<(), Failure> {
        let begun = Instant::now();
        let model = self.model.open()?;
        let count = build(
            &model,
            &self.making.options(),
            &self.out,
            context,
            self.output.json,
        )?;
        let seconds = begun.elapsed().as_secs_f64();
        self.output.print(
            &serde_json::json!({
                "concepts": count, "seconds": seconds, "out": base::files::shown(&self.out), "model": model.name,
            }),
            &format!(
                "{count} concepts in {seconds:.1} s: `{}`",
                self.out.display()
            ),
        )
    }
}

/// Builds a file with a bar; Ctrl-C leaves none.
fn build(
    model: &FramesModel,
    options: &ConceptOptions,
    out: &std::path::Path,
    context: Context,
    quiet: bool,
) -> Result<usize, Failure> {
    let mut bar = Steps::new("concepts", quiet);
    let built = options.build(model, out, &mut |done, all| {
        bar.at(done, all);
        !context.stopped()
    });
    bar.finish();
    context.proceed()?;
    Ok(built?)
}

/// The error of a loop that Ctrl-C ends; the caller turns it into [`Failure::Interrupted`].
fn unless_stopped(context: Context) -> Result<(), SystemError> {
    match context.stopped() {
        true => Err(SystemError::Input("stopped".into())),
        false => Ok(()),
    }
}
