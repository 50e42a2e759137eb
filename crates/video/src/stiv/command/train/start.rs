//! What a run begins with.

use base::command::Failure;
use base::rng::Rng;
use burn::tensor::Device;
use engine::weights::Weights;

use super::{HEAD, Train};
use crate::stiv::checkpoint::CONFIG_KEY;
use crate::stiv::command::run_config::{RunConfig, Stage, TOWER};
use crate::stiv::command::run_training::Start;
use crate::stiv::config::StivConfig;
use crate::stiv::pipeline::StivPipeline;
use crate::stiv::{embedded, tower};

impl Train {
    /// Tower and weights that a new run begins with.
    pub(super) fn start(&self, device: &Device) -> Result<Start, Failure> {
        let wrong = |option: &str| {
            Failure::input(format!("this stage does not take `{option}`: leave it out"))
        };
        if self.stage != Stage::T2i && (self.width.is_some() || self.depth.is_some()) {
            return Err(wrong("--width` and `--depth"));
        }
        let file = self.init.as_ref().map(Weights::open).transpose()?;
        match self.stage {
            Stage::Judge if file.is_some() => Err(wrong("--init` and `--tower")),
            Stage::Words if self.tower.is_some() => Err(wrong("--tower")),
            Stage::Words | Stage::Judge if self.batch.is_some() => Err(wrong("--batch")),
            Stage::Words | Stage::Judge if self.mask.is_some() => Err(wrong("--mask")),
            Stage::Words | Stage::Judge if self.times.is_some() => Err(wrong("--times")),
            Stage::Words if self.optimizer.is_some() => Err(wrong("--optimizer")),
            Stage::Words => Ok(Start {
                tower: file.as_ref().map(tower::read).transpose()?,
                ..Start::default()
            }),
            Stage::Judge => Ok(Start::default()),
            _ if self.subjects.is_some() => Err(wrong("--subjects")),
            Stage::T2i => match file {
                Some(file) if file.metadata().contains_key(CONFIG_KEY) => {
                    if self.width.is_some() || self.depth.is_some() {
                        return Err(wrong("--width` and `--depth"));
                    }
                    self.with_tower(self.from(StivPipeline::open(&file, device)?)?)
                }
                _ if self.tower.is_some() => Err(Failure::input(
                    "`--tower` needs a picture model in `--init`: a text tower alone goes into `--init`",
                )),
                file => Ok(Start {
                    tower: Some(match file {
                        Some(file) => tower::read(&file)?,
                        None => embedded::tower()?,
                    }),
                    shape: self.shape(),
                    ..Start::default()
                }),
            },
            Stage::Stiv if self.tower.is_some() => Err(wrong("--tower")),
            Stage::Stiv => self.from(match &file {
                Some(file) => StivPipeline::open(file, device)?,
                None => embedded::images(device)?,
            }),
        }
    }

    /// A run that starts from a picture model.
    fn from(&self, pipeline: StivPipeline) -> Result<Start, Failure> {
        pipeline.check(false)?;
        let masked = self.mask.is_some_and(|mask| mask > 0.0);
        if masked && pipeline.config.extra_blocks == 0 {
            return Err(Failure::input(format!(
                "`{}`: it was trained without masking and has no blocks behind the mask: leave `--mask` out",
                pipeline.origin
            )));
        }
        Ok(Start {
            tower: Some(pipeline.tower),
            picture: Some(pipeline.model),
            shape: pipeline.config,
        })
    }

    /// The same start with the text tower of `--tower`.
    fn with_tower(&self, start: Start) -> Result<Start, Failure> {
        let Some(path) = &self.tower else {
            return Ok(start);
        };
        let tower = tower::read(&Weights::open(path)?)?;
        match tower.width == start.shape.context {
            true => Ok(Start {
                tower: Some(tower),
                ..start
            }),
            false => Err(Failure::input(format!(
                "the text tower in `{}` is {} wide, the picture model expects {}",
                path.display(),
                tower.width,
                start.shape.context
            ))),
        }
    }

    /// Tower and shape of a run that goes on; its weights come from the checkpoint. `--init` and `--tower` were followed when
    /// it began: a loop that restarts one and the same command need not change it.
    pub(super) fn again(&self, config: &RunConfig, device: &Device) -> Result<Start, Failure> {
        let tower = match config.stage {
            Stage::Words | Stage::Judge => None,
            _ => Some(tower::read(&Weights::open(self.out.join(TOWER))?)?),
        };
        let picture = config.shape.init(&mut Rng::new(0), device);
        Ok(Start {
            tower,
            picture: (config.stage == Stage::Stiv).then_some(picture),
            shape: config.shape.clone(),
        })
    }

    fn shape(&self) -> StivConfig {
        let preset = StivConfig::emoji_images();
        let width = self.width.map_or(preset.width, |width| width as usize);
        StivConfig {
            width,
            heads: (width / HEAD).max(1),
            depth: self.depth.map_or(preset.depth, |depth| depth as usize),
            // Two blocks on the full sequence behind the masked ones (paper section 3.1).
            extra_blocks: match self.mask {
                Some(mask) if mask > 0.0 => 2,
                _ => preset.extra_blocks,
            },
            ..preset
        }
    }
}
