//! `probe`, `top` and `rank`: what a text or a vocabulary expresses.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, one_line, print_json, print_line};
use base::files::write_bytes;
use clap::Args;
use serde_json::json;

use super::options::{ConceptArgs, MakingArgs, ModelArgs, TextArgs};
use crate::frames::html::{TokenProbe, heat_map};
use crate::frames::pipeline::Concepts;
use crate::frames::probe::{ProbeKind, probe, projections};
use crate::frames::rank::rank_counts;

/// Options of `probe`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery frames probe --concept woman.n.01-man.n.01 --text \"The nurse said that\" --html probe.html
  orrery frames probe --words kind.txt --file letter.txt")]
pub struct Probe {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    concepts: ConceptArgs,
    /// A synset such as woman.n.01, a difference A-B (from B to A), or @FILE with a word a line
    #[arg(long, value_name = "CONCEPT", required_unless_present = "words")]
    concept: Option<String>,
    /// A file with a word a line, as the concept
    #[arg(long, value_name = "FILE", conflicts_with = "concept")]
    words: Option<PathBuf>,
    #[command(flatten)]
    text: TextArgs,
    /// Which probe: the running sum of the official code, or the window of the paper's text
    #[arg(long, value_enum, default_value_t)]
    probe: ProbeKind,
    /// Write a heat map here
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl Probe {
    /// Prints a row for each token.
    pub fn run(&self, _: Context) -> Result<(), Failure> {
        let text = self.text.read()?;
        let model = self.model.open()?;
        let options = self.concepts.options();
        let concepts = Concepts::open(&model, &options)?;
        let name = match (&self.concept, &self.words) {
            (Some(concept), _) => concept.clone(),
            (None, Some(words)) => format!("@{}", words.display()),
            (None, None) => {
                return Err(Failure::input(
                    "give a concept with `--concept` or `--words`",
                ));
            }
        };
        let frame = concepts.frame(&name)?;
        let ids = model.prompt(&text, false)?;
        let hidden = model.hidden(&ids)?;
        let values = projections(&hidden, &frame)
            .into_iter()
            .zip(probe(&hidden, &frame, self.probe));
        let tokens: Vec<TokenProbe> = ids
            .iter()
            .zip(values)
            .map(|(id, (projection, probe))| TokenProbe {
                text: model.piece(*id),
                projection,
                probe,
            })
            .collect();
        let kind = match self.probe {
            ProbeKind::Cumulative => "cumulative",
            ProbeKind::Window => "window",
        };
        if let Some(path) = &self.html {
            write_bytes(path, heat_map(&name, &model.name, kind, &tokens).as_bytes())?;
        }
        if self.output.json {
            return print_json(
                &json!({"concept": name, "model": model.name, "probe": kind, "tokens": tokens}),
            );
        }
        print_line("projection      probe  token")?;
        for token in &tokens {
            let shown = one_line(&token.text.replace('\n', "⏎"));
            let shown = if token.text.ends_with(' ') {
                format!("{shown} ")
            } else {
                shown
            };
            print_line(&format!(
                "{:>10.3} {:>10.3}  {shown}",
                token.projection, token.probe
            ))?;
        }
        match &self.html {
            Some(path) => print_line(&format!("heat map: `{}`", path.display())),
            None => Ok(()),
        }
    }
}

/// Options of `top`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery frames top --concepts concepts.safetensors --text \"She plays the violin in an orchestra\" -n 5")]
pub struct Top {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    concepts: ConceptArgs,
    #[command(flatten)]
    text: TextArgs,
    /// How many concepts
    #[arg(short, default_value_t = 10, value_name = "COUNT")]
    n: usize,
    #[command(flatten)]
    output: Output,
}

impl Top {
    /// Prints a row for each concept.
    pub fn run(&self, _: Context) -> Result<(), Failure> {
        let text = self.text.read()?;
        let model = self.model.open()?;
        let options = self.concepts.options();
        let concepts = Concepts::open(&model, &options)?;
        let top = concepts.top(&model.prompt(&text, false)?, self.n)?;
        let Some(file) = concepts.file() else {
            return Ok(());
        };
        let named = top
            .iter()
            .map(|(at, probe)| (&file.names()[*at], file.count(*at), *probe));
        if self.output.json {
            let rows = named.map(
                |(name, words, probe)| json!({"concept": name, "words": words, "probe": probe}),
            );
            let rows: Vec<_> = rows.collect();
            return print_json(
                &json!({"model": model.name, "of": file.names().len(), "concepts": rows}),
            );
        }
        print_line("     probe  words  concept")?;
        for (name, words, probe) in named {
            print_line(&format!("{probe:>10.3}  {words:>5}  {name}"))?;
        }
        Ok(())
    }
}

/// Options of `rank`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  orrery frames rank --pos noun --longest 8")]
pub struct Rank {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    making: MakingArgs,
    /// Count words of up to so many tokens
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=32), value_name = "TOKENS")]
    longest: u8,
    #[command(flatten)]
    output: Output,
}

impl Rank {
    /// Prints a row for each number of tokens.
    pub fn run(&self, _: Context) -> Result<(), Failure> {
        let options = self.making.options();
        let words = options.concept_words()?;
        let model = self.model.open()?;
        let vectors = options.vocabulary(&model)?;
        let counts = rank_counts(
            &model,
            &vectors,
            &words,
            &options.words,
            self.longest.into(),
        )?;
        if self.output.json {
            return print_json(&json!({"model": model.name, "counts": counts}));
        }
        let share = |full: usize, words: usize| match words {
            0 => "–".to_owned(),
            _ => format!("{:.2} %", 100.0 * full as f64 / words as f64),
        };
        print_line("tokens    words  full rank")?;
        for it in &counts {
            let bar = "█"
                .repeat(it.words * 40 / counts.iter().map(|it| it.words).max().unwrap_or(1).max(1));
            let row = format!(
                "{:>6} {:>8} {:>10}  {bar}",
                it.tokens,
                it.words,
                share(it.full, it.words)
            );
            print_line(row.trim_end())?;
        }
        let [words, full] = [
            counts.iter().map(|it| it.words).sum(),
            counts.iter().map(|it| it.full).sum(),
        ];
        print_line(&format!("   all {words:>8} {:>10}", share(full, words)))
    }
}
