//! A run over pages, as `eval` and `md2md` share it.

use std::path::{Path, PathBuf};

use base::command::{
    Context, Failure, Steps, eprint_line, print_json, report, use_calling_thread_as_worker, warn,
};
use base::job::Shard;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::options::{HtmlParserName, MatchOptions, RendererName, file_name, metric, pair};
use super::output::{self, Output};
use crate::omnidocbench::Protocol;
use crate::omnidocbench::evaluate::Evaluator;
use crate::omnidocbench::matching::{Matching, Method};
use crate::omnidocbench::run::{self, Missing, RunOutcome, Source};
use crate::omnidocbench::score::{Metric, Metrics, Section};

/// Treatment of pages without a prediction.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum MissingName {
    /// They are left out, as in the official tool
    Skip,
    /// They are scored as empty
    Zero,
}

/// Options of both verbs.
#[derive(Args, Debug)]
pub(super) struct PageOptions {
    #[command(flatten)]
    pub matching: MatchOptions,
    /// Metrics, each where a section has it: Edit_dist, TEDS, CDM, BLEU, METEOR [default: Edit_dist and TEDS]
    #[arg(long, value_delimiter = ',', value_parser = metric, value_name = "METRIC")]
    metrics: Vec<Metric>,
    /// Renderer of formulas for CDM
    #[arg(long, value_enum, default_value = "built-in", value_name = "NAME")]
    pub cdm_renderer: RendererName,
    /// HTML parser of tables for TEDS: broken markup is repaired differently
    #[arg(long, value_enum, default_value = "libxml2-2.14", value_name = "NAME")]
    pub html_parser: HtmlParserName,
    /// Count only pages with this attribute; may be given several times
    #[arg(long, value_parser = pair, value_name = "ATTRIBUTE=VALUE")]
    pub filter: Vec<(String, String)>,
    /// Treatment of pages without a prediction [default: skip, under v1.6 zero, as in the official tools]
    #[arg(long, value_enum)]
    missing: Option<MissingName>,
    /// Folder for the result files; without it the scores are only printed
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Prefix of the names of result files [default: the predictions' folder and the match, as in the official tool]
    #[arg(long, value_parser = file_name)]
    name: Option<String>,
    /// Work on every Nth page only, from the Ith, counted from 0; `merge` puts shards together. Without it the index of a
    /// Slurm array task counts
    #[arg(long, value_name = "I/N", requires = "out")]
    shard: Option<Shard>,
    /// Resume the run in the folder, where there is one
    #[arg(long, requires = "out")]
    resume: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl PageOptions {
    /// Where results go.
    pub fn output(&self) -> Output<'_> {
        Output {
            folder: self.out.as_deref(),
            name: self.name.as_deref(),
            json: self.json,
        }
    }

    /// Evaluates the pages of a source; options go before what a configuration said.
    pub fn run(
        &self,
        mut source: Source,
        method: Method,
        metrics: Metrics,
        context: Context,
    ) -> Result<(), Failure> {
        source.filter.extend(self.filter.iter().cloned());
        let matching = self.matching.matching(method);
        let newest = matching.protocol >= Protocol::V1_6;
        if newest {
            only_what_there_is(&matching, source.markdown.is_some())?;
        }
        source.missing = match self.missing {
            Some(MissingName::Skip) => Missing::Skip,
            Some(MissingName::Zero) => Missing::Zero,
            None if newest => Missing::Zero,
            None => Missing::Skip,
        };
        let from_array = || self.out.as_ref().and_then(|_| Shard::of_array_task());
        source.shard = self.shard.or_else(from_array);
        let evaluator = Evaluator {
            matching,
            metrics: self.chosen(metrics),
            latex_tables: self.matching.latex_tables.into(),
            renderer: self.cdm_renderer.find()?,
            html_parser: self.html_parser.into(),
        };
        let formulas = evaluator.metrics.of(Section::Formula).unwrap_or_default();
        if newest && formulas.contains(&Metric::Cdm) {
            eprint_line(
                "warning: CDM under v1.6 reads formulas as v1.5 does: without the tokeniser and the other spellings of \
                 matrices of v1.6, its numbers do not belong on the leaderboard",
            );
        }
        let name = self.name(&source, evaluator.matching.method);
        let journal = match &self.out {
            Some(out) => {
                output::folder(out)?;
                Some(out.join(journal_name(&name, source.shard)))
            }
            None => None,
        };
        use_calling_thread_as_worker();
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
        warn(&outcome.warnings);
        if outcome.stopped {
            let fix = match &self.out {
                Some(_) => "go on with `--resume`",
                None => "nothing was written",
            };
            return Err(Failure::interrupted(format!(
                "stopped after {} pages: {fix}",
                outcome.pages.len()
            )));
        }
        self.finish(&source, &evaluator, &outcome, &name, journal.as_deref())?;
        // The program ends soon, and the system takes all memory back at once: piece by piece takes a twentieth of the run.
        std::mem::forget(outcome);
        Ok(())
    }

    /// The metrics that were asked for, in sections that know them.
    fn chosen(&self, metrics: Metrics) -> Metrics {
        if self.metrics.is_empty() {
            return metrics;
        }
        let known = |section: Section, metric: &Metric| match metric {
            Metric::EditDist => true,
            Metric::Teds => section == Section::Table,
            Metric::Cdm | Metric::CdmPlain => section == Section::Formula,
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
        self.name.clone().unwrap_or_else(usual)
    }

    fn finish(
        &self,
        source: &Source,
        evaluator: &Evaluator,
        outcome: &RunOutcome,
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
        let predicted = outcome.pages.iter().filter(|page| page.predicted).count();
        if predicted == 0 {
            let line = format!(
                "no file in `{}` belongs to any of the {} pages{}: predictions are called as the page's picture with .md behind, such as `{}`",
                source.predictions.display(),
                outcome.pages.len(),
                if source.shard.is_some() {
                    " of this shard"
                } else {
                    ""
                },
                outcome
                    .pages
                    .first()
                    .map_or("page-1.md".into(), |page| base::command::one_line(
                        &with_md(&page.image)
                    ))
            );
            match source.shard {
                // Another shard may have them all.
                Some(_) => eprint_line(&format!("warning: {line}")),
                None => return Err(Failure::input(line)),
            }
        }
        let mut about = output::about(&outcome.pages, protocol, method.name());
        about["latex_tables"] = json!(evaluator.latex_tables.name());
        about["cdm_renderer"] = json!(evaluator.renderer.name());
        about["html_parser"] = json!(evaluator.html_parser.name());
        if source.shard.is_some() {
            let path = journal
                .map(|path| path.display().to_string())
                .unwrap_or_default();
            return match self.json {
                true => print_json(&json!({"run": about, "journal": path})),
                false => report(
                    false,
                    &format!(
                        "{}\nwrote {path}: `merge` makes results of shards",
                        output::coverage(&about)
                    ),
                ),
            };
        }
        let out = self.out.as_deref();
        super::merge::report(&outcome.pages, evaluator, &about, out, name, self.json)?;
        // The results say all that the journal says.
        if let Some(path) = journal
            && let Err(error) = std::fs::remove_file(path)
        {
            eprint_line(&format!("warning: `{}` stays: {error}", path.display()));
        }
        Ok(())
    }
}

/// `a.jpg` → `a.md`.
fn with_md(image: &str) -> String {
    Path::new(image).with_extension("md").display().to_string()
}

/// Refuses what the public code of v1.6 lacks or fails at.
fn only_what_there_is(matching: &Matching, markdown: bool) -> Result<(), Failure> {
    let lacks = |what: &str, fix: &str| {
        let line = format!("v1.6 has no {what} that runs: {fix}, or take `--protocol v1.5`");
        Err(Failure::input(line))
    };
    match matching.method {
        _ if markdown => lacks("evaluation of markdown against markdown", "use `eval`"),
        Method::Quick => Ok(()),
        method => lacks(method.name(), "match by `quick`"),
    }
}

fn journal_name(name: &str, shard: Option<Shard>) -> String {
    match shard {
        Some(Shard { index, of }) => format!("{name}.{index}-of-{of}.jsonl"),
        None => format!("{name}.jsonl"),
    }
}

/// How many pages there will be about, for the bar: as many as predictions.
fn count(source: &Source) -> usize {
    let files = std::fs::read_dir(&source.predictions);
    let all = files.map_or(0, |files| files.count());
    source.shard.map_or(all, |shard| all / shard.of.max(1))
}
