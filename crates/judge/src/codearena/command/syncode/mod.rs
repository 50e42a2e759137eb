//! `orrery codearena syncode`: the steps of SynCode-Instruct, alone or all together.

use std::path::Path;

use base::command::{Context, Failure, Steps, print_json, print_line};
use clap::Subcommand;

use crate::codearena::syncode::filter::Rules;
use crate::codearena::syncode::{Stats, Step};
use options::{Answer, Ask, Files, Filter, Lang, Plain, Recall, Run, Verify};

mod all;
mod lang;
mod options;
mod recall;
mod steps;

/// The steps.
#[derive(Subcommand, Debug)]
pub enum Syncode {
    /// Keep pages about code, by a classifier trained on examples
    Recall(Recall),
    /// Tell the language of each page's code, or train what tells it
    Lang(Lang),
    /// Make text of HTML: navigation and advertisements go, code stays
    Clean(Plain),
    /// Let a model write a question inspired by each page
    Ask(Ask),
    /// Sample several answers to each question
    Answer(Answer),
    /// Run the answers in the sandbox, or let a model score them; keep the best
    Verify(Verify),
    /// Drop duplicates, benchmark leaks, what is too short or long, and surplus of a language
    Filter(Filter),
    /// All steps, from a configuration
    Run(Run),
}

/// What every step is given besides its own settings.
pub(super) struct Stage<'a> {
    pub name: &'static str,
    pub input: &'a Path,
    pub out: &'a Path,
    pub workers: usize,
    pub context: Context,
    pub quiet: bool,
}

impl<'a> Stage<'a> {
    fn of(name: &'static str, files: &'a Files, context: Context) -> Self {
        Self {
            name,
            input: &files.input,
            out: &files.out,
            workers: files.workers,
            context,
            quiet: files.json,
        }
    }

    fn step(&self, settings: String) -> Step<'a> {
        Step {
            name: self.name,
            input: self.input,
            output: self.out,
            settings,
            workers: self.workers,
            stop: self.context.stop,
        }
    }

    fn bar(&self) -> Steps {
        Steps::new(self.name, self.quiet)
    }
}

impl Syncode {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let stage = |name, files| Stage::of(name, files, context);
        match self {
            Self::Recall(verb) => {
                let encoder = verb.encoder.open(context)?;
                let stage = stage("recall", &verb.files);
                let stats = recall::recall(&stage, &verb.seeds, encoder.as_deref(), verb.seed)?;
                print_stats(&stats, &verb.files)
            }
            Self::Lang(verb) => verb.run(context),
            Self::Clean(verb) => {
                let stats = steps::clean(&stage("clean", &verb.files))?;
                print_stats(&stats, &verb.files)
            }
            Self::Ask(verb) => {
                let model = verb.model.open(context)?;
                let stats = steps::ask(&stage("ask", &verb.files), &model, verb.stage)?;
                print_stats(&stats, &verb.files)
            }
            Self::Answer(verb) => {
                let (model, stage) = (verb.model.open(context)?, stage("answer", &verb.files));
                let stats = steps::answer(&stage, &model, verb.candidates, verb.temperature)?;
                print_stats(&stats, &verb.files)
            }
            Self::Verify(verb) => {
                let model = verb.model.open(context)?;
                let stats = steps::verify(&stage("verify", &verb.files), &model, &model)?;
                print_stats(&stats, &verb.files)
            }
            Self::Filter(verb) => {
                let rules = Rules {
                    shortest: verb.shortest,
                    longest: verb.longest,
                    most_per_language: verb.most_per_language,
                };
                let stats = steps::filter(&stage("filter", &verb.files), &rules, &verb.benchmark)?;
                print_stats(&stats, &verb.files)
            }
            Self::Run(verb) => verb.run(context),
        }
    }
}

fn print_stats(stats: &Stats, files: &Files) -> Result<(), Failure> {
    match files.json {
        true => print_json(stats),
        false => print_line(&line(stats, &files.out)),
    }
}

fn line(stats: &Stats, out: &Path) -> String {
    let reasons: Vec<String> = stats
        .dropped
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    let dropped = match reasons.is_empty() {
        true => String::new(),
        false => format!("; dropped: {}", reasons.join(", ")),
    };
    format!(
        "{:<7} wrote {}: {} of {} kept{dropped}",
        stats.stage,
        out.display(),
        stats.kept,
        stats.read
    )
}
