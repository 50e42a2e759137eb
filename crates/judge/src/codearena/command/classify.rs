//! `orrery codearena classify`.

use std::path::PathBuf;

use clap::Args;
use engine::command::{Context, Failure, Steps, say};
use serde_json::json;

use super::options::{ServerOptions, warn, write_lines};
use crate::codearena::classify::{Classifier, ask};
use crate::codearena::item::read_items;

/// Options of `classify`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery codearena classify --data mine.jsonl --out classified.jsonl
  orrery codearena classify --data mine.jsonl --endpoint http://127.0.0.1:8000/v1 --model qwen --out classified.jsonl")]
pub struct Classify {
    /// Items
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// A language model that gives the labels, behind this server [default: the nearest subclass by words]
    #[arg(long, value_name = "URL", requires = "model")]
    endpoint: Option<String>,
    /// The model's name on the server
    #[arg(long, default_value = "")]
    model: String,
    /// Where the items go, with `meta.parsed.task_type` where they had none
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    server: ServerOptions,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

impl Classify {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let items = read_items(&self.data)?;
        warn(&items.troubles);
        let classifier = Classifier::new();
        let endpoint = self.endpoint.as_ref();
        let model = endpoint
            .map(|url| self.server.model(url, &self.model, context))
            .transpose()?;
        let (mut records, mut known, mut found) = (Vec::new(), 0, 0);
        let mut steps = Steps::new("classifying", self.json);
        let all = items.items.len();
        for (at, item) in items.items.into_iter().enumerate() {
            steps.at(at, all);
            if context.stopped() {
                return Err(Failure::interrupted("stopped: nothing was written"));
            }
            let mut record = item.record.clone();
            if item.task_type().is_some() {
                known += 1;
                records.push(record);
                continue;
            }
            let class = match &model {
                Some(model) => ask(model, &item.question).map_err(Failure::failed)?,
                None => classifier.nearest(&item.question).map(|(class, _)| class),
            };
            if let Some(class) = class {
                found += 1;
                let name = classifier.task_type(class);
                record.insert("meta".into(), json!({"parsed": {"task_type": [name]}}));
            }
            records.push(record);
        }
        steps.finish();
        write_lines(&self.out, &records)?;
        let none = all - known - found;
        match self.json {
            true => say(
                &json!({"out": self.out, "known": known, "found": found, "none": none}).to_string(),
            ),
            false => say(&format!(
                "wrote {}: {known} had a task type, {found} got one, {none} did not",
                self.out.display()
            )),
        }
    }
}
