//! `orrery hyperfl attack`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, Steps, print_json, print_line};
use base::media::write_image;
use clap::Args;
use serde_json::json;

use super::options::{Data, Federation};
use crate::hyperfl::attack::Cost;
use crate::hyperfl::{Attack, Finding, Level, Scene, Target, pictures_sheet, run_attack};

/// How the attack runs.
#[derive(Args, Clone, Debug)]
pub(super) struct How {
    /// Distance between gradients
    #[arg(long, value_enum, default_value_t)]
    cost: Cost,
    /// Steps of the attack
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) iterations: u32,
    /// Attacks from different pictures; that with the smallest distance counts
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    restarts: u8,
    /// Weight of the total variation
    #[arg(long, value_name = "WEIGHT", default_value = "0.01", value_parser = |text: &str| base::command::number_in(text, 0.0, 100.0))]
    tv: f32,
    /// Steps that a client makes where several are sent
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) steps: u16,
    /// Pictures of the client's batch
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(super) pictures: u8,
}

impl How {
    pub(super) fn attack(&self, target: Target, level: Level, sigma: f64, seed: u64) -> Attack {
        Attack {
            target,
            level,
            steps: self.steps.into(),
            cost: self.cost,
            iterations: self.iterations as usize,
            restarts: self.restarts.into(),
            tv: f64::from(self.tv),
            sigma,
            seed,
        }
    }
}

/// Options of `attack`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery hyperfl attack --target fedavg --level naive --out fedavg.png
  orrery hyperfl attack --target hyperfl --level tailored --rounds 5 --out hyperfl.png
  orrery hyperfl attack --target hyperfl --level multistep --steps 5

The federation is trained for `--rounds` first. The picture shows the truth above, what was found below. A server that knows
the method (`tailored`) reconstructs from a single step of HyperFL what it would from FedAvg.")]
pub struct AttackVerb {
    /// What the client trains and shares
    #[arg(long, value_enum, default_value = "hyperfl")]
    target: Target,
    /// What the server does
    #[arg(long, value_enum, default_value = "tailored")]
    level: Level,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    federation: Federation,
    #[command(flatten)]
    data: Data,
    /// Number of the attacked client
    #[arg(long, value_name = "N", default_value_t = 0)]
    client: usize,
    /// Write truth and reconstruction as a picture
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl AttackVerb {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        if self.client >= self.federation.clients {
            return Err(Failure::input(format!(
                "there is no client {} among {}: count from 0",
                self.client, self.federation.clients
            )));
        }
        let data = self.data.open()?;
        let parts = self.data.parts(&data, self.federation.clients)?;
        let scene = Scene::train(
            |method| self.federation.config(method),
            (&data, &parts),
            self.target,
            context,
        )?;
        let count = usize::from(self.how.pictures);
        let truth = scene.pictures(&data, self.client, 0..count)?;
        let attack = self
            .how
            .attack(self.target, self.level, scene.sigma()?, self.client as u64);
        let total = attack.iterations * attack.restarts;
        let mut bar = Steps::new("attack", self.output.json);
        let params = scene.params(self.client);
        let found = run_attack(scene.victim(&params, &truth), &attack, &mut |at, _| {
            bar.at(at, total);
            Ok(context.proceed()?)
        })?;
        bar.finish();
        if let Some(out) = &self.out {
            let rows = [&truth.pictures[..], &found.pictures[..]];
            let sheet = pictures_sheet(&rows, &["truth", "found"], data.shape)?;
            write_image(out, &sheet, &[])?;
        }
        match self.output.json {
            true => print_json(&json!({"finding": found, "unfinished": found.unfinished()})),
            false => {
                print_line(&line(&found))?;
                match found.unfinished() {
                    true => print_line(
                        "the attack did not reach the gradient (cosine below 0.9): a bad picture here is no proof of protection",
                    ),
                    false => Ok(()),
                }
            }
        }
    }
}

/// A finding in one line.
fn line(found: &Finding) -> String {
    let label = match found.label {
        Some(true) => ", label read from the gradient",
        _ => "",
    };
    format!(
        "PSNR {:.2} dB, SSIM {:.3} (7 × 7) {:.3} (11 × 11), cosine {:.4}{label}",
        found.psnr, found.ssim7, found.ssim11, found.cosine
    )
}
