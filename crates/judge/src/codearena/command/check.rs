//! `orrery codearena check` and `languages`: answers in the sandbox.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use engine::command::{Context, Failure, Steps, say};
use serde_json::{Value, json};

use super::options::{warn, workers, write_lines};
use crate::codearena::jsonl::{self, Record};
use crate::codearena::passk::pass_at_k;
use crate::codearena::sandbox::{self, Grade, Graded, LANGUAGES, Language, Limits, Sandbox, grade};
use crate::codearena::workers;

/// Options of `check`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery codearena check --answers answers.jsonl --out graded.jsonl --k 1,5

A line holds {\"id\", \"lang\", \"answer\", \"check\"}; several lines may share an id. `check` is {\"assertions\": [code, …]},
{\"streams\": [{\"stdin\", \"expected\"}, …]} or {\"calls\": [[call, value], …]}. The code is the answer's last fenced block of
its language.")]
pub struct Check {
    /// Answers with their tests
    #[arg(long, value_name = "FILE")]
    answers: PathBuf,
    /// Where the graded answers go
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The k of pass@k, several with commas
    #[arg(long, value_delimiter = ',', default_value = "1")]
    k: Vec<u64>,
    /// Seconds of processor time for a run
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Megabytes of memory for a run
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u64).range(16..=65_536))]
    memory: u64,
    /// Runs at a time
    #[arg(long, default_value_t = 2, value_parser = workers())]
    workers: usize,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

/// An answer ready to run.
struct Entry {
    id: String,
    language: &'static Language,
    answer: String,
    check: sandbox::Check,
}

impl Entry {
    fn of(record: &Record) -> Result<Self, String> {
        let text = |field: &str| record.get(field).and_then(Value::as_str);
        let id = match record.get("id") {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => return Err("it has no `id`".into()),
        };
        let language = text("lang").ok_or("it has no `lang`")?;
        let check = record.get("check").cloned().ok_or("it has no `check`")?;
        Ok(Self {
            id,
            language: Language::named(language)
                .ok_or_else(|| format!("there is no language `{language}`"))?,
            answer: text("answer").ok_or("it has no `answer`")?.to_owned(),
            check: serde_json::from_value(check)
                .map_err(|error| format!("its `check` is none: {error}"))?,
        })
    }
}

impl Check {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let lines = jsonl::read(&self.answers)?;
        let mut troubles = lines.troubles;
        let (mut records, mut entries) = (Vec::new(), Vec::new());
        for (line, record) in lines.records {
            match Entry::of(&record) {
                Ok(entry) => {
                    records.push(record);
                    entries.push(entry);
                }
                Err(what) => troubles.push(format!(
                    "`{}` line {line}: {what}: left out",
                    self.answers.display()
                )),
            }
        }
        warn(&troubles);
        let sandbox = Sandbox::new()?;
        let limits = Limits {
            cpu_seconds: self.seconds,
            wall: Duration::from_secs(2 * self.seconds),
            memory: self.memory << 20,
            ..Limits::default()
        };
        let mut grades: Vec<Option<Graded>> = vec![None; entries.len()];
        let mut steps = Steps::new("running", self.json);
        let mut done = 0;
        workers::run(
            entries.len(),
            self.workers,
            context.stop,
            |at| {
                entries.get(at).map(|entry| {
                    grade(
                        &sandbox,
                        entry.language,
                        &entry.answer,
                        &entry.check,
                        &limits,
                    )
                })
            },
            |at, graded| {
                if let (Some(place), Some(graded)) = (grades.get_mut(at), graded) {
                    *place = Some(graded?);
                }
                done += 1;
                steps.at(done, entries.len());
                Ok::<(), Failure>(())
            },
        )?;
        steps.finish();
        if context.stopped() {
            return Err(Failure::interrupted("stopped: nothing was written"));
        }
        self.write(records, &entries, grades)
    }

    fn write(
        &self,
        mut records: Vec<Record>,
        entries: &[Entry],
        grades: Vec<Option<Graded>>,
    ) -> Result<(), Failure> {
        let mut items: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        let (mut passed, mut unavailable) = (0, 0);
        for ((record, entry), graded) in records.iter_mut().zip(entries).zip(grades) {
            let Some(graded) = graded else {
                continue;
            };
            // A missing tool says nothing about an answer.
            if graded.grade == Grade::Unavailable {
                unavailable += 1;
            } else {
                let (all, right) = items.entry(&entry.id).or_default();
                *all += 1;
                *right += u64::from(graded.grade == Grade::Pass);
                passed += usize::from(graded.grade == Grade::Pass);
            }
            record.insert("graded".into(), json!(graded));
        }
        write_lines(&self.out, &records)?;
        let rates: Vec<(u64, Option<f64>, usize)> = self
            .k
            .iter()
            .map(|&k| {
                let each: Vec<f64> = items
                    .values()
                    .filter_map(|&(all, right)| pass_at_k(all, right, k))
                    .collect();
                let mean = each.iter().sum::<f64>() / each.len() as f64;
                (k, (!each.is_empty()).then_some(mean), each.len())
            })
            .collect();
        if self.json {
            let rates: serde_json::Map<String, Value> = rates
                .iter()
                .map(|(k, rate, of)| (format!("pass@{k}"), json!({"rate": rate, "items": of})))
                .collect();
            return say(&json!({
                "out": self.out, "answers": records.len(), "passed": passed, "unavailable": unavailable, "rates": rates,
            })
            .to_string());
        }
        say(&format!(
            "wrote {}: {passed} of {} answers pass, {unavailable} cannot be run here",
            self.out.display(),
            records.len()
        ))?;
        for (k, rate, of) in rates {
            let rate = rate.map_or("-".to_owned(), |rate| format!("{:.1} %", 100.0 * rate));
            say(&format!(
                "pass@{k}  {rate}  ({of} items with at least {k} answers)"
            ))?;
        }
        Ok(())
    }
}

/// Options of `languages`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  orrery codearena languages")]
pub struct Languages {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Languages {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let sandbox = Sandbox::new();
        if self.json {
            let tools: serde_json::Map<String, Value> = LANGUAGES
                .iter()
                .map(|language| {
                    (
                        language.name.to_owned(),
                        json!(language.tool().map(|tool| tool.path)),
                    )
                })
                .collect();
            return say(&json!({"sandbox": sandbox.is_ok(), "languages": tools}).to_string());
        }
        for language in LANGUAGES {
            let tool = language
                .tool()
                .map_or_else(|| "unavailable".to_owned(), |tool| tool.path);
            say(&format!("{:<12}{tool}", language.name))?;
        }
        sandbox.map(drop).map_err(Failure::from)
    }
}
