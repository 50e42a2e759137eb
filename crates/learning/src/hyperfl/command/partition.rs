//! `orrery hyperfl partition`.

use base::command::{Context, Failure, Output, number_in, print_json, print_line};
use base::rng::Rng;
use clap::Args;
use serde_json::json;

use super::options::Data;
use crate::hyperfl::partition::{dirichlet, histogram};

fn positive(text: &str) -> Result<f32, String> {
    number_in(text, 1e-3, 1e6)
}

/// Options of `partition`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery hyperfl partition --clients 20
  orrery hyperfl partition --data fashion --clients 10 --train 600 --dirichlet 0.3 --json")]
pub struct Partition {
    /// Number of clients
    #[arg(long, value_name = "N", default_value_t = 8)]
    clients: usize,
    #[command(flatten)]
    data: Data,
    /// Draw each client's labels from a Dirichlet distribution in place of the paper's groups
    #[arg(long, value_name = "ALPHA", value_parser = positive)]
    dirichlet: Option<f32>,
    /// Seed of that draw
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

impl Partition {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let data = self.data.open()?;
        let labels = &data.train.labels;
        let parts = match self.dirichlet {
            Some(alpha) => dirichlet(
                labels,
                data.classes,
                self.clients,
                self.data.train,
                alpha,
                &Rng::new(self.seed),
            )?,
            None => {
                let parts = self.data.parts(&data, self.clients)?;
                parts.into_iter().map(|[train, _]| train).collect()
            }
        };
        let counts: Vec<Vec<usize>> = parts
            .iter()
            .map(|own| histogram(labels, own, data.classes))
            .collect();
        if self.output.json {
            return print_json(&json!({"clients": counts}));
        }
        let row = |name: &str, cells: Vec<String>| {
            let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>4}")).collect();
            print_line(&format!("{name:>8}{}", cells.join("")))
        };
        row(
            "label",
            (0..data.classes).map(|label| label.to_string()).collect(),
        )?;
        for (client, counts) in counts.iter().enumerate() {
            let cells = counts.iter().map(usize::to_string).collect();
            row(&format!("client {client}"), cells)?;
        }
        Ok(())
    }
}
