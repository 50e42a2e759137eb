//! `orrery harp eval`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Output, Steps, print_json, print_line, whole};
use base::job::Shard;
use base::job::jsonl;
use base::job::log::{Log, check_results};
use clap::Args;
use serde_json::{Value, json};

use super::options::{Harp, Model, Sampling};
use crate::harp::eval::{EvalConfig, summarize};
use crate::harp::{Arm, ArmResult, BeamCompat, Evaluation, Scoring, evaluate, read_items};

/// Options of `eval`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery harp eval --task tasks.jsonl --scoring number --chat --out results.jsonl

A task is a line such as {\"prompt\": \"2 + 3 =\", \"answer\": \"5\"}, with \"id\" and \"scoring\" where wanted. Results are kept
in `--out` one by one: the same command goes on where it was stopped.")]
pub struct Eval {
    #[command(flatten)]
    model: Model,
    /// Tasks, one JSON object a line
    #[arg(long, value_name = "FILE")]
    task: PathBuf,
    /// What is compared
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "vanilla,harp,always,beam"
    )]
    arms: Vec<Arm>,
    /// How answers are scored where a task does not say
    #[arg(long, value_enum, default_value = "word")]
    scoring: Scoring,
    /// Prompts are questions in the model's chat format
    #[arg(long)]
    chat: bool,
    #[command(flatten)]
    harp: Harp,
    #[command(flatten)]
    sampling: Sampling,
    /// End an answer before this text; may be given again
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Beams of the arm `beam`
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    beams: u16,
    /// Whose beam search
    #[arg(long, value_enum, default_value = "harp")]
    beam_compat: BeamCompat,
    /// Run only the first N tasks
    #[arg(long, value_name = "N", value_parser = |text: &str| whole(text, 1_000_000_000))]
    limit: Option<usize>,
    /// Work on every Nth task only, from the Ith, counted from 0; the result files put together are that of a whole run
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Results, one a line
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl Eval {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        if let Some(out) = &self.out {
            check_results(out, [&self.task])?;
        }
        let mut arms: Vec<Arm> = Vec::new();
        for arm in &self.arms {
            if !arms.contains(arm) {
                arms.push(*arm);
            }
        }
        let mut items = read_items(&self.task)?;
        items.truncate(self.limit.unwrap_or(usize::MAX));
        if let Some(Shard { index, of }) = self.shard {
            items = items.into_iter().skip(index).step_by(of).collect();
        }
        let pipeline = self.model.open()?;
        let config = EvalConfig {
            generate: self.sampling.config(&self.harp, &pipeline, &self.stop)?,
            scoring: self.scoring,
            chat: self.chat,
            beams: usize::from(self.beams),
            compat: self.beam_compat,
        };
        // A run log begins with what its results depend on.
        let head = json!({"harp_eval": {
            "model": self.model.name(), "settings": config.generate.harp, "sampler": config.generate.sampler,
            "max_new": config.generate.max_tokens, "stop": config.generate.stop, "scoring": self.scoring,
            "chat": self.chat, "beams": self.beams, "beam_compat": self.beam_compat,
        }});
        let mut log = self
            .out
            .as_deref()
            .map(|path| RunLog::open(path, &head))
            .transpose()?;
        let done: Vec<ArmResult> = log
            .as_mut()
            .map(|log| std::mem::take(&mut log.done))
            .unwrap_or_default();
        let known: BTreeSet<(String, Arm)> =
            done.iter().map(|it| (it.id.clone(), it.arm)).collect();
        let wanted = |it: &ArmResult| {
            self.arms.contains(&it.arm)
                && items.iter().any(|item| item.id.as_deref() == Some(&it.id))
        };
        let mut results: Vec<ArmResult> = done.into_iter().filter(wanted).collect();
        let mut bar = Steps::new("tasks", self.output.json);
        for (at, item) in items.iter().enumerate() {
            bar.at(at, items.len());
            for &arm in &arms {
                if known.contains(&(item.id.clone().unwrap_or_default(), arm)) {
                    continue;
                }
                if context.stopped() {
                    let line = match log {
                        Some(_) => "stopped; the same command goes on from here",
                        None => "stopped; with `--out` results are kept",
                    };
                    return Err(Failure::interrupted(line));
                }
                let result = evaluate(&pipeline, item, arm, &config)?;
                if let Some(log) = &mut log {
                    log.log.append(&result)?;
                }
                results.push(result);
            }
        }
        bar.finish();
        let rows = summarize(&results);
        match self.output.json {
            true => print_json(&json!({"arms": rows})),
            false => table(&rows),
        }
    }
}

fn table(rows: &[Evaluation]) -> Result<(), Failure> {
    print_line(
        "arm      tasks   score  95 % interval   passes/token   seconds   time/token vs vanilla",
    )?;
    for row in rows {
        let arm = format!("{:?}", row.arm).to_lowercase();
        let cost = row.cost.map_or("–".into(), |cost| format!("{cost:.2}"));
        print_line(&format!(
            "{arm:<8} {:>5}  {:>5.1} %  {:>5.1} – {:>5.1}   {:>12.2}  {:>8.1}   {cost:>8}",
            row.items,
            100.0 * row.score,
            100.0 * row.interval[0],
            100.0 * row.interval[1],
            row.passes_per_token,
            row.seconds,
        ))?;
    }
    Ok(())
}

/// Results that are kept one by one.
struct RunLog {
    log: Log,
    done: Vec<ArmResult>,
}

impl RunLog {
    fn open(path: &Path, head: &Value) -> Result<Self, Failure> {
        let mut log = Log::open(path)?;
        let records = jsonl::read_any(path)?.records;
        let mut heads = records
            .iter()
            .filter(|(_, it)| it.contains_key("harp_eval"));
        if records.is_empty() {
            log.append(head)?;
        } else if heads.clone().count() == 0 {
            return Err(Failure::input(format!(
                "`{}` holds something else than results of `harp eval`: name another file",
                path.display()
            )));
        } else if heads.any(|(_, it)| head.as_object() != Some(it)) {
            return Err(Failure::input(format!(
                "`{}` holds results of other settings: name another file, or delete it",
                path.display()
            )));
        }
        let results = records.into_iter();
        let results = results.filter_map(|(_, it)| serde_json::from_value(it.into()).ok());
        Ok(Self {
            log,
            done: results.collect(),
        })
    }
}
