//! `orrery codearena check` and `languages`: answers in the sandbox.

use std::path::PathBuf;
use std::time::Duration;

use base::command::{Context, Failure, Hold, Steps, is_quiet, print_json, print_line, warn, whole};
use clap::Args;
use serde_json::{Value, json};

use super::failures::incomplete;
use super::options::workers;
use super::shards::ShardOption;
use crate::codearena::fingerprint;
use crate::codearena::parts::Job;
use crate::codearena::passk::Grades;
use crate::codearena::sandbox::{
    self, Grade, Graded, LANGUAGES, Language, Limits, Sandbox, SandboxError, grade,
};
use base::job::journal::Journal;
use base::job::jsonl::{self, Record};

/// Options of `check`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery codearena check --answers answers.jsonl --out graded.jsonl --k 1,5

A line of answers.jsonl holds {\"id\", \"lang\", \"answer\", \"check\"}; lines of one id are samples of one task. `check` is one of
  {\"assertions\": [code, …]}                  each appended to the answer
  {\"streams\": [{\"stdin\", \"expected\"}, …]}    whole programs; blanks do not matter
  {\"calls\": [[\"f(1)\", \"2\"], …]}              calls and their values

The code is the answer's last fenced block of its language. What is graded already is not run again: the same command goes on \
where it stood. At Ctrl-C what runs ends within its limits and is noted; a second one ends at once.")]
pub struct Check {
    /// Answers with their tests
    #[arg(long, value_name = "FILE")]
    answers: PathBuf,
    /// Where the graded answers go; grades stand in FILE.grades from the moment they are there
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The k of pass@k, several with commas
    #[arg(long, value_delimiter = ',', default_value = "1", value_parser = ks)]
    k: Vec<u64>,
    /// Seconds of CPU time for a run
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Megabytes of memory for a run
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u64).range(16..=65_536))]
    memory: u64,
    #[command(flatten)]
    shard: ShardOption,
    /// Runs at a time [default: one per CPU core]
    #[arg(long, default_value_t = cores(), hide_default_value = true, value_parser = workers())]
    workers: usize,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
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
                .map_err(|error| format!("its `check` cannot be read: {error}"))?,
        })
    }

    /// Whether its language can be run here. Where it cannot, nothing is known of the answer, and nothing is noted.
    fn can_run(&self) -> bool {
        self.language.tool().is_some()
    }

    /// What its grade depends on.
    fn hash(&self, limits: &Limits) -> String {
        let tool = self.language.tool().map_or(String::new(), |tool| tool.path);
        let check = json!(self.check).to_string();
        let limits = format!("{} {}", limits.cpu_seconds, limits.memory);
        // Grades from before each pass was proven count no more.
        let parts = [
            self.language.name,
            &self.answer,
            &check,
            &limits,
            &tool,
            "proven",
        ];
        format!("{:016x}", fingerprint(&parts))
    }
}

/// A grade as a line of the journal, and back.
fn noted(graded: &Graded) -> Record {
    Record::from_iter([("graded".to_owned(), json!(graded))])
}

fn grade_of(line: &Record) -> Option<Graded> {
    serde_json::from_value(line.get("graded")?.clone()).ok()
}

impl Entry {
    fn run(&self, sandbox: &Sandbox, limits: &Limits) -> Result<Graded, SandboxError> {
        grade(sandbox, self.language, &self.answer, &self.check, limits)
    }
}

impl Check {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let lines = jsonl::read(&self.answers)?;
        let mut troubles = lines.troubles;
        let (mut records, mut entries): (Vec<Record>, Vec<Entry>) = (Vec::new(), Vec::new());
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
        let output = self.shard.output(&self.out)?;
        let sandbox = Sandbox::new()?;
        let limits = Limits {
            cpu_seconds: self.seconds,
            wall: Duration::from_secs(2 * self.seconds),
            memory: self.memory << 20,
            ..Limits::default()
        };
        let all = entries.iter();
        let job = Job::new(
            "check",
            &[],
            all.map(|entry| format!("{} {}", entry.id, entry.hash(&limits))),
        );
        let places: Vec<usize> = (0..entries.len())
            .filter(|&place| output.holds(place))
            .collect();
        let (mut place, mut other) = (0.., 0..);
        records.retain(|_| place.next().is_some_and(|place| output.holds(place)));
        entries.retain(|_| other.next().is_some_and(|place| output.holds(place)));
        let can_run: Vec<&Entry> = entries.iter().filter(|entry| entry.can_run()).collect();
        let hashes: Vec<String> = can_run.iter().map(|entry| entry.hash(&limits)).collect();
        let mut journal = Journal::open(&output.path.with_added_extension("grades"), |line| {
            grade_of(line).is_some()
        })?;
        let mut steps = Steps::new("running", self.json);
        // Answers that run when a stop is asked for end within their limits, and are noted.
        let _hold = Hold::new();
        let run = |at: usize| match can_run.get(at) {
            Some(entry) => entry.run(&sandbox, &limits).map(|graded| noted(&graded)),
            None => Ok(Record::new()),
        };
        let progress = journal.work(
            &hashes,
            self.workers,
            context.stop,
            run,
            &mut |done, all| steps.at(done, all),
        )?;
        steps.finish();
        if progress.missing > 0 {
            let error = progress.error.as_ref();
            return Err(incomplete(
                context.stopped(),
                progress.missing,
                hashes.len(),
                "grades",
                error,
            ));
        }
        let mut grades = Grades::default();
        for (record, entry) in records.iter_mut().zip(&entries) {
            let noted = journal.get(&entry.hash(&limits)).and_then(grade_of);
            let graded = noted.unwrap_or(Graded {
                grade: Grade::Unavailable,
                passed: 0,
                total: entry.check.tests(),
            });
            grades.add(&entry.id, &graded.grade);
            record.insert("graded".into(), json!(graded));
        }
        output.write(&records, job, places, 0)?;
        if self.json {
            let mut about = rates(&grades, &self.k);
            about["out"] = json!(output.path.display().to_string());
            about["resumed"] = json!(progress.resumed);
            return print_line(&about.to_string());
        }
        let rates = summary(&grades, &self.k);
        match is_quiet() {
            true => print_line(&rates),
            false => print_line(&format!(
                "wrote {}: {rates}{}",
                output.path.display(),
                output.note()
            )),
        }
    }
}

/// The k of pass@k.
pub(super) fn ks(text: &str) -> Result<u64, String> {
    whole(text, 1_000_000).map(|k| k as u64)
}

/// What grades come to, as JSON.
pub(super) fn rates(grades: &Grades, ks: &[u64]) -> Value {
    let rates = ks.iter().map(|&k| {
        let (rate, of) = grades.pass_at(k);
        (format!("pass@{k}"), json!({"rate": rate, "items": of}))
    });
    let rates: serde_json::Map<String, Value> = rates.collect();
    json!({
        "answers": grades.answers, "passed": grades.passed, "unavailable": grades.unavailable, "rates": rates,
    })
}

/// The same as lines.
pub(super) fn summary(grades: &Grades, ks: &[u64]) -> String {
    let mut text = format!(
        "{} of {} answers pass, {} cannot be run here",
        grades.passed, grades.answers, grades.unavailable
    );
    for &k in ks {
        let (rate, of) = grades.pass_at(k);
        let rate = rate.map_or("-".to_owned(), |rate| format!("{:.1} %", 100.0 * rate));
        text.push_str(&format!(
            "\npass@{k}  {rate}  ({of} items with at least {k} answers)"
        ));
    }
    text
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
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
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
            let memory = sandbox.as_ref().ok().map(memory);
            return print_json(
                &json!({"sandbox": sandbox.is_ok(), "memory": memory, "languages": tools}),
            );
        }
        for language in LANGUAGES {
            let tool = language
                .tool()
                .map_or_else(|| "unavailable".to_owned(), |tool| tool.path);
            print_line(&format!("{:<12}{tool}", language.name))?;
        }
        print_line(&format!("\nmemory of runs: {}", memory(&sandbox?)))
    }
}

/// Who sees to it that runs take no more memory than they may.
fn memory(sandbox: &Sandbox) -> &'static str {
    match sandbox.kernel_bounds_memory() {
        true => "bounded by the kernel (control groups)",
        false => "counted every 20 ms",
    }
}
