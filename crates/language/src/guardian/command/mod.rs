//! The verbs of `orrery guardian`.

use base::command::{Context, Failure};
use base::system::Verbs;
use clap::Subcommand;

mod check;
mod eval;
mod options;
mod screen;
mod synth;
mod train;

/// What `orrery guardian` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Assess a prompt, an answer or a tool call
    Check(Box<check::Check>),
    /// Assess a question, its context and its answer: all three retrieval risks
    Rag(Box<check::Rag>),
    /// Check tool calls against their definitions by rules: no model
    Tools(Box<check::Tools>),
    /// Assess a file of JSON lines, one message list and risk a line
    Screen(Box<screen::Screen>),
    /// Detection metrics of labelled JSON lines, with bootstrap intervals
    Eval(Box<eval::Eval>),
    /// Thresholds that keep false positives under a rate
    Calibrate(Box<eval::Calibrate>),
    /// Train a small guard on labelled JSON lines
    Train(Box<train::Train>),
    /// Make labelled JSON lines: tool calls, retrieval, prompts, public sets
    Synth(Box<synth::Synth>),
}

impl Verbs for Command {
    fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::Check(verb) => verb.run(),
            Self::Rag(verb) => verb.run(),
            Self::Tools(verb) => verb.run(),
            Self::Screen(verb) => verb.run(context),
            Self::Eval(verb) => verb.run(context),
            Self::Calibrate(verb) => verb.run(context),
            Self::Train(verb) => verb.run(context),
            Self::Synth(verb) => verb.run(context),
        }
    }
}
