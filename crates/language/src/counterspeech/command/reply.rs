//! `orrery counterspeech reply`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, any_seed, eprint_line, print_line};
use base::rng::Rng;
use clap::Args;
use serde_json::json;

use super::options::{Draw, Model, prompts};
use crate::counterspeech::store::read_text;
use crate::counterspeech::{BASELINE, Configuration, PROFILING, Record};

/// Options of `reply`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery counterspeech reply --message \"Only fools without taste buy bathtubs.\"
  orrery counterspeech reply --message \"Who asked you?\" --parent \"I like short beans best.\" --community pixel-garden

What is given is shown to the model: the message before, the person's earlier comments, the community with its examples.
The reply is a draft for a person to read; a small model writes weak ones.")]
pub struct ReplyTo {
    #[command(flatten)]
    model: Model,
    /// The hostile comment
    #[arg(long, value_name = "TEXT")]
    message: String,
    /// What it answers; again for a longer conversation, oldest first
    #[arg(long, value_name = "TEXT")]
    parent: Vec<String>,
    /// Earlier comments of its author, one a line, oldest first
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Describe the author by a summary of the history in place of the history
    #[arg(long, requires = "history")]
    summary: bool,
    /// Name of the community
    #[arg(long, value_name = "NAME")]
    community: Option<String>,
    /// A comment in the community's tone; may be given again
    #[arg(long, value_name = "TEXT", requires = "community")]
    example: Vec<String>,
    /// Which adapter writes
    #[arg(long = "use", value_name = "NAME", default_value = BASELINE)]
    by: String,
    /// Prompts, in place of the built-in ones
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    #[command(flatten)]
    draw: Draw,
    /// Seed of the draws
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    #[command(flatten)]
    output: Output,
}

impl ReplyTo {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        if self.message.trim().is_empty() {
            return Err(Failure::input(
                "the message is empty: give the comment to answer",
            ));
        }
        let prompts = prompts(self.prompts.as_deref())?;
        let history: Vec<String> = match &self.history {
            Some(path) => read_text(path)?
                .lines()
                .map(str::trim)
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
                .collect(),
            None => Vec::new(),
        };
        let record = Record::single(
            &self.message,
            &self.parent,
            (self.community.as_deref(), &self.example),
            &history,
        );
        let configuration = Configuration {
            model: self.by.clone(),
            context: record.blocks(if self.summary { "Su" } else { "Hi" }),
        };
        prompts.check(configuration.blocks())?;
        if prompts.profiles(&configuration) {
            eprint_line(&format!("note: {PROFILING}"));
        }
        let model = self.model.open()?;
        let summary = match (
            prompts.needs_summary(&configuration),
            prompts.summary(&record),
        ) {
            (true, Some(request)) => Some(model.summarise(&request, context)?),
            _ => None,
        };
        let prompt = prompts.fill(&record, &configuration, summary.as_deref());
        let seed = self.seed.unwrap_or_else(any_seed);
        let reply = model.reply(
            &prompt,
            &self.message,
            &self.by,
            &self.draw.drawing(),
            Rng::new(seed),
            context,
        )?;
        if self.output.json {
            let answer = json!({
                "text": reply.text, "refused": reply.refused, "config": configuration.id(), "seed": seed,
                "prompts": format!("{} {}", prompts.name, prompts.version), "prompt_sha": prompt.sha,
                "model_sha": model.sha(), "adapter_sha": model.adapter_sha(&self.by),
                "tokens": reply.tokens, "seconds": reply.seconds, "machine_text": true,
            });
            return print_line(&answer.to_string());
        }
        if reply.refused {
            return Err(Failure::failed(format!(
                "the model refused (“{}”): try another seed or model",
                reply.text.chars().take(80).collect::<String>()
            )));
        }
        print_line(&reply.text)?;
        eprint_line(&format!(
            "draft by a machine, seed {seed}, {} tokens in {:.1} s: read it before you use it, and say that a machine wrote it",
            reply.tokens, reply.seconds
        ));
        Ok(())
    }
}
