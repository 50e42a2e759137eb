//! `orrery codearena syncode run`: all steps, from a configuration.

use base::command::{Context, Failure, print_json, print_line};

use super::options::{Run, Seeds};
use super::{Stage, line, recall, steps};
use crate::codearena::syncode::config::{ModelConfig, RecallConfig, RunConfig};
use crate::codearena::syncode::lang::Wanted;

impl Run {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let config = RunConfig::read(&self.config).map_err(Failure::input)?;
        base::files::make_folder(&config.out)?;
        let open = |model: &ModelConfig| self.server.model(&model.url, &model.model, context);
        let encoder = || {
            let encoder = config.encoder.as_ref();
            let open = |one: &ModelConfig| self.server.embedder(&one.url, &one.model, context);
            encoder.map(open).transpose()
        };
        let (asker, answerer) = (open(&config.asker)?, open(&config.answerer)?);
        let tester = open(config.tester.as_ref().unwrap_or(&config.asker))?;
        let scorer = open(config.scorer.as_ref().unwrap_or(&config.asker))?;
        let mut input = config.pages.clone();
        let mut all = Vec::new();
        for name in [
            "recall", "lang", "clean", "ask", "answer", "verify", "filter",
        ] {
            let file = match name {
                "ask" => "questions.jsonl",
                "answer" => "answers.jsonl",
                "verify" => "verified.jsonl",
                "filter" => "final.jsonl",
                other => &format!("{other}.jsonl"),
            };
            let out = config.out.join(file);
            let stage = Stage {
                name,
                input: &input,
                out: &out,
                workers: config.workers as usize,
                context,
                quiet: self.json,
            };
            let stats = match name {
                "recall" => match &config.recall {
                    Some(config) => {
                        recall::recall(&stage, &seeds(config), encoder()?.as_deref(), self.seed)?
                    }
                    None => continue,
                },
                "lang" => {
                    let wanted = Wanted {
                        keep: config.languages.clone(),
                        shares: config.shares.clone(),
                    };
                    steps::lang(&stage, config.lang_model.as_deref(), encoder()?, &wanted)?
                }
                "clean" => steps::clean(&stage)?,
                "ask" => steps::ask(&stage, &asker, config.stage)?,
                "answer" => steps::answer(&stage, &answerer, config.candidates, 0.8)?,
                "verify" => steps::verify(&stage, &tester, &scorer)?,
                _ => steps::filter(&stage, &config.filter, &config.benchmarks)?,
            };
            if !self.json {
                print_line(&line(&stats, &out))?;
            }
            all.push(stats);
            input = out;
        }
        match self.json {
            true => print_json(&all),
            false => Ok(()),
        }
    }
}

fn seeds(config: &RecallConfig) -> Seeds {
    Seeds {
        positives: config.positives.clone(),
        negatives: config.negatives.clone(),
        threshold: config.threshold,
        repository_share: config.repository_share,
        good: config.good.clone(),
        poor: config.poor.clone(),
        quality: config.quality,
    }
}
