//! Replies for every record and configuration, kept one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Steps};
use base::rng::Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::store::{Journal, read_text, sha256};
use super::{Configuration, Drawing, Prompts, Record, Replier, SystemError};

/// Said once where people's histories are used.
pub const PROFILING: &str = "this run describes people by what they wrote earlier: that is personal data and may need a legal basis (state yours with `--basis`); it stays on this machine, and `records delete` removes a person for good";

/// A reply as it is kept, one a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The record.
    pub record: String,
    /// The configuration, such as `Mu.Pr`.
    pub config: String,
    /// Its model.
    pub model: String,
    /// Its context.
    pub context: String,
    /// Name and version of the prompts.
    pub prompts: String,
    /// SHA-256 of the prompt.
    pub prompt_sha: String,
    /// SHA-256 of the record.
    pub record_sha: String,
    /// Fingerprint of the model.
    pub model_sha: String,
    /// Fingerprint of the adapter; none for the plain model.
    pub adapter_sha: Option<String>,
    /// Seed of this reply.
    pub seed: u64,
    /// The reply.
    pub text: String,
    /// Whether it is a refusal.
    pub refused: bool,
    /// Generated tokens.
    pub tokens: usize,
    /// How long it took.
    pub seconds: f64,
    /// Blocks that the record had no text for.
    #[serde(default)]
    pub absent: Vec<String>,
    /// Always true: whoever shows the reply has to say that a machine wrote it.
    pub machine_text: bool,
}

/// A summary of a user, kept beside the replies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) author: String,
    /// SHA-256 of the request.
    pub(super) request_sha: String,
    pub(super) text: String,
}

/// What a run is made from.
#[derive(Debug)]
pub struct Run<'a> {
    /// The model and its adapters.
    pub replier: &'a Replier,
    /// Prompts.
    pub prompts: &'a Prompts,
    /// What is answered.
    pub records: &'a [Record],
    /// Cells of the grid.
    pub configurations: &'a [Configuration],
    /// How replies are drawn.
    pub drawing: Drawing,
    /// The seed.
    pub seed: u64,
    /// The legal basis of profiling, as the user states it.
    pub basis: Option<&'a str>,
}

/// How a run went.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tally {
    /// Replies that are there now.
    pub rows: usize,
    /// Of them, those that an earlier run had made.
    pub kept: usize,
    /// Refusals.
    pub refused: usize,
    /// Refusals by configuration.
    pub refusals: BTreeMap<String, usize>,
    /// For each block how many prompts lack it, because the record does not say what it needs.
    pub absent: BTreeMap<String, usize>,
    /// Broken lines that were taken out of the file.
    pub broken: usize,
}

/// Where summaries are kept for the replies in `out`.
pub(super) fn summaries_of(out: &Path) -> PathBuf {
    out.with_extension("summaries.jsonl")
}

fn settings_of(out: &Path) -> PathBuf {
    out.with_extension("run.json")
}

impl Run<'_> {
    /// Writes the replies that are not in `out` yet. `tell` hears what has to be said once.
    ///
    /// # Errors
    /// `out` holds replies of other settings, the grid names an adapter or block that is not there, Ctrl-C.
    pub fn write(
        &self,
        out: &Path,
        context: Context,
        quiet: bool,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Tally, Failure> {
        self.prompts
            .check(self.configurations.iter().flat_map(Configuration::blocks))?;
        if let Some(cell) = self
            .configurations
            .iter()
            .find(|it| !self.replier.has(&it.model))
        {
            let name = &cell.model;
            return Err(Failure::input(format!(
                "the grid names the model `{name}` and no adapter is called so: give `--adapter {name}=DIR`, or take it out of the grid"
            )));
        }
        self.settle(out, tell)?;
        let mut journal: Journal<Row> = Journal::open(out)?;
        let mut summaries: Journal<Summary> = Journal::open(&summaries_of(out))?;
        let mut tally = Tally {
            broken: journal.broken,
            kept: journal.rows.len(),
            ..Tally::default()
        };
        let mut done = BTreeSet::new();
        for row in &journal.rows {
            self.check(row, out)?;
            if !done.insert((row.record.clone(), row.config.clone())) {
                return Err(Failure::input(format!(
                    "`{}` holds the reply to `{}` as `{}` twice: take one line out",
                    out.display(),
                    row.record,
                    row.config
                )));
            }
            tally.count(row);
        }
        let total = self.records.len() * self.configurations.len();
        let mut steps = Steps::new("replies", quiet);
        for (at, record) in self.records.iter().enumerate() {
            for (cell, configuration) in self.configurations.iter().enumerate() {
                steps.at(at * self.configurations.len() + cell, total);
                if done.contains(&(record.id.clone(), configuration.id())) {
                    continue;
                }
                context.proceed_or_resume()?;
                let row = self.row(record, configuration, &mut summaries, context)?;
                tally.count(&row);
                journal.push(row, false)?;
            }
        }
        steps.finish();
        Ok(tally)
    }

    /// One reply. Its seed depends on the run's seed, the record and the configuration only.
    fn row(
        &self,
        record: &Record,
        configuration: &Configuration,
        summaries: &mut Journal<Summary>,
        context: Context,
    ) -> Result<Row, Failure> {
        let id = configuration.id();
        let summary = match self.prompts.needs_summary(configuration) {
            true => self.summary(record, summaries, context)?,
            false => None,
        };
        let prompt = self.prompts.fill(record, configuration, summary.as_deref());
        let rng = Rng::new(self.seed).child(&record.id).child(&id);
        let seed = rng.seed();
        let reply = self.replier.reply(
            &prompt,
            &record.message.text,
            &configuration.model,
            &self.drawing,
            rng,
            context,
        )?;
        Ok(Row {
            record: record.id.clone(),
            config: id,
            model: configuration.model.clone(),
            context: configuration.context.clone(),
            prompts: format!("{} {}", self.prompts.name, self.prompts.version),
            prompt_sha: prompt.sha,
            record_sha: sha_of(record),
            model_sha: self.replier.sha().to_owned(),
            adapter_sha: self
                .replier
                .adapter_sha(&configuration.model)
                .map(str::to_owned),
            seed,
            text: reply.text,
            refused: reply.refused,
            tokens: reply.tokens,
            seconds: reply.seconds,
            absent: prompt.absent,
            machine_text: true,
        })
    }

    fn summary(
        &self,
        record: &Record,
        summaries: &mut Journal<Summary>,
        context: Context,
    ) -> Result<Option<String>, Failure> {
        if record.user.summary.is_some() {
            return Ok(None);
        }
        let Some(request) = self.prompts.summary(record) else {
            return Ok(None);
        };
        let request_sha = sha256(&request);
        if let Some(known) = summaries
            .rows
            .iter()
            .find(|it| it.request_sha == request_sha)
        {
            return Ok(Some(known.text.clone()));
        }
        let summary = Summary {
            author: record.message.author.clone(),
            request_sha,
            text: self.replier.summarise(&request, context)?,
        };
        let text = summary.text.clone();
        summaries.push(summary, false)?;
        Ok(Some(text))
    }

    /// Compares with the settings of an earlier run, or writes them down; says once that people are profiled.
    fn settle(&self, out: &Path, tell: &mut dyn FnMut(&str)) -> Result<(), Failure> {
        let path = settings_of(out);
        let profiles = self
            .configurations
            .iter()
            .any(|it| self.prompts.profiles(it));
        let mut settings = json!({
            "prompts": sha256(serde_json::to_vec(self.prompts).map_err(Failure::failed)?),
            "model_sha": self.replier.sha(),
            "drawing": self.drawing,
            "seed": self.seed,
        });
        let mut announced = false;
        if path.exists() && out.exists() {
            let earlier: Value = serde_json::from_str(&read_text(&path)?).unwrap_or_default();
            for (key, value) in settings.as_object().into_iter().flatten() {
                if earlier.get(key) != Some(value) {
                    return Err(Failure::input(format!(
                        "`{}` holds replies of other settings ({key}): name another file, or delete it and `{}`",
                        out.display(),
                        path.display()
                    )));
                }
            }
            announced = earlier["profiling"]["announced"] == true;
        }
        if profiles && !announced {
            tell(PROFILING);
        }
        settings["model"] = json!(self.replier.name());
        settings["profiling"] = json!({
            "announced": announced || profiles,
            "basis": self.basis.unwrap_or("not stated"),
        });
        let bytes = serde_json::to_vec_pretty(&settings).map_err(Failure::failed)?;
        Ok(base::files::write_bytes(&path, &bytes)?)
    }

    /// A kept reply has to be one to what the records say today, by the adapter that is loaded.
    fn check(&self, row: &Row, out: &Path) -> Result<(), SystemError> {
        let place = out.display();
        let record = self.records.iter().find(|it| it.id == row.record);
        if record.is_some_and(|it| sha_of(it) != row.record_sha) {
            return Err(SystemError::Input(format!(
                "`{place}` answers another record `{}`: name another file, or delete it",
                row.record
            )));
        }
        let loaded = self.replier.has(&row.model);
        if loaded && self.replier.adapter_sha(&row.model) != row.adapter_sha.as_deref() {
            return Err(SystemError::Input(format!(
                "`{place}` holds replies of another adapter `{}`: name another file, or delete it",
                row.model
            )));
        }
        Ok(())
    }
}

impl Tally {
    fn count(&mut self, row: &Row) {
        self.rows += 1;
        for block in &row.absent {
            *self.absent.entry(block.clone()).or_default() += 1;
        }
        let refusals = self.refusals.entry(row.config.clone()).or_default();
        if row.refused {
            self.refused += 1;
            *refusals += 1;
        }
    }
}

fn sha_of(record: &Record) -> String {
    sha256(serde_json::to_vec(record).unwrap_or_default())
}
