//! `orrery omnidocbench eval` and `md2md`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use engine::command::{Context, Failure, Steps, say, tell};
use serde_json::json;

use super::options::{MatchOptions, metric, pair, shard};
use super::output;
use crate::omnidocbench::config::{self, Task};
use crate::omnidocbench::evaluate::Evaluator;
use crate::omnidocbench::matching::{Matching, Method};
use crate::omnidocbench::run::{self, Missing, Outcome, Shard, Source};
use crate::omnidocbench::score::{Metric, Metrics, Section};

/// What becomes of pages without a prediction.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum MissingName {
    /// They are left out, as in the official tool
    Skip,
    /// They are scored as empty
    Zero,
}

/// Options of both verbs.
#[derive(Args, Debug)]
struct Common {
    #[command(flatten)]
    matching: MatchOptions,
    /// Score by these only, of those that a section knows: Edit_dist, TEDS, CDM, BLEU, METEOR [default: Edit_dist and TEDS]
    #[arg(long, value_delimiter = ',', value_parser = metric, value_name = "METRIC")]
    metrics: Vec<Metric>,
    /// Count only pages with this attribute; may be given several times
    #[arg(long, value_parser = pair, value_name = "ATTRIBUTE=VALUE")]
    filter: Vec<(String, String)>,
    /// What becomes of pages without a prediction
    #[arg(long, value_enum, default_value = "skip")]
    missing: MissingName,
    /// Folder for the result files; without it the scores are only printed
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Name of the result files [default: that of the predictions' folder and the match]
    #[arg(long)]
    name: Option<String>,
    /// Work on every Nth page only, from the Ith, counted from 0; `merge` puts shards together. Without it the index of a
    /// Slurm array task counts
    #[arg(long, value_parser = shard, value_name = "I/N", requires = "out")]
    shard: Option<Shard>,
    /// Go on with the run in the folder, where there is one
    #[arg(long, requires = "out")]
    resume: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Options of `eval`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery omnidocbench eval --gt OmniDocBench.json --pred markdown
  orrery omnidocbench eval --config configs/end2end.yaml --out result
  orrery omnidocbench eval --gt OmniDocBench.json --pred markdown --protocol v1.0 --filter language=english
  orrery omnidocbench eval --gt OmniDocBench.json --pred markdown --metrics Edit_dist,TEDS,CDM --out result
  orrery omnidocbench eval --gt OmniDocBench.json --pred markdown --out result --shard 0/4")]
pub struct Eval {
    /// The ground truth: the data set's JSON file
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    gt: Option<PathBuf>,
    /// The folder with a markdown file for each page
    #[arg(long, value_name = "FOLDER", required_unless_present = "config")]
    pred: Option<PathBuf>,
    /// An official YAML file in place of --gt and --pred
    #[arg(long, value_name = "FILE", conflicts_with_all = ["gt", "pred"])]
    config: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// Options of `md2md`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery omnidocbench md2md --gt truth --pred markdown --pages OmniDocBench.json")]
pub struct Md2md {
    /// The folder with an annotated markdown file for each page
    #[arg(long, value_name = "FOLDER")]
    gt: PathBuf,
    /// The folder with a predicted markdown file for each page
    #[arg(long, value_name = "FOLDER")]
    pred: PathBuf,
    /// The JSON list of pages that names their pictures and attributes
    #[arg(long, value_name = "FILE")]
    pages: PathBuf,
    #[command(flatten)]
    common: Common,
}

impl Eval {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let (Some(gt), Some(pred)) = (&self.gt, &self.pred) else {
            let Some(path) = &self.config else {
                return Err(Failure::input("give `--gt` and `--pred`, or `--config`"));
            };
            for task in config::read(path)? {
                self.common.task(task, context)?;
            }
            return Ok(());
        };
        let source = Source {
            pages: gt.clone(),
            predictions: pred.clone(),
            ..Source::default()
        };
        self.common
            .run(source, Method::Quick, Metrics::default(), context)
    }
}

impl Md2md {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let source = Source {
            pages: self.pages.clone(),
            predictions: self.pred.clone(),
            markdown: Some(self.gt.clone()),
            ..Source::default()
        };
        self.common
            .run(source, Method::Quick, Metrics::default(), context)
    }
}

impl Common {
    /// An evaluation of an official file.
    fn task(&self, task: Task, context: Context) -> Result<(), Failure> {
        match task {
            Task::Pages {
                gt,
                pred,
                method,
                metrics,
                filter,
            } => {
                let source = Source {
                    pages: gt,
                    predictions: pred,
                    filter,
                    ..Source::default()
                };
                self.run(source, method, metrics, context)
            }
            Task::Markdown {
                gt,
                pred,
                pages,
                method,
                metrics,
            } => {
                let source = Source {
                    pages,
                    predictions: pred,
                    markdown: Some(gt),
                    ..Source::default()
                };
                self.run(source, method, metrics, context)
            }
            Task::Module { gt, mut config } => {
                config.protocol = self.matching.protocol.into();
                super::blocks::evaluate(&gt, &config, self.out.as_deref(), self.json)
            }
            Task::Detection { gt, pred, layout } => {
                super::boxes::evaluate(&gt, &pred, &layout, self.out.as_deref(), self.json)
            }
        }
    }

    fn run(
        &self,
        mut source: Source,
        method: Method,
        metrics: Metrics,
        context: Context,
    ) -> Result<(), Failure> {
        source.filter.extend(self.filter.iter().cloned());
        source.missing = match self.missing {
            MissingName::Skip => Missing::Skip,
            MissingName::Zero => Missing::Zero,
        };
        let from_array = || self.out.as_ref().and_then(|_| array_task());
        source.shard = self.shard.or_else(from_array);
        let evaluator = Evaluator {
            matching: self.matching.matching(method),
            metrics: self.chosen(metrics),
        };
        let name = self.name(&source, evaluator.matching.method);
        let journal = match &self.out {
            Some(out) => {
                output::folder(out)?;
                Some(out.join(journal_name(&name, source.shard)))
            }
            None => None,
        };
        let mut steps = Steps::new("pages", self.json);
        let total = count(&source);
        let outcome = run::run(
            &source,
            &evaluator,
            journal.as_deref(),
            self.resume,
            |done| {
                steps.at(done, total.max(done));
                !context.stopped()
            },
        )?;
        steps.finish();
        output::warn(&outcome.warnings);
        if outcome.stopped {
            let mend = match &self.out {
                Some(_) => "go on with `--resume`",
                None => "nothing was written",
            };
            return Err(Failure::interrupted(format!(
                "stopped after {} pages: {mend}",
                outcome.pages.len()
            )));
        }
        self.finish(&source, &evaluator, &outcome, &name, journal.as_deref())
    }

    /// The metrics that were asked for, in sections that know them.
    fn chosen(&self, metrics: Metrics) -> Metrics {
        if self.metrics.is_empty() {
            return metrics;
        }
        let known = |section: Section, metric: &Metric| match metric {
            Metric::EditDist => true,
            Metric::Teds => section == Section::Table,
            Metric::Cdm => section == Section::Formula,
            Metric::Bleu | Metric::Meteor => section == Section::Text,
        };
        let sections = metrics.0.into_iter().map(|(section, _)| {
            let wanted = self.metrics.iter().filter(|metric| known(section, metric));
            (section, wanted.copied().collect())
        });
        Metrics(sections.collect())
    }

    fn name(&self, source: &Source, method: Method) -> String {
        let folder = source.predictions.canonicalize().unwrap_or_default();
        let folder = folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let usual = || format!("{}_{}", folder.as_deref().unwrap_or("pred"), method.name());
        let name = self.name.clone().unwrap_or_else(usual);
        name.replace(['/', '\\'], "_")
    }

    fn finish(
        &self,
        source: &Source,
        evaluator: &Evaluator,
        outcome: &Outcome,
        name: &str,
        journal: Option<&Path>,
    ) -> Result<(), Failure> {
        let Matching {
            protocol, method, ..
        } = evaluator.matching;
        if outcome.pages.is_empty() {
            return Err(Failure::input(format!(
                "none of the {} pages in `{}` counts: check the file and `--filter`",
                outcome.in_file,
                source.pages.display()
            )));
        }
        let about = output::about(&outcome.pages, protocol, method.name());
        if source.shard.is_some() {
            let path = journal
                .map(|path| path.display().to_string())
                .unwrap_or_default();
            return match self.json {
                true => say(&json!({"run": about, "journal": path}).to_string()),
                false => say(&format!(
                    "{}\nwrote {path}: `merge` makes results of shards",
                    output::coverage(&about)
                )),
            };
        }
        let out = self.out.as_deref();
        super::merge::report(&outcome.pages, evaluator, &about, out, name, self.json)?;
        // The results say all that the journal says.
        if let Some(path) = journal
            && let Err(error) = std::fs::remove_file(path)
        {
            tell(&format!("warning: `{}` stays: {error}", path.display()));
        }
        Ok(())
    }
}

fn journal_name(name: &str, shard: Option<Shard>) -> String {
    match shard {
        Some(Shard { index, of }) => format!("{name}.{index}-of-{of}.jsonl"),
        None => format!("{name}.jsonl"),
    }
}

/// The shard of a Slurm array task, or of an indexed Kubernetes job.
fn array_task() -> Option<Shard> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<usize>().ok();
    let shard = |index: usize, of: usize| (index < of).then_some(Shard { index, of });
    let slurm = || {
        let first = number("SLURM_ARRAY_TASK_MIN")?;
        let index = number("SLURM_ARRAY_TASK_ID")?.checked_sub(first)?;
        shard(index, number("SLURM_ARRAY_TASK_COUNT")?)
    };
    let kubernetes = || shard(number("JOB_COMPLETION_INDEX")?, number("JOB_COMPLETIONS")?);
    slurm().or_else(kubernetes)
}

/// How many pages there will be about, for the bar: as many as predictions.
fn count(source: &Source) -> usize {
    let files = std::fs::read_dir(&source.predictions);
    let all = files.map_or(0, |files| files.count());
    source.shard.map_or(all, |shard| all / shard.of.max(1))
}
