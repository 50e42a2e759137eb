//! `orrery wind attack` and `ledger`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, any_seed};
use base::media::{read_image, write_image};
use base::rng::Rng;
use clap::Args;
use serde_json::json;

use super::options::Secret;
use crate::wind::{Attack, Ledger};

/// Options of `attack`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery wind attack --image picture.png --attack jpeg:25 --attack rotate:75 --out damaged.png

Attacks follow each other: none, rotate:DEGREES, jpeg:QUALITY, crop:AREA:RATIO, blur:RADIUS, noise:DEVIATION, brightness:FACTOR.")]
pub struct Attacks {
    /// The picture
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// What is done, in this order; may be given several times
    #[arg(long, value_name = "ATTACK", required = true)]
    attack: Vec<Attack>,
    /// The picture to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Seed of noise and crops
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    #[command(flatten)]
    output: Output,
}

impl Attacks {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let mut picture = read_image(&self.image)?;
        let seed = self.seed.unwrap_or_else(any_seed);
        let rng = Rng::new(seed);
        for (at, attack) in self.attack.iter().enumerate() {
            picture = attack.apply(&picture, &mut rng.item(at as u64))?;
        }
        write_image(&self.out, &picture, &[])?;
        let names: Vec<String> = self.attack.iter().map(Attack::to_string).collect();
        self.output.print(
            &json!({"out": self.out.display().to_string(), "attacks": names, "seed": seed}),
            &format!("{}: {}, seed {seed}", self.out.display(), names.join(", ")),
        )
    }
}

/// Options of `ledger`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery wind ledger --key key.json --log ledger.jsonl

Changed, moved and missing lines are found; lines missing at the end only with `--head`, the last code as it was.")]
pub struct CheckLedger {
    #[command(flatten)]
    secret: Secret,
    /// The ledger
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// A code that the ledger had: it must still be in it
    #[arg(long, value_name = "CODE")]
    head: Option<String>,
    #[command(flatten)]
    output: Output,
}

impl CheckLedger {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let key = self.secret.open()?;
        if !self.log.is_file() {
            return Err(Failure::input(format!(
                "no ledger `{}`: check the name",
                self.log.display()
            )));
        }
        let ledger = Ledger::open(&self.log, &key)?;
        if let Some(head) = &self.head
            && !ledger.entries().iter().any(|entry| entry.code == *head)
        {
            return Err(Failure::input(format!(
                "`{}` has no line with the code {head}: lines are missing at its end",
                self.log.display()
            )));
        }
        let count = ledger.entries().len();
        self.output.print(
            &json!({"entries": count, "head": ledger.head(), "left": key.noises() - count as u64}),
            &format!(
                "{count} entries agree, {} noises are left; last code {}",
                key.noises() - count as u64,
                ledger.head()
            ),
        )
    }
}
