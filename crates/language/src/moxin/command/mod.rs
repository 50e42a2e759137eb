//! The verbs of `orrery moxin`.

use std::path::Path;

use base::command::{Failure, print_json, report};
use serde_json::{Value, json};

mod data;
mod eval;
mod open;
mod pretrain;
mod talk;
mod tuning;
mod vocabulary;

base::verbs! {
    /// What `orrery moxin` can do.
    pub enum Command {
        /// Clean, thin out, mix and pack text for training
        #[command(subcommand)]
        Data(data::Data),
        /// Learn a vocabulary from text
        Tokenizer(vocabulary::Vocabulary),
        /// Train a new model in phases
        Pretrain(pretrain::Pretraining),
        /// Make a deeper model that computes the same at first
        Expand(pretrain::Expansion),
        /// Fine-tune a model on conversations
        Sft(tuning::Sft),
        /// Train a model to prefer better answers
        Dpo(tuning::Dpo),
        /// Train a model by rewards for right answers
        Grpo(tuning::Grpo),
        /// Score multiple choice and text by log-likelihood
        Eval(eval::Eval),
        /// Go on from a text
        Generate(talk::Generate),
        /// Talk with a model
        Chat(talk::Chat),
        /// How open a release is, by the Model Openness Framework
        Openness(open::Open),
    }
}

/// Says where the model is.
fn wrote(json: bool, model: &Path, more: Value) -> Result<(), Failure> {
    match json {
        true => print_json(&json!({"model": base::files::shown(model), "more": more})),
        false => report(false, &format!("wrote `{}`", model.display())),
    }
}
