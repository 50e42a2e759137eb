//! `compare`: the same concepts in two models.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Output, print_json, print_line};
use clap::Args;
use serde_json::json;

use super::build;
use super::options::MakingArgs;
use crate::frames::concept_file::ConceptDb;
use crate::frames::model::FramesModel;

/// Options of `compare`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery frames compare base.safetensors instruct.safetensors
  orrery frames compare meta-llama/Llama-3.2-1B meta-llama/Llama-3.2-1B-Instruct --pos noun")]
pub struct Compare {
    /// Two files made by `build`, or two models
    #[arg(num_args = 2, required = true, value_name = "A B")]
    sides: Vec<String>,
    /// The padding token of both models [default: the tokenizer's]
    #[arg(long, value_name = "TOKEN")]
    pad: Option<u32>,
    #[command(flatten)]
    making: MakingArgs,
    /// How many concepts are listed at either end
    #[arg(short, default_value_t = 10, value_name = "COUNT")]
    n: usize,
    #[command(flatten)]
    output: Output,
}

impl Compare {
    /// Prints how alike concepts are: the mean, and both ends.
    pub fn run(&self, context: Context) -> Result<(), Failure> {
        let folder = tempfile::tempdir().map_err(Failure::failed)?;
        let mut sides = self
            .sides
            .iter()
            .zip(["a", "b"])
            .map(|(side, name)| self.open(side, &folder.path().join(name), context));
        let (Some(a), Some(b)) = (sides.next(), sides.next()) else {
            return Err(Failure::input("give two files or two models"));
        };
        let (a, b) = (a?, b?);
        let [found, other] = [&a, &b].map(|it| (it.width(), it.info().columns));
        if found != other {
            return Err(Failure::input(format!(
                "frames of {}×{} and {}×{} cannot be compared: take models of equal width and equal `--max-tokens`",
                found.0, found.1, other.0, other.1
            )));
        }
        let mut alike: Vec<(&str, f64)> = Vec::new();
        for (at, name) in a.names().iter().enumerate() {
            if let Ok(frame) = b.concept(name) {
                alike.push((name, a.frame(at).correlation(&frame)));
            }
        }
        alike.retain(|(_, value)| !value.is_nan());
        alike.sort_by(|x, y| y.1.total_cmp(&x.1));
        if alike.is_empty() {
            return Err(Failure::input(
                "the two have no concept in common: build both from the same WordNet",
            ));
        }
        let mean = alike.iter().map(|(_, value)| value).sum::<f64>() / alike.len() as f64;
        let ends: Vec<_> = match alike.len() > 2 * self.n {
            true => [&alike[..self.n], &alike[alike.len() - self.n..]].concat(),
            false => alike.clone(),
        };
        if self.output.json {
            let rows: Vec<_> = ends
                .iter()
                .map(|(name, value)| json!({"concept": name, "similarity": value}))
                .collect();
            return print_json(&json!({"concepts": alike.len(), "mean": mean, "ends": rows}));
        }
        print_line(&format!(
            "{} concepts, mean similarity {mean:.3}",
            alike.len()
        ))?;
        for (at, (name, value)) in ends.iter().enumerate() {
            if at == self.n && alike.len() > ends.len() {
                print_line("       …")?;
            }
            print_line(&format!("{value:>8.3}  {name}"))?;
        }
        Ok(())
    }

    fn open(&self, side: &str, temporary: &Path, context: Context) -> Result<ConceptDb, Failure> {
        let path = PathBuf::from(side);
        let tensors = path.extension().is_some_and(|it| it == "safetensors");
        if tensors && path.is_file() {
            return Ok(ConceptDb::open(&path)?);
        }
        let model = FramesModel::open(side, self.pad)?;
        build(
            &model,
            &self.making.options(),
            temporary,
            context,
            self.output.json,
        )?;
        Ok(ConceptDb::open(temporary)?)
    }
}
