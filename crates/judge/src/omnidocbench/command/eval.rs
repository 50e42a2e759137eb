//! `orrery omnidocbench eval` and `md2md`.

use std::path::PathBuf;

use base::command::{Context, Failure};
use clap::Args;

use super::pages::PageOptions;
use crate::omnidocbench::config::{self, Task};
use crate::omnidocbench::matching::Method;
use crate::omnidocbench::run::Source;
use crate::omnidocbench::score::Metrics;

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
    common: PageOptions,
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
    common: PageOptions,
}

impl Eval {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let (Some(gt), Some(pred)) = (&self.gt, &self.pred) else {
            let Some(path) = &self.config else {
                return Err(Failure::input("give `--gt` and `--pred`, or `--config`"));
            };
            for task in config::read(path)? {
                self.task(task, context)?;
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

impl Eval {
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
                self.common.run(source, method, metrics, context)
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
                self.common.run(source, method, metrics, context)
            }
            Task::Module { gt, mut config } => {
                config.protocol = self.common.matching.protocol.into();
                config.renderer = self.common.cdm_renderer.find()?;
                config.html_parser = self.common.html_parser.into();
                super::blocks::evaluate(&gt, &config, self.common.output())
            }
            Task::Detection {
                gt,
                pred,
                layout,
                mut filter,
            } => {
                filter.extend(self.common.filter.iter().cloned());
                super::boxes::evaluate(&gt, &pred, &layout, &filter, self.common.output())
            }
        }
    }
}
