//! `orrery fiva data`: from a taxonomy to pairs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Steps, eprint_line, print_json, print_line};
use base::files::write_bytes;
use base::job::journal::Journal;
use base::job::jsonl;
use base::rng::Rng;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::options::JudgeOptions;
use super::render::Render;
use crate::fiva::Taxonomy;
use crate::fiva::data::{self, Record};
use crate::fiva::filter::{FilterOptions, filter, is_answer};
use crate::fiva::pairs::{RangeFile, pairs};
use crate::fiva::range::{REPEATS, THRESHOLD};

base::verbs! {
    /// Steps of making training data, in order.
    pub enum Data {
        /// Show, check or write the taxonomy of attributes and subjects
        #[command(after_help = "Example:
  orrery fiva data taxonomy --out taxonomy.json")]
        Taxonomy(TaxonomyVerb),
        /// Make prompts of attributes and subjects
        #[command(after_help = "Example:
  orrery fiva data prompts --count 1000 --seed 1 --out prompts.jsonl

Draw each prompt with any text-to-image model, add `image` with the file's path (and `\"grid\": 2` for 2x2 grids) to its line, and give
the lines to `filter` and `pairs`.")]
        Prompts(Prompts),
        /// Put palettes, strokes and lights on pictures of things, in place of prompts
        #[command(after_help = "Example:
  orrery fiva data render drawn --out set
  orrery fiva data pairs set/records.jsonl --no-filter --out pairs.jsonl

For small models that follow no such words. Every entry looks alike on all things, so no filter is needed.")]
        Render(Render),
        /// Find out by a model that sees inside which subjects an attribute looks alike
        #[command(after_help = "Example:
  orrery fiva data filter records.jsonl --url http://127.0.0.1:8000/v1 --judge llava --out ranges.json

Answers are kept in ranges.json.answers; the same command goes on where it was stopped.")]
        Filter(Filter),
        /// Make training pairs: pictures of one range that share an attribute
        #[command(after_help = "Example:
  orrery fiva data pairs records.jsonl --ranges ranges.json --seed 1 --out pairs.jsonl")]
        Pairs(Pairs),
        /// Count pictures, entries and subjects of every group
        #[command(after_help = "Example:
  orrery fiva data stats records.jsonl --ranges ranges.json")]
        Stats(Stats),
    }
}

/// Options of `taxonomy`.
#[derive(Args, Debug)]
pub struct TaxonomyVerb {
    /// A taxonomy to check [default: the one that ships]
    #[arg(long, value_name = "FILE")]
    taxonomy: Option<PathBuf>,
    /// Write it here
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// Options of `prompts`.
#[derive(Args, Debug)]
pub struct Prompts {
    /// Another taxonomy
    #[arg(long, value_name = "FILE")]
    taxonomy: Option<PathBuf>,
    /// How many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    count: u32,
    /// Seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where they go, one JSON object a line [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object about them; needs --out
    #[arg(long, requires = "out")]
    json: bool,
}

/// Where records are.
#[derive(Args, Debug)]
pub struct RecordOptions {
    /// Records: JSON lines or an array with `image_path` and `attributes`; paths are meant from the file's folder
    #[arg(value_name = "FILE")]
    records: PathBuf,
    /// Pictures along a side of each file: 2 for the data set's 2x2 grids
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4))]
    grid: u32,
    /// Another taxonomy, which knows the major subjects
    #[arg(long, value_name = "FILE")]
    taxonomy: Option<PathBuf>,
}

impl RecordOptions {
    pub(super) fn read(&self) -> Result<Vec<Record>, Failure> {
        let taxonomy = Taxonomy::open(self.taxonomy.as_deref())?;
        let (records, left_out) = data::read(&self.records, self.grid, &taxonomy)?;
        if left_out > 0 {
            eprint_line(&format!(
                "warning: {left_out} records of `{}` have no picture or no attribute and are left out",
                self.records.display()
            ));
        }
        Ok(records)
    }
}

/// Options of `filter`.
#[derive(Args, Debug)]
pub struct Filter {
    #[command(flatten)]
    records: RecordOptions,
    #[command(flatten)]
    judge: JudgeOptions,
    /// Judgements of each set of subjects
    #[arg(long, default_value_t = REPEATS as u16, value_parser = clap::value_parser!(u16).range(1..=64))]
    repeats: u16,
    /// A set is consistent when the mean share of deviating pictures lies below this
    #[arg(long, default_value_t = THRESHOLD)]
    threshold: f64,
    /// Draws which pictures are shown
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where the ranges go
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Options of `pairs`.
#[derive(Args, Debug)]
pub struct Pairs {
    #[command(flatten)]
    records: RecordOptions,
    /// Ranges that `filter` wrote
    #[arg(long, value_name = "FILE", required_unless_present = "no_filter")]
    ranges: Option<PathBuf>,
    /// Pair any two pictures with one attribute (the paper's ablation)
    #[arg(long, conflicts_with = "ranges")]
    no_filter: bool,
    /// Seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where the pairs go, one JSON object a line
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Options of `stats`.
#[derive(Args, Debug)]
pub struct Stats {
    #[command(flatten)]
    records: RecordOptions,
    /// Ranges that `filter` wrote
    #[arg(long, value_name = "FILE")]
    ranges: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn pretty(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(Failure::failed)
}

impl TaxonomyVerb {
    fn run(&self, _: Context) -> Result<(), Failure> {
        let taxonomy = Taxonomy::open(self.taxonomy.as_deref())?;
        if let Some(out) = &self.out {
            write_bytes(out, format!("{}\n", pretty(&taxonomy)?).as_bytes())?;
        }
        if self.json {
            return print_json(&taxonomy);
        }
        for group in &taxonomy.groups {
            print_line(&format!(
                "{} ({} entries; asked for as {}): {}",
                group.name,
                group.entries.len(),
                group.tags.join(", "),
                group
                    .entries
                    .iter()
                    .map(|it| it.text.as_str())
                    .collect::<Vec<_>>()
                    .join("; ")
            ))?;
        }
        let subs: usize = taxonomy.subjects.iter().map(|it| it.subs.len()).sum();
        let majors: Vec<&str> = taxonomy
            .subjects
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        print_line(&format!(
            "{} major subjects with {subs} under them: {}",
            majors.len(),
            majors.join(", ")
        ))
    }
}

impl Prompts {
    fn run(&self, _: Context) -> Result<(), Failure> {
        let taxonomy = Taxonomy::open(self.taxonomy.as_deref())?;
        let prompts = taxonomy.prompts(self.count as usize, &Rng::new(self.seed));
        let text = jsonl::text(&prompts).map_err(Failure::failed)?;
        let Some(out) = &self.out else {
            return print_line(text.trim_end());
        };
        write_bytes(out, text.as_bytes())?;
        match self.json {
            true => {
                print_json(&json!({"file": out.display().to_string(), "prompts": prompts.len()}))
            }
            false => print_line(&format!("{}: {} prompts", out.display(), prompts.len())),
        }
    }
}

impl Filter {
    fn run(&self, context: Context) -> Result<(), Failure> {
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            return Err(Failure::input("--threshold must be above 0 and at most 1"));
        }
        let records = self.records.read()?;
        let model = self.judge.endpoint(context)?;
        let mut journal = Journal::open(&beside(&self.out), is_answer)?;
        let options = FilterOptions {
            repeats: usize::from(self.repeats),
            threshold: self.threshold,
            workers: usize::from(self.judge.workers),
            seed: self.seed,
        };
        let mut bar = Steps::new("questions", self.json);
        let mut at = |done: usize, of: usize| bar.at(done, of);
        let found = filter(
            &records,
            &model,
            &mut journal,
            &options,
            context.stop,
            &mut at,
        );
        bar.finish();
        let file = found?;
        write_bytes(&self.out, format!("{}\n", pretty(&file)?).as_bytes())?;
        let ranges: usize = file
            .attributes
            .iter()
            .map(|it| it.ranges.ranges.len())
            .sum();
        let dropped: usize = file
            .attributes
            .iter()
            .map(|it| it.ranges.dropped.len())
            .sum();
        let empty = file
            .attributes
            .iter()
            .filter(|it| it.ranges.ranges.is_empty())
            .count();
        if self.json {
            let report = json!({
                "file": self.out.display().to_string(), "attributes": file.attributes.len(), "ranges": ranges,
                "dropped_subjects": dropped, "attributes_without_range": empty,
            });
            return print_json(&report);
        }
        print_line(&format!(
            "{}: {ranges} ranges of {} attributes, {dropped} subjects dropped, {empty} attributes without a range",
            self.out.display(),
            file.attributes.len()
        ))
    }
}

/// The journal of answers beside a file.
fn beside(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".answers");
    name.into()
}

impl Pairs {
    fn run(&self, _: Context) -> Result<(), Failure> {
        let records = self.records.read()?;
        let ranges = self.ranges.as_deref().map(RangeFile::open).transpose()?;
        let mut found = pairs(&records, ranges.as_ref(), &Rng::new(self.seed));
        // Paths are kept so that the file can be read from anywhere.
        for pair in &mut found {
            let shots = pair.references.iter_mut().map(|it| &mut it.shot);
            for shot in shots.chain([&mut pair.target]) {
                shot.image =
                    std::path::absolute(&shot.image).unwrap_or_else(|_| shot.image.clone());
            }
        }
        if found.is_empty() {
            return Err(Failure::input(format!(
                "no two of the {} records share an attribute inside a range: give more pictures, or see `orrery fiva data stats`",
                records.len()
            )));
        }
        jsonl::write(&self.out, &found)?;
        let references: usize = found.iter().map(|it| it.references.len()).sum();
        match self.json {
            true => print_json(
                &json!({"file": self.out.display().to_string(), "records": records.len(), "pairs": found.len(), "references": references}),
            ),
            false => print_line(&format!(
                "{}: {} targets of {} records, {references} references",
                self.out.display(),
                found.len(),
                records.len()
            )),
        }
    }
}

#[derive(Default, Serialize)]
struct Counts {
    pictures: usize,
    entries: usize,
    major_subjects: usize,
    subjects: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranges: Option<usize>,
}

impl Stats {
    fn run(&self, _: Context) -> Result<(), Failure> {
        let records = self.records.read()?;
        let ranges = self.ranges.as_deref().map(RangeFile::open).transpose()?;
        let mut groups: BTreeMap<&str, Counts> = BTreeMap::new();
        for group in records
            .iter()
            .flat_map(|it| &it.attributes)
            .map(|it| it.0.as_str())
            .collect::<BTreeSet<_>>()
        {
            let has = |record: &&Record| record.attributes.iter().any(|it| it.0 == group);
            let of: Vec<&Record> = records.iter().filter(has).collect();
            let distinct = |part: &dyn Fn(&Record) -> String| {
                of.iter().map(|it| part(it)).collect::<BTreeSet<_>>().len()
            };
            let entries = of
                .iter()
                .flat_map(|it| &it.attributes)
                .filter(|it| it.0 == group);
            let found = |file: &RangeFile| {
                let of = file.attributes.iter().filter(|it| it.group == group);
                of.map(|it| it.ranges.ranges.len()).sum()
            };
            groups.insert(
                group,
                Counts {
                    pictures: of.iter().map(|it| (it.grid * it.grid) as usize).sum(),
                    entries: entries.map(|it| &it.1).collect::<BTreeSet<_>>().len(),
                    major_subjects: distinct(&|it| it.major.clone()),
                    subjects: distinct(&|it| it.subject.clone()),
                    ranges: ranges.as_ref().map(found),
                },
            );
        }
        if self.json {
            return print_json(&json!({"records": records.len(), "groups": groups}));
        }
        print_line(&format!("{} records", records.len()))?;
        for (group, counts) in &groups {
            let ranges = counts
                .ranges
                .map(|n| format!(", {n} ranges"))
                .unwrap_or_default();
            print_line(&format!(
                "{group}: {} pictures, {} entries, {} major subjects, {} subjects{ranges}",
                counts.pictures, counts.entries, counts.major_subjects, counts.subjects
            ))?;
        }
        Ok(())
    }
}
