//! `run.json` in a run's folder: the config that a resumed run, or an export, must know.

use std::path::Path;

use base::command::Failure;
use base::files::write_bytes;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::stiv::config::StivConfig;
use crate::stiv::stages::StageOptimizer;
use crate::stiv::subjects::SubjectSet;
use crate::stiv::train::TimeDraw;

/// The config's file.
const FILE: &str = "run.json";
/// The trained model in a run's folder.
pub const MODEL: &str = "model.safetensors";
/// The text tower of a run that goes on.
pub const TOWER: &str = "tower.safetensors";

/// Stages in the order in which they build on each other (paper section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The text tower: which words speak of which subjects.
    Words,
    /// Text to picture.
    T2i,
    /// Text and frames to clip, from a picture model.
    Stiv,
    /// The judge of the proof: subject and style of a real picture.
    Judge,
}

/// Config of a training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// Which stage.
    pub stage: Stage,
    /// Optimisation steps.
    pub steps: u64,
    /// Samples a step.
    pub batch: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Fraction of spatial patches masked (MaskDiT).
    #[serde(default)]
    pub mask: f32,
    /// How times are drawn.
    #[serde(default)]
    pub times: TimeDraw,
    /// Mixed precision: linear layers multiply bf16 values.
    #[serde(default)]
    pub bf16: bool,
    /// Optimizer of all stages but the words.
    #[serde(default)]
    pub optimizer: StageOptimizer,
    /// Which subjects the words or the judge are of; the other stages learn what their text tower knows.
    #[serde(default)]
    pub subjects: SubjectSet,
    /// Seed of weights and batches.
    pub seed: u64,
    /// Shape of the picture model that the run trains or starts from.
    pub shape: StivConfig,
}

impl RunConfig {
    /// The config in a run's folder; none where there is no such file.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>, Failure> {
        let path = folder.join(FILE);
        let Ok(text) = std::fs::read_to_string(&path) else {
            return Ok(None);
        };
        let damaged = |cause: String| {
            Failure::input(format!(
                "`{}` cannot be read ({cause}): start a new run",
                path.display()
            ))
        };
        let config: Self =
            serde_json::from_str(&text).map_err(|cause| damaged(cause.to_string()))?;
        match config.shape.problem() {
            Some(problem) => Err(damaged(problem)),
            None => Ok(Some(config)),
        }
    }

    /// Writes the config into a run's folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        Ok(write_bytes(folder.join(FILE), text.as_bytes())?)
    }

    /// Shape of the model that comes out.
    pub fn trained_shape(&self) -> StivConfig {
        match self.stage {
            Stage::Stiv => self.shape.clone().with_temporal_patch(2),
            _ => self.shape.clone(),
        }
    }

    /// What a trained file says of its making.
    pub fn notes(&self) -> Vec<(&'static str, String)> {
        let name = self.stage.to_possible_value();
        let name = name.as_ref().map_or("", |value| value.get_name());
        let data = match self.stage {
            Stage::Stiv => "assets/fluent-anim-48 with names of assets/emoji-styles-32",
            _ => "assets/emoji-styles-32",
        };
        let mut command = format!(
            "orrery stiv train --stage {name} --steps {} --learning-rate {} --seed {}",
            self.steps, self.learning_rate, self.seed
        );
        if matches!(self.stage, Stage::T2i | Stage::Stiv) {
            command.push_str(&format!(" --batch {}", self.batch));
            match self.times {
                TimeDraw::Uniform => {}
                TimeDraw::LogitNormal => command.push_str(" --times logit-normal"),
                TimeDraw::Noisy => command.push_str(" --times noisy"),
            }
            if self.mask > 0.0 {
                command.push_str(&format!(" --mask {}", self.mask));
            }
        }
        if self.optimizer == StageOptimizer::Muon {
            command.push_str(" --optimizer muon");
        }
        if self.bf16 {
            command.push_str(" --bf16");
        }
        if matches!(self.stage, Stage::Words | Stage::Judge)
            && let Some(set) = self.subjects.to_possible_value()
        {
            command.push_str(&format!(" --subjects {}", set.get_name()));
        }
        if self.stage == Stage::T2i {
            let StivConfig { width, depth, .. } = self.shape;
            command.push_str(&format!(" --width {width} --depth {depth}"));
        }
        vec![
            ("orrery.command", command),
            ("orrery.seed", self.seed.to_string()),
            ("orrery.data", data.to_owned()),
        ]
    }
}
