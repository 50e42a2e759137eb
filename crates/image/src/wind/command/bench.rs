//! `orrery wind bench`.

use base::command::{Context, Failure, Output, Steps, print_json, print_line};
use clap::Args;
use serde_json::json;

use super::options::{Model, Numbers, Secret, numbers};
use crate::wind::table::Gallery;
use crate::wind::{Attack, Detector, Search, TurnBack};

/// Options of `bench`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery wind keygen --out small.json --noises 10000 --groups 32
  orrery wind bench --key small.json --pictures 40

Each picture is drawn with a noise of the key, damaged and asked. `fast` and `full` name the noise among all, Tree-Ring one of as many keys as there are groups.")]
pub struct Bench {
    #[command(flatten)]
    secret: Secret,
    #[command(flatten)]
    model: Model,
    /// Pictures a row
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pictures: u32,
    /// Rows; default: those of the paper's table
    #[arg(long, value_name = "ATTACK", value_delimiter = ',')]
    attacks: Vec<Attack>,
    /// Degrees that are tried: a list, or FROM:TO:STEP
    #[arg(long, value_name = "ANGLES", default_value = "0", value_parser = numbers, allow_hyphen_values = true)]
    angles: Numbers,
    /// What is turned back
    #[arg(long, value_name = "WHAT", default_value = "latents")]
    turn: TurnBack,
    /// Chance of a false match
    #[arg(long, value_name = "CHANCE", default_value_t = 1e-6)]
    alpha: f64,
    /// Seed of pictures and attacks
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

impl Bench {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let key = self.secret.open()?;
        let model = self.model.open(context, self.output.json)?;
        let detector = Detector::new(key.clone(), model.shape())?;
        let count = self.pictures as usize;
        let gallery = Gallery::draw(&*model, &detector, count, key.groups(), self.seed)?;
        let search = Search {
            alpha: self.alpha,
            ..Search::default()
        };
        let attacks = match self.attacks.as_slice() {
            [] => Attack::PAPER.as_slice(),
            given => given,
        };
        if !self.output.json {
            print_line("attack              group     fast     full   cosine  tree-ring")?;
        }
        let mut rows = Vec::new();
        let mut bar = Steps::new("attacks", self.output.json);
        for (at, attack) in attacks.iter().enumerate() {
            bar.at(at, attacks.len());
            context.proceed()?;
            let row = gallery.row(
                &*model,
                &detector,
                *attack,
                (&search, &self.angles.0, self.turn),
            )?;
            if !self.output.json {
                print_line(&format!(
                    "{:<16}{:>9.2}{:>9.2}{:>9.2}{:>9.3}{:>11.2}",
                    attack.to_string(),
                    row.group,
                    row.fast,
                    row.full,
                    row.cosine,
                    row.tree_ring
                ))?;
            }
            rows.push(json!({"attack": attack.to_string(), "row": row}));
        }
        bar.finish();
        match self.output.json {
            true => print_json(
                &json!({"pictures": count, "noises": key.noises(), "groups": key.groups(), "rows": rows}),
            ),
            false => Ok(()),
        }
    }
}
