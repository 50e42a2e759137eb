//! `screen`: many contents, line by line.

use std::fs::OpenOptions;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::time::Instant;

use base::command::{
    Context, Failure, Steps, eprint_line, print_json, print_line, use_calling_thread_as_worker,
};
use base::files::FileError;
use base::job::Shard;
use base::job::log::check_results;
use clap::Args;
use serde_json::{Value, json};

use super::options::{ModelOptions, open_records};
use crate::guardian::pipeline::Guardian;
use crate::guardian::record::Record;

/// Options of `screen`.
#[derive(Args, Debug)]
#[command(
    after_help = "Each line is {\"id\", \"messages\": [{\"role\": \"user|assistant|context|tools\", \"content\"}], \"risk\", \"definition\", \"label\"}; what comes
out has label_text, probability, threshold, flagged, latency_ms and model besides, or error.

Examples:
  orrery guardian screen --out scored.jsonl chats.jsonl
  orrery guardian screen --out part-0.jsonl --shard 0/4 chats.jsonl
  cat chats.jsonl | orrery guardian screen > scored.jsonl"
)]
pub struct Screen {
    /// The lines; `-` is standard input
    #[arg(default_value = "-")]
    data: PathBuf,
    /// Where the result goes; a run that was stopped goes on from FILE.part [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Work on every Nth line only, from the Ith, counted from 0
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    #[command(flatten)]
    model: ModelOptions,
    /// Print a summary as one JSON object at the end (needs --out)
    #[arg(long, requires = "out")]
    json: bool,
}

impl Screen {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        use_calling_thread_as_worker();
        if let Some(out) = &self.out {
            check_results(out, [&self.data])?;
        }
        let (records, left_out) = open_records(&self.data)?;
        let shard = self.shard.unwrap_or(Shard { index: 0, of: 1 });
        let records = records.into_iter().skip(shard.index).step_by(shard.of);
        let records: Vec<Record> = records.collect();
        let names: Vec<&str> = records
            .iter()
            .map(|record| record.risk.as_deref().unwrap_or("harm"))
            .collect();
        let guardian = self.model.load(&names)?;
        let Some(out) = &self.out else {
            for record in &records {
                context.proceed()?;
                print_line(&scored(&guardian, record).to_string())?;
            }
            return Ok(());
        };
        let part = out.with_added_extension("part");
        let cannot = |error: std::io::Error| FileError::from_io(&part, error);
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(&part)
            .map_err(cannot)?;
        let (mut done, mut flagged, mut failed) = (0, 0, 0);
        let mut count = |line: &Value| {
            flagged += usize::from(line["flagged"] == true);
            failed += usize::from(line.get("error").is_some());
        };
        let mut whole = 0;
        for line in std::io::BufReader::new(std::fs::File::open(&part).map_err(cannot)?).lines() {
            let line = line.map_err(cannot)?;
            let Ok(value) = serde_json::from_str::<Value>(&line) else {
                break;
            };
            if records
                .get(done)
                .is_none_or(|record| record.id != value["id"])
            {
                return Err(Failure::input(format!(
                    "`{}` is from a run over other lines: remove it, or give another --out",
                    part.display()
                )));
            }
            count(&value);
            done += 1;
            whole += line.len() as u64 + 1;
        }
        file.set_len(whole).map_err(cannot)?;
        if done > 0 {
            eprint_line(&format!("{done} lines are done already"));
        }
        let mut steps = Steps::new("screening", self.json);
        for (index, record) in records.iter().enumerate().skip(done) {
            if context.stopped() {
                return Err(Failure::interrupted(format!(
                    "stopped after {index} of {} lines; the same command goes on from there",
                    records.len()
                )));
            }
            let line = scored(&guardian, record);
            count(&line);
            file.write_all(format!("{line}\n").as_bytes())
                .map_err(cannot)?;
            steps.at(index + 1, records.len());
        }
        steps.finish();
        file.sync_all().map_err(cannot)?;
        std::fs::rename(&part, out).map_err(|error| FileError::from_io(out, error))?;
        match self.json {
            true => print_json(
                &json!({"lines": records.len(), "flagged": flagged, "errors": failed, "left_out": left_out, "model": guardian.name()}),
            ),
            false => print_line(&format!(
                "{} lines, {flagged} flagged, {failed} not assessed, {left_out} unreadable ones of the input left out: {}",
                records.len(),
                out.display()
            )),
        }
    }
}

/// The line with what was found, or with why nothing was.
fn scored(guardian: &Guardian, record: &Record) -> Value {
    let begun = Instant::now();
    let found = record
        .config()
        .and_then(|risk| guardian.assess(&record.messages, &risk));
    let mut line = serde_json::to_value(record).unwrap_or_default();
    match found {
        Ok(found) => {
            line["label_text"] = json!(found.label);
            line["probability"] = json!(found.probability);
            line["threshold"] = json!(found.threshold);
            line["flagged"] = json!(found.flagged);
            line["latency_ms"] = json!((begun.elapsed().as_secs_f64() * 1e4).round() / 10.0);
            line["model"] = json!(guardian.name());
        }
        Err(error) => line["error"] = json!(error.to_string()),
    }
    line
}
