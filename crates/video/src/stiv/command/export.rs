//! `orrery stiv export`: the averaged weights of a run as one small file.

use std::path::PathBuf;

use base::command::{Context, Failure, report};
use base::rng::Rng;
use clap::Args;
use engine::device;
use engine::train::{CHECKPOINT, load_trained};
use engine::weights::{Precision, Weights};
use serde_json::json;

use super::output;
use super::run_config::{MODEL, RunConfig, TOWER};
use crate::stiv::config::StivConfig;
use crate::stiv::pipeline::StivPipeline;
use crate::stiv::{embedded, tower};

/// Options of `export`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  orrery stiv export runs/pictures --out pictures.safetensors")]
pub struct Export {
    /// The run's folder
    run: PathBuf,
    /// The text tower that the run was trained with [default: the run's own, else the embedded one]
    #[arg(long, value_name = "FILE")]
    tower: Option<PathBuf>,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Export {
    pub(super) fn run(&self, _context: Context) -> Result<(), Failure> {
        output::check_place(&self.out)?;
        let config = RunConfig::read(&self.run)?;
        let weights = Weights::open(self.run.join(CHECKPOINT))?;
        let step = weights.metadata().get("step").cloned().unwrap_or_default();
        let shape = match &config {
            Some(config) => config.trained_shape(),
            None => guess(&weights)?,
        };
        let device = device("cpu")?;
        let model = load_trained(shape.init(&mut Rng::new(0), &device), &self.run)?;
        let own = [MODEL, TOWER].map(|name| self.run.join(name));
        let tower = match (&self.tower, own.iter().find(|path| path.is_file())) {
            (Some(path), _) => tower::read(&Weights::open(path)?)?,
            (None, Some(own)) => tower::read(&Weights::open(own)?)?,
            (None, None) => embedded::tower()?,
        };
        if tower.width != shape.context {
            return Err(Failure::input(format!(
                "the text tower is {} wide, the model expects {}: give the `--tower` it was trained with",
                tower.width, shape.context
            )));
        }
        let mut notes = match &config {
            Some(config) => config.notes(),
            None => Vec::new(),
        };
        notes.push(("orrery.step", step.clone()));
        let notes: Vec<(&str, &str)> = notes.iter().map(|(k, v)| (*k, v.as_str())).collect();
        StivPipeline::save(&model, &shape, &tower, &notes, Precision::F16, &self.out)?;
        let bytes = std::fs::metadata(&self.out).map_or(0, |file| file.len());
        report(
            self.json,
            &if self.json {
                json!({"out": base::files::shown(&self.out), "step": step, "bytes": bytes})
                    .to_string()
            } else {
                let megabytes = bytes as f64 / 1e6;
                format!(
                    "wrote {}: step {step}, {megabytes:.1} MB",
                    self.out.display()
                )
            },
        )
    }
}

/// The shape of a run that has no config beside it: one of the presets.
fn guess(weights: &Weights) -> Result<StivConfig, Failure> {
    [StivConfig::emoji_images(), StivConfig::emoji_clips()]
        .into_iter()
        .find(|shape| {
            let patch = [shape.width, shape.patch_values()];
            let last = format!("model.blocks.{}.fc1.weight", shape.depth - 1);
            weights.shape("model.cubify.weight") == Some(&patch) && weights.contains(&last)
        })
        .ok_or_else(|| {
            Failure::input(format!(
                "`{}` does not say what shape its model has (`run.json` is missing): export a folder that `orrery stiv train` made",
                weights.origin()
            ))
        })
}
