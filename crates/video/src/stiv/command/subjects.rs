//! `orrery stiv subjects`: what a model can draw.

use std::path::PathBuf;

use base::command::{Context, Failure, print_line};
use burn::tensor::Device;
use clap::Args;
use engine::data::pack::{EmojiPack, Subject};
use engine::weights::Weights;
use serde_json::{Value, json};

use crate::stiv::embedded;
use crate::stiv::generation_params::check_prompt;
use crate::stiv::pipeline::StivPipeline;
use crate::stiv::prompt_analysis;

/// Options of `subjects`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery stiv subjects                  all that the picture model knows
  orrery stiv subjects \"red fruit\"      what it would draw for these words
  orrery stiv subjects 노란 꽃 --json")]
pub struct Subjects {
    /// Words: only the subjects that they may mean, the likeliest first
    words: Vec<String>,
    /// How many with words, 1 to 1000
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    count: u64,
    /// A model that `orrery stiv train` or `export` wrote [default: the embedded picture model]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

impl Subjects {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let device = Device::flex();
        let pipeline = match &self.model {
            Some(path) => StivPipeline::open(&Weights::open(path)?, &device)?,
            None => embedded::images(&device)?,
        };
        let prompt = self.words.join(" ");
        check_prompt(&prompt, !self.words.is_empty())?;
        let chances = match prompt.as_str() {
            "" => None,
            prompt => {
                let chances = prompt_analysis::chances(&pipeline, prompt);
                if chances.is_none() {
                    return Err(prompt_analysis::analyse(&pipeline, prompt).refusal());
                }
                chances
            }
        };
        let pack = EmojiPack::embedded()?;
        let find = |code: &String| pack.subjects.iter().find(|subject| subject.code == *code);
        let mut known: Vec<(&Subject, Option<f32>)> = Vec::new();
        for (at, code) in pipeline.tower.codes.iter().enumerate() {
            let chance = chances
                .as_ref()
                .and_then(|chances| chances.get(at))
                .copied();
            known.extend(find(code).map(|subject| (subject, chance)));
        }
        if chances.is_some() {
            known.sort_by(|a, b| b.1.unwrap_or(0.0).total_cmp(&a.1.unwrap_or(0.0)));
            known.truncate(usize::try_from(self.count).unwrap_or(usize::MAX));
        }
        let lines = known.iter().map(|(subject, chance)| line(subject, *chance));
        print_line(&match self.json {
            true => Value::from_iter(known.iter().map(|(subject, chance)| row(subject, *chance)))
                .to_string(),
            false => lines.collect::<Vec<_>>().join("\n"),
        })
    }
}

fn line(subject: &Subject, chance: Option<f32>) -> String {
    let name = subject.name("en").unwrap_or_default();
    let chance = chance.map_or_else(String::new, |chance| format!("{:5.1} %  ", 100.0 * chance));
    let emoji = subject.emoji();
    format!("{chance}{emoji}\t{name}  ({})", subject.category)
}

fn row(subject: &Subject, chance: Option<f32>) -> Value {
    let mut row = json!({
        "emoji": subject.emoji(),
        "code": subject.code,
        "name": subject.name("en"),
        "category": subject.category,
        "keywords": subject.keywords_en,
    });
    if let Some(chance) = chance {
        row["probability"] = json!(chance);
    }
    row
}
