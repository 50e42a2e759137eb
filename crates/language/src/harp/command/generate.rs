//! `orrery harp generate`.

use std::io::{IsTerminal, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use base::command::{Context, Failure, Output, eprint_line, print_json, print_line};
use base::files::write_bytes;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::options::{Harp, Model, Sampling};
use crate::harp::task::read_text;
use crate::harp::trace::{printable, summary, terminal};
use crate::harp::{
    BeamCompat, Colors, Generation, HarpConfig, HarpPipeline, SystemError, TokenStep, beam_config,
    html_page, json_lines, legend,
};

/// Longest prompt from a file or standard input, in bytes: far more than any context.
const LONGEST: usize = 4 << 20;

/// Options of `generate`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery harp generate --model smollm2 --chat \"Why is the sky blue?\"
  orrery harp generate \"The capital of France is\" --theta 3 --trace steps.jsonl --html steps.html
  orrery harp generate --file story.txt --sampler nucleus:0.9 --temperature 0.7 --seed 3
  orrery harp generate \"Once upon a time\" --beams 3 --beam-compat harp

Tokens are coloured by the entropy of the next-token distribution, underlined where the model looked twice, bold where
that changed the best token. Without a terminal, or with NO_COLOR set, the text is plain.")]
pub struct Generate {
    #[command(flatten)]
    model: Model,
    /// What to go on from; several are generated together
    #[arg(value_name = "PROMPT")]
    prompts: Vec<String>,
    /// The same as an option
    #[arg(long = "prompt", value_name = "PROMPT")]
    more: Vec<String>,
    /// A file that holds a prompt; `-` is standard input
    #[arg(short = 'f', long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Prompts are questions in the model's chat format
    #[arg(long)]
    chat: bool,
    /// System message before the question
    #[arg(long, value_name = "TEXT", requires = "chat")]
    system: Option<String>,
    #[command(flatten)]
    harp: Harp,
    #[command(flatten)]
    sampling: Sampling,
    /// End the text before this one; may be given again
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Beam search with the ordinary model and so many beams, in place of HARP
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=64),
        conflicts_with_all = ["theta", "delta", "beta", "steps", "metric", "noise", "reframe_window", "mask", "sampler", "temperature"]
    )]
    beams: Option<u16>,
    /// Whose beam search
    #[arg(long, value_enum, default_value = "none", requires = "beams")]
    beam_compat: BeamCompat,
    /// Write each token as a JSON object a line
    #[arg(long, value_name = "FILE", conflicts_with = "beams")]
    trace: Option<PathBuf>,
    /// Write a page that shows what happened at each token
    #[arg(long, value_name = "FILE", conflicts_with = "beams")]
    html: Option<PathBuf>,
    /// When text is coloured
    #[arg(long, value_enum, default_value = "auto")]
    color: Colors,
    #[command(flatten)]
    output: Output,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    harp: &'a HarpConfig,
    seconds: f64,
    texts: Vec<Text<'a>>,
}

#[derive(Serialize)]
struct Text<'a> {
    #[serde(flatten)]
    made: &'a Generation,
    hesitation_rate: f64,
    passes_per_token: f64,
}

impl Generate {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let texts = self.texts()?;
        let pipeline = self.model.open()?;
        let encode = |text: &String| match self.chat {
            true => pipeline.chat(self.system.as_deref(), text),
            false => pipeline.prompt(text),
        };
        let prompts = texts.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        if let Some(beams) = self.beams {
            return self.search(&pipeline, &prompts, usize::from(beams));
        }
        let config = self.sampling.config(&self.harp, &pipeline, &self.stop)?;
        let colors = self.color.wanted();
        let shown = !self.output.json && texts.len() == 1;
        if colors && shown && std::io::stderr().is_terminal() {
            eprint_line(&legend());
        }
        let begun = Instant::now();
        let mut broken = None;
        let mut held = 0;
        let mut listen = |_: usize, step: &TokenStep| {
            if shown && let Err(failure) = put(&terminal(step, colors)) {
                broken = Some(failure);
                return ControlFlow::Break(());
            }
            held += step.text.len();
            match context.stopped() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let made = pipeline.generate(&prompts, &config, &mut listen)?;
        if let Some(failure) = broken {
            return Err(failure);
        }
        let seconds = begun.elapsed().as_secs_f64();
        if shown {
            // The end that might have become a stop string.
            let rest = made.first().and_then(|it| it.text.get(held..));
            print_line(&printable(rest.unwrap_or_default()))?;
        }
        self.files(&texts, &made, &config)?;
        if self.output.json {
            let texts = made.iter().map(|it| Text {
                made: it,
                hesitation_rate: it.hesitation_rate(),
                passes_per_token: it.passes_per_token(&config.harp),
            });
            let answer = Answer {
                harp: &config.harp,
                seconds,
                texts: texts.collect(),
            };
            return print_json(&answer);
        }
        for (number, it) in (1..).zip(&made).filter(|_| !shown) {
            print_line(&format!("── {number} ──"))?;
            let tokens = it.trace.iter().map(|step| terminal(step, colors));
            print_line(&tokens.collect::<String>())?;
        }
        let tokens: usize = made.iter().map(|it| it.ids.len()).sum();
        for it in &made {
            eprint_line(&summary(it, &config.harp));
        }
        eprint_line(&format!("{:.1} tokens a second", tokens as f64 / seconds));
        match context.stopped() {
            true => Err(Failure::interrupted("stopped; what was generated is above")),
            false => Ok(()),
        }
    }

    /// All prompts.
    fn texts(&self) -> Result<Vec<String>, Failure> {
        let mut texts: Vec<String> = self.prompts.iter().chain(&self.more).cloned().collect();
        for file in &self.file {
            let text = match file == Path::new("-") {
                true => short_enough(standard_input()?)?,
                false => short_enough(read_text(file)?)?,
            };
            texts.push(text.strip_suffix('\n').unwrap_or(&text).to_owned());
        }
        match texts.is_empty() {
            true => Err(Failure::input(
                "there is no prompt: give one, or a file with `--file`",
            )),
            false => Ok(texts),
        }
    }

    fn search(
        &self,
        pipeline: &HarpPipeline,
        prompts: &[Vec<u32>],
        beams: usize,
    ) -> Result<(), Failure> {
        let config = self.sampling.config(&self.harp, pipeline, &self.stop)?;
        let search = beam_config(self.beam_compat, beams, config.max_tokens, config.end);
        let found = prompts.iter().map(|prompt| pipeline.beam(prompt, &search));
        let found = found.collect::<Result<Vec<_>, SystemError>>()?;
        if self.output.json {
            let texts = found.iter().map(|(beam, text)| {
                json!({"text": text, "ids": beam.ids, "score": beam.score, "rank": beam.rank, "ended": beam.ended})
            });
            return print_json(&json!({"texts": texts.collect::<Vec<_>>()}));
        }
        found
            .iter()
            .try_for_each(|(_, text)| print_line(&printable(text)))
    }

    fn files(
        &self,
        texts: &[String],
        made: &[Generation],
        config: &crate::harp::GenerateConfig,
    ) -> Result<(), Failure> {
        if let Some(path) = &self.trace {
            let lines = json_lines(made).map_err(Failure::failed)?;
            write_bytes(path, lines.as_bytes())?;
        }
        if let Some(path) = &self.html {
            write_bytes(path, html_page(texts, made, config).as_bytes())?;
        }
        Ok(())
    }
}

fn short_enough(text: String) -> Result<String, Failure> {
    match text.len() > LONGEST {
        true => Err(Failure::input(format!(
            "the prompt is longer than {} MB, more than any model reads: shorten it",
            LONGEST >> 20
        ))),
        false => Ok(text),
    }
}

fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin()
        .lock()
        .take(LONGEST as u64 + 1)
        .read_to_string(&mut text);
    read.map_err(|error| {
        Failure::input(format!(
            "cannot read standard input: {error}: give UTF-8 text"
        ))
    })?;
    Ok(text)
}

/// Text on standard output at once. A reader that went away is not an error.
fn put(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::failed(
            format!("cannot write to standard output: {cause}: check where it is sent"),
        )),
        _ => Ok(()),
    }
}
