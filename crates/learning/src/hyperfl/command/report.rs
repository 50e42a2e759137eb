//! `orrery hyperfl report`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, Steps};
use base::files::{make_folder, write_bytes};
use base::media::write_image;
use base::table::Table;
use clap::Args;
use serde_json::json;

use super::attack::How;
use super::options::{Data, Federation};
use crate::hyperfl::{Finding, Level, Scene, Target, pictures_sheet, run_attack};

/// What is attacked, and how.
const ROWS: [(Target, Level); 7] = [
    (Target::Fedavg, Level::Naive),
    (Target::DpFedavg, Level::Naive),
    (Target::Hyperfl, Level::Naive),
    (Target::Hyperfl, Level::Tailored),
    (Target::Fedavg, Level::Multistep),
    (Target::Hyperfl, Level::Multistep),
    (Target::Fedavg, Level::Unrolled),
];

/// Options of `report`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery hyperfl report --rounds 5 --out privacy
  orrery hyperfl report --data fashion --rounds 5 --iterations 1000 --restarts 4 --victims 4 --out privacy

Writes `report.md`, `report.json` and `pictures.png` into the folder. Labels are known to the attacker. A row with a cosine below
0.9 says that the attack failed, not that nothing leaked.")]
pub struct ReportVerb {
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    federation: Federation,
    #[command(flatten)]
    data: Data,
    /// Batches of client 0 that are attacked
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    victims: u8,
    /// Folder for the report
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl ReportVerb {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        make_folder(&self.out)?;
        let data = self.data.open()?;
        let parts = self.data.parts(&data, self.federation.clients)?;
        let scene = |target| {
            Scene::train(
                |method| self.federation.config(method),
                (&data, &parts),
                target,
                context,
            )
        };
        let scenes = [scene(Target::Fedavg)?, scene(Target::Hyperfl)?];
        let (count, victims) = (usize::from(self.how.pictures), usize::from(self.victims));
        let truths = (0..victims)
            .map(|at| scenes[0].pictures(&data, 0, at * count..(at + 1) * count))
            .collect::<Result<Vec<_>, _>>()?;
        let mut rows = vec![
            truths
                .iter()
                .flat_map(|truth| truth.pictures.clone())
                .collect(),
        ];
        let mut names = vec!["truth".to_owned()];
        let mut table = Vec::new();
        let mut bar = Steps::new("attacks", self.output.json);
        for (at, (target, level)) in ROWS.iter().enumerate() {
            let scene = &scenes[usize::from(*target == Target::Hyperfl)];
            let params = scene.params(0);
            let sigma = if *target == Target::DpFedavg {
                scene.sigma()?
            } else {
                0.0
            };
            let mut found = Vec::new();
            for (victim, truth) in truths.iter().enumerate() {
                bar.at(at * victims + victim, ROWS.len() * victims);
                let attack = self.how.attack(*target, *level, sigma, victim as u64);
                found.push(run_attack(
                    scene.victim(&params, truth),
                    &attack,
                    &mut |_, _| Ok(context.proceed()?),
                )?);
            }
            names.push(format!("{} {}", name(target), name(level)));
            rows.push(
                found
                    .iter()
                    .flat_map(|found| found.pictures.clone())
                    .collect(),
            );
            table.push((*target, *level, found));
        }
        bar.finish();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let sheet = pictures_sheet(&rows, &names, data.shape)?;
        write_image(self.out.join("pictures.png"), &sheet, &[])?;
        let json = json!({
            "rounds_before": self.federation.rounds, "steps": self.how.steps, "pictures": count, "iterations": self.how.iterations,
            "rows": table.iter().map(|(target, level, found)| {
                json!({"target": target, "level": level, "findings": found})
            }).collect::<Vec<_>>(),
        });
        write_bytes(
            self.out.join("report.json"),
            format!("{json:#}\n").as_bytes(),
        )?;
        let text = self.markdown(&table);
        write_bytes(self.out.join("report.md"), text.as_bytes())?;
        self.output.print(&json, text.trim_end())
    }

    fn markdown(&self, table: &[(Target, Level, Vec<Finding>)]) -> String {
        let rows = table.iter().map(|(target, level, found)| {
            let mean = |value: &dyn Fn(&Finding) -> f64| {
                found.iter().map(value).sum::<f64>() / found.len().max(1) as f64
            };
            let note = match found.iter().any(Finding::unfinished) {
                false => "",
                true => "attack failed to optimise",
            };
            [
                name(target),
                name(level),
                format!("{:.2}", mean(&|it| it.psnr)),
                format!("{:.2}", mean(&|it| it.best_psnr)),
                format!("{:.3}", mean(&|it| it.ssim7)),
                format!("{:.3}", mean(&|it| it.ssim11)),
                format!("{:.3}", mean(&|it| it.cosine)),
                note.to_owned(),
            ]
        });
        let heads = [
            "shared by",
            "attack",
            "PSNR",
            "best",
            "SSIM 7",
            "SSIM 11",
            "cosine",
            "",
        ];
        format!(
            "# What a server reconstructs\n\n{} batch(es) of {} picture(s), after {} rounds; {} steps where several are sent; {} attack iterations. Labels are known to the attacker.\n\n{}\n\n`naive` and `tailored`: one step was sent. `multistep`: the sum of several steps taken for one gradient. `unrolled`: the steps simulated within the attack.\n",
            self.victims,
            self.how.pictures,
            self.federation.rounds,
            self.how.steps,
            self.how.iterations,
            Table::new(heads, rows).markdown(false)
        )
    }
}

/// Its name on the command line.
fn name(value: &impl clap::ValueEnum) -> String {
    let value = value.to_possible_value();
    value
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}
