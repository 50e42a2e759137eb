//! The verbs of `orrery moxin`.

use std::path::Path;

use base::command::{Context, Failure, print_line, report};
use base::system::Verbs;
use clap::Subcommand;
use serde_json::{Value, json};

mod data;
mod eval;
mod open;
mod pretrain;
mod talk;
mod tuning;
mod vocabulary;

/// What `orrery moxin` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Clean, thin out, mix and pack text for training
    #[command(subcommand)]
    Data(Box<data::Data>),
    /// Learn a vocabulary from text
    Tokenizer(vocabulary::Vocabulary),
    /// Train a new model in phases
    Pretrain(pretrain::Pretraining),
    /// Make a deeper model that computes the same at first
    Expand(pretrain::Expansion),
    /// Fine-tune a model on conversations
    Sft(Box<tuning::Sft>),
    /// Train a model to prefer better answers
    Dpo(Box<tuning::Dpo>),
    /// Train a model by rewards for right answers
    Grpo(Box<tuning::Grpo>),
    /// Score multiple choice and text by log-likelihood
    Eval(eval::Eval),
    /// Go on from a text
    Generate(talk::Generate),
    /// Talk with a model
    Chat(talk::Chat),
    /// How open a release is, by the Model Openness Framework
    Openness(open::Open),
}

impl Verbs for Command {
    fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::Data(verb) => verb.run(context),
            Self::Tokenizer(verb) => verb.run(context),
            Self::Pretrain(verb) => verb.run(context),
            Self::Expand(verb) => verb.run(context),
            Self::Sft(verb) => verb.run(context),
            Self::Dpo(verb) => verb.run(context),
            Self::Grpo(verb) => verb.run(context),
            Self::Eval(verb) => verb.run(context),
            Self::Generate(verb) => verb.run(context),
            Self::Chat(verb) => verb.run(context),
            Self::Openness(verb) => verb.run(context),
        }
    }
}

/// Says where the model is.
fn wrote(json: bool, model: &Path, more: Value) -> Result<(), Failure> {
    match json {
        true => print_line(&json!({"model": base::files::shown(model), "more": more}).to_string()),
        false => report(false, &format!("wrote `{}`", model.display())),
    }
}
