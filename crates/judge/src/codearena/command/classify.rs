//! `orrery codearena classify`.

use std::path::PathBuf;

use base::command::{Context, Failure, Steps, print_json, report, warn};
use base::endpoint::ChatModel;
use clap::Args;
use serde_json::{Value, json};

use super::failures::incomplete;
use super::options::{ServerOptions, workers};
use crate::codearena::classify::{Classifier, ask};
use crate::codearena::fingerprint;
use crate::codearena::item::{Item, read_items};
use crate::codearena::taxonomy::{Class, Taxonomy};
use base::job::journal::Journal;
use base::job::jsonl::{self, Record};
use base::job::log::check_results;

/// Options of `classify`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery codearena classify --data mine.jsonl --out classified.jsonl
  orrery codearena classify --data mine.jsonl --endpoint http://127.0.0.1:8000/v1 --model qwen --out classified.jsonl")]
pub struct Classify {
    /// The questions: JSON lines with `messages` or `question`
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// A language model that gives the labels, behind this server [default: the nearest subclass by words]
    #[arg(long, value_name = "URL", requires = "model")]
    endpoint: Option<String>,
    /// The model's name on the server
    #[arg(long, default_value = "", hide_default_value = true)]
    model: String,
    /// Where the items go, with `meta.parsed.task_type` where they had none; the model's labels stand in FILE.labels from the
    /// moment they are there
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Questions to the model at a time
    #[arg(long, default_value_t = 8, value_parser = workers())]
    workers: usize,
    #[command(flatten)]
    server: ServerOptions,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

impl Classify {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        check_results(&self.out, [])?;
        let items = read_items(&self.data)?;
        warn(&items.troubles);
        let (known, open): (Vec<&Item>, Vec<&Item>) = items
            .items
            .iter()
            .partition(|item| item.task_type().is_some());
        let classifier = Classifier::new();
        let classes: Vec<Option<Class>> = match &self.endpoint {
            Some(url) => {
                let model = self.server.model(url, &self.model, context)?;
                self.ask_all(&open, model.as_ref(), context)?
            }
            None => {
                let nearest = |item: &&Item| classifier.nearest(&item.question);
                let nearest = open.iter().map(nearest);
                nearest.map(|near| near.map(|(class, _)| class)).collect()
            }
        };
        let found = classes.iter().flatten().count();
        let mut classes = classes.into_iter();
        let classified = |item: &Item| {
            let mut record = item.record.clone();
            if item.task_type().is_some() {
                return record;
            }
            if let Some(class) = classes.next().flatten() {
                set_task_type(&mut record, classifier.task_type(class));
            }
            record
        };
        let records: Vec<Record> = items.items.iter().map(classified).collect();
        jsonl::write(&self.out, &records)?;
        let (known, none) = (known.len(), open.len() - found);
        match self.json {
            true => print_json(
                &json!({"out": self.out.display().to_string(), "known": known, "found": found, "none": none}),
            ),
            false => report(
                false,
                &format!(
                    "wrote {}: {known} had a task type, {found} got one, {none} did not",
                    self.out.display()
                ),
            ),
        }
    }

    /// The model's label of each item; none where it names no class.
    fn ask_all(
        &self,
        items: &[&Item],
        model: &dyn ChatModel,
        context: Context,
    ) -> Result<Vec<Option<Class>>, Failure> {
        let hash = |item: &&Item| {
            let parts = [model.name(), item.question.as_str()];
            format!("{:016x}", fingerprint(&parts))
        };
        let hashes: Vec<String> = items.iter().map(hash).collect();
        let mut journal = Journal::open(&self.out.with_added_extension("labels"), |line| {
            line.contains_key("label")
        })?;
        let label = |at: usize| {
            let class = match items.get(at) {
                Some(item) => ask(model, &item.question)?,
                None => None,
            };
            let label = json!(class.map(|class| class.sub));
            Ok(Record::from_iter([("label".to_owned(), label)]))
        };
        let mut steps = Steps::new("classifying", self.json);
        let progress = journal.work(
            &hashes,
            self.workers,
            context.stop,
            label,
            &mut |done, all| steps.at(done, all),
        )?;
        steps.finish();
        if progress.missing > 0 {
            let error: Option<&base::endpoint::ChatError> = progress.error.as_ref();
            return Err(incomplete(
                context.stopped(),
                progress.missing,
                hashes.len(),
                "labels",
                error,
            ));
        }
        let class = |hash: &String| {
            let label = journal.get(hash)?.get("label").and_then(Value::as_str)?;
            Taxonomy::official().by_sub(label)
        };
        Ok(hashes.iter().map(class).collect())
    }
}

/// Puts a task type where the hub has it, and leaves what else `meta` holds.
fn set_task_type(record: &mut Record, name: &str) {
    let mut at = record;
    for key in ["meta", "parsed"] {
        let slot = at.entry(key).or_insert_with(|| json!({}));
        if !slot.is_object() {
            *slot = json!({});
        }
        let Some(inner) = slot.as_object_mut() else {
            return;
        };
        at = inner;
    }
    at.insert("task_type".into(), json!([name]));
}
