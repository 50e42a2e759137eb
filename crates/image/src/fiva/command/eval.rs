//! `orrery fiva eval`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Output, Steps, eprint_line, print_json, print_line};
use base::endpoint::{ChatError, ChatModel, Message, Prompt, Request};
use base::hash::{FNV_START, fnv1a};
use base::job::journal::Journal;
use base::job::jsonl::Record;
use base::media::sheet::{Layout, sheet};
use base::media::{Image, data_address, read_image};
use base::rng::Rng;
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::options::JudgeOptions;
use crate::fiva::judge::{Tallies, Verdict, means, question};

/// Height and width of a picture in a row.
const CELL: u32 = 384;
/// How often an answer that cannot be read is asked for again.
const TRIES: usize = 3;

/// Options of `eval`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery fiva eval --set validation.jsonl --results fiva=out/fiva --results style=out/style \\
      --url http://127.0.0.1:8000/v1 --judge gpt-4o --answers answers.jsonl

The set has lines such as {\"image_file\": \"refs/a.png\", \"attribute\": \"color\", \"target_subjects\": {\"itself\": [\"a cat\"], \"vehicle\":
[\"a truck\"]}}. The result of a method is DIR/STEM/ATTRIBUTE/SUBJECT.png, such as out/fiva/a/color/a truck.png. A judge sees the
reference and all results in one row, in an order that is drawn. What is in --answers is not asked again.")]
pub struct Eval {
    /// The validation set: JSON lines or one array
    #[arg(long, value_name = "FILE")]
    set: PathBuf,
    /// A method's name and the folder of its results; may be given again
    #[arg(long, value_name = "NAME=DIR", required = true, value_parser = named)]
    results: Vec<(String, PathBuf)>,
    #[command(flatten)]
    judge: JudgeOptions,
    /// Journal of answers
    #[arg(long, value_name = "FILE")]
    answers: PathBuf,
    /// Draws the order of results in a row
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, folder)) if !name.is_empty() && !folder.is_empty() => {
            Ok((name.to_owned(), folder.into()))
        }
        _ => Err("give NAME=DIR, such as `fiva=out/fiva`".into()),
    }
}

/// A line of the validation set.
#[derive(Clone, Debug, Deserialize)]
struct Item {
    image_file: PathBuf,
    attribute: String,
    target_subjects: BTreeMap<String, Value>,
}

/// One row to judge.
struct Row {
    reference: PathBuf,
    attribute: String,
    subject: String,
    /// Methods in the order in which they are shown, with their pictures.
    shown: Vec<(String, PathBuf)>,
    hash: String,
}

impl Eval {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let rows = self.rows()?;
        let model = self.judge.endpoint(context)?;
        let mut journal = Journal::open(&self.answers, |line| verdict(line).is_some())?;
        let hashes: Vec<String> = rows.iter().map(|row| row.hash.clone()).collect();
        let mut bar = Steps::new("rows", self.output.json);
        let work = |at: usize| match rows.get(at) {
            Some(row) => ask(row, &model),
            None => Err(ChatError::Stopped),
        };
        let workers = usize::from(self.judge.workers);
        let progress = journal.work(&hashes, workers, context.stop, work, &mut |done, all| {
            bar.at(done, all);
        })?;
        bar.finish();
        context.proceed_or_resume()?;
        if let Some(error) = progress.error {
            let line = format!(
                "{} of {} rows are not judged: {error}",
                progress.missing,
                rows.len()
            );
            match progress.made + progress.resumed {
                0 => return Err(Failure::failed(line)),
                _ => eprint_line(&format!("warning: {line}")),
            }
        }
        let mut tallies = Tallies::new();
        for row in &rows {
            let Some(verdict) = journal.get(&row.hash).and_then(verdict) else {
                continue;
            };
            let both = verdict.both();
            for (at, (method, _)) in row.shown.iter().enumerate() {
                let groups = tallies.entry(method.clone()).or_default();
                let tally = groups.entry(row.attribute.clone()).or_default();
                tally.add(
                    verdict.subject.contains(&(at + 1)),
                    both.contains(&(at + 1)),
                );
            }
        }
        self.print_scores(&tallies)
    }

    fn rows(&self) -> Result<Vec<Row>, Failure> {
        let unread = |cause: &dyn std::fmt::Display| {
            Failure::input(format!(
                "cannot read the set `{}`: {cause}",
                self.set.display()
            ))
        };
        let text = base::files::read_to_string(&self.set).map_err(|cause| unread(&cause))?;
        let items: Vec<Item> = match serde_json::from_str(&text) {
            Ok(items) => items,
            Err(_) => text
                .lines()
                .enumerate()
                .filter(|(_, line)| !line.trim().is_empty())
                .map(|(at, line)| {
                    serde_json::from_str(line)
                        .map_err(|cause| unread(&format!("line {}: {cause}", at + 1)))
                })
                .collect::<Result<_, Failure>>()?,
        };
        let root = self.set.parent().unwrap_or(Path::new(""));
        let mut rows = Vec::new();
        let mut absent = Vec::new();
        for item in &items {
            for subject in item.target_subjects.values().flat_map(words) {
                let reference = root.join(&item.image_file);
                let stem = item.image_file.file_stem().unwrap_or_default();
                let mut shown = Vec::new();
                for (name, folder) in &self.results {
                    let place = folder.join(stem).join(&item.attribute);
                    let picture = place.join(format!("{subject}.png"));
                    match picture.exists() {
                        true => shown.push((name.clone(), picture)),
                        false => absent.push(picture),
                    }
                }
                let key = format!(
                    "{}\n{}\n{subject}\n{}",
                    reference.display(),
                    item.attribute,
                    self.seed
                );
                Rng::new(fnv1a(FNV_START, key.bytes())).shuffle(&mut shown);
                let names: Vec<String> = shown
                    .iter()
                    .map(|(_, path)| path.display().to_string())
                    .collect();
                let key = format!("{key}\n{}", names.join("\n"));
                if !shown.is_empty() {
                    rows.push(Row {
                        reference,
                        attribute: item.attribute.clone(),
                        subject,
                        shown,
                        hash: format!("{:016x}", fnv1a(FNV_START, key.into_bytes())),
                    });
                }
            }
        }
        if let Some(first) = absent.first() {
            let line = format!(
                "{} results are missing, such as `{}`",
                absent.len(),
                first.display()
            );
            match rows.is_empty() {
                true => return Err(Failure::input(line)),
                false => eprint_line(&format!("warning: {line}")),
            }
        }
        match rows.is_empty() {
            true => Err(unread(&"it names no target subject")),
            false => Ok(rows),
        }
    }

    fn print_scores(&self, tallies: &Tallies) -> Result<(), Failure> {
        if self.output.json {
            let methods: BTreeMap<&String, Value> = tallies
                .iter()
                .map(|(method, groups)| {
                    let [subject, both] = means(groups);
                    let report =
                        json!({"sub_acc": subject, "attr_sub_acc": both, "groups": groups});
                    (method, report)
                })
                .collect();
            return print_json(&json!({ "methods": methods }));
        }
        for (method, groups) in tallies {
            let [subject, both] = means(groups);
            print_line(&format!(
                "{method}: Sub-Acc {subject:.3}, Attr&Sub-Acc {both:.3} (means over attributes)"
            ))?;
            for (group, tally) in groups {
                let [subject, both] = tally.accuracies();
                print_line(&format!(
                    "  {group}: {subject:.3}, {both:.3} ({} pictures)",
                    tally.pictures
                ))?;
            }
        }
        Ok(())
    }
}

/// Subjects of a domain: one, or a list.
fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(all) => all
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

fn verdict(line: &Record) -> Option<Verdict> {
    serde_json::from_value(line.get("verdict")?.clone()).ok()
}

fn ask(row: &Row, model: &dyn ChatModel) -> Result<Record, ChatError> {
    let unable = |error: &dyn std::fmt::Display| ChatError::Unable(error.to_string());
    let paths = [&row.reference]
        .into_iter()
        .chain(row.shown.iter().map(|(_, path)| path));
    let cells: Vec<Image> = paths
        .map(|path| {
            Ok(read_image(path)
                .map_err(|error| unable(&error))?
                .resize_square(CELL))
        })
        .collect::<Result<_, ChatError>>()?;
    let names: Vec<String> = ["R".to_owned()]
        .into_iter()
        .chain((1..cells.len()).map(|number| number.to_string()))
        .collect();
    let captions: Vec<&str> = names.iter().map(String::as_str).collect();
    let layout = Layout {
        columns: Some(cells.len()),
        ..Layout::default()
    };
    let picture = sheet(&cells, &captions, &layout).map_err(|error| unable(&error))?;
    let seen = data_address(&picture).map_err(|error| unable(&error))?;
    let text = question(&row.attribute, &row.subject, row.shown.len());
    let message = Message::user(text).seeing(vec![seen]);
    for time in 0..TRIES {
        let reply = model.reply(&Request {
            prompt: Prompt::Chat(vec![message.clone()]),
            temperature: if time == 0 { 0.0 } else { 0.7 },
            max_tokens: 1500,
            seed: Some(time as u64),
        })?;
        let fits = |found: &Verdict| {
            let mut numbers = found.subject.iter().chain(&found.attribute);
            numbers.all(|number| (1..=row.shown.len()).contains(number))
        };
        if let Some(found) = Verdict::parse(&reply.text).filter(fits) {
            let line = json!({
                "reference": row.reference.display().to_string(), "attribute": row.attribute, "subject": row.subject,
                "methods": row.shown.iter().map(|(name, _)| name).collect::<Vec<_>>(), "verdict": found,
            });
            return Ok(line.as_object().cloned().unwrap_or_default());
        }
    }
    Err(ChatError::Unable(format!(
        "the model `{}` gave no answer of the wanted form in {TRIES} tries",
        model.name()
    )))
}
