//! `train`: a small guard of one's own.

use std::io::IsTerminal;
use std::path::PathBuf;

use base::command::{
    Context, Failure, eprint_line, print_json, print_line, use_calling_thread_as_worker,
};
use clap::Args;
use engine::train::{Progress, Run};
use serde_json::json;

use super::options::open_records;
use crate::guardian::head::{HeadInfo, fingerprint};
use crate::guardian::pipeline::{Classifier, Guardian, GuardianOptions};
use crate::guardian::record::Record;
use crate::guardian::risk::RiskConfig;
use crate::guardian::store::read_samples;
use crate::guardian::train::{head_config, train_head};

/// Options of `train`.
#[derive(Args, Debug)]
#[command(
    after_help = "The model reads every line once, with the definition of its risk; what it makes of them is kept in OUT.run, and a
classifier is trained on it. Custom risks need their definition in each line.

Example:
  orrery guardian train --data labelled.jsonl --out my-guard.safetensors
  orrery guardian check --head my-guard.safetensors --risk harm --prompt \"…\""
)]
pub struct Train {
    /// Labelled lines; may be given several times
    #[arg(long, value_name = "FILE", required = true)]
    data: Vec<PathBuf>,
    /// The language model below: a folder, a `.gguf` file, OWNER/NAME that was pulled, or `smollm2`
    #[arg(long, default_value = "smollm2")]
    model: String,
    /// What to call that model in messages
    #[arg(long, value_name = "NAME")]
    base: Option<String>,
    /// The guard's file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Optimisation steps of 64 samples
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    steps: u64,
    /// Seed of weights and batches
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// What is noted in the file about the data: origin, split, licences
    #[arg(long, default_value = "")]
    note: String,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

impl Train {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        use_calling_thread_as_worker();
        let mut records: Vec<Record> = Vec::new();
        for path in &self.data {
            let (mut read, _) = open_records(path)?;
            let all = read.len();
            read.retain(|record| record.label.is_some());
            if read.len() < all {
                eprint_line(&format!(
                    "warning: {} lines of `{}` have no `label` and are left out",
                    all - read.len(),
                    path.display()
                ));
            }
            records.extend(read);
        }
        let mut risks = Vec::new();
        for record in &records {
            let definition = match record.config()? {
                RiskConfig::Builtin(_) => String::new(),
                RiskConfig::Custom { definition, .. } => definition,
            };
            let risk = (record.config()?.name().to_owned(), definition);
            if !risks.contains(&risk) {
                risks.push(risk);
            }
        }
        for (risk, _) in &risks {
            let of = |risky| {
                records
                    .iter()
                    .filter(|it| {
                        it.risk.as_deref().unwrap_or("harm") == risk && it.risky() == Some(risky)
                    })
                    .count()
            };
            if of(true) == 0 || of(false) == 0 {
                return Err(Failure::input(format!(
                    "`{risk}` needs lines with label 1 and lines with label 0"
                )));
            }
        }
        if records.is_empty() {
            return Err(Failure::input(
                "no line has a `label`: 1 where the risk is there, 0 where it is not",
            ));
        }
        let options = GuardianOptions {
            classifier: Classifier::Labels,
            ..GuardianOptions::default()
        };
        let guardian = Guardian::load(&self.model, options)?;
        let run = self.out.with_added_extension("run");
        let folder = run.display().to_string();
        let read = read_samples(
            &guardian,
            &records,
            [&folder, "features"],
            !self.json,
            context,
        )?;
        let info = HeadInfo {
            base: self.base.clone().unwrap_or_else(|| self.model.clone()),
            fingerprint: fingerprint(guardian.language().decoder())?,
            risks,
            version: "3.2".into(),
            command: format!(
                "orrery guardian train --steps {} --seed {}",
                self.steps, self.seed
            ),
            data: self.note.clone(),
        };
        let mut progress = Progress::shown("head", std::io::stderr().is_terminal() && !self.json);
        let weights = run.join("head");
        if weights.exists() {
            std::fs::remove_dir_all(&weights).map_err(|error| {
                Failure::failed(format!("cannot renew `{}`: {error}", weights.display()))
            })?;
        }
        let place = Run {
            folder: &weights,
            resume: false,
            stop: context.stop,
            progress: &mut progress,
        };
        let head = train_head(
            &read.samples,
            info,
            &head_config(self.steps, self.seed),
            place,
        )?;
        context.proceed()?;
        head.save(&self.out)?;
        match self.json {
            true => print_json(
                &json!({"lines": records.len(), "risks": head.info.risks, "out": base::files::shown(&self.out)}),
            ),
            false => print_line(&format!(
                "{} lines, {} risks: {}",
                records.len(),
                head.info.risks.len(),
                self.out.display()
            )),
        }
    }
}
