//! What a run begins with.

use base::command::Failure;
use base::rng::Rng;
use burn::tensor::Device;
use engine::weights::Weights;

use super::{HEAD, Train};
use crate::stiv::checkpoint::CONFIG_KEY;
use crate::stiv::command::carry::Start;
use crate::stiv::command::plan::{Plan, Stage, TOWER};
use crate::stiv::config::StivConfig;
use crate::stiv::studio::Studio;
use crate::stiv::{embedded, tower};

impl Train {
    /// Tower and weights that a new run begins with.
    pub(super) fn start(&self, device: &Device) -> Result<Start, Failure> {
        let wrong = |option: &str| {
            Failure::input(format!(
                "`{option}` has no meaning for this stage: leave it out"
            ))
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
                    self.with_tower(self.from(Studio::open(&file, device)?)?)
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
                Some(file) => Studio::open(file, device)?,
                None => embedded::pictures(device)?,
            }),
        }
    }

    /// A run that starts from a picture model.
    fn from(&self, studio: Studio) -> Result<Start, Failure> {
        let masked = self.mask.is_some_and(|mask| mask > 0.0);
        let problem = studio.problem(false).or_else(|| {
            (masked && studio.config.extra_blocks == 0).then(|| {
                "it was trained without masking and has no blocks behind the mask: leave `--mask` out".into()
            })
        });
        match problem {
            Some(problem) => Err(Failure::input(format!("`{}`: {problem}", studio.origin))),
            None => Ok(Start {
                tower: Some(studio.tower),
                picture: Some(studio.model),
                shape: studio.config,
            }),
        }
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
    pub(super) fn again(&self, plan: &Plan, device: &Device) -> Result<Start, Failure> {
        let tower = match plan.stage {
            Stage::Words | Stage::Judge => None,
            _ => Some(tower::read(&Weights::open(self.out.join(TOWER))?)?),
        };
        let picture = plan.shape.init(&mut Rng::new(0), device);
        Ok(Start {
            tower,
            picture: (plan.stage == Stage::Stiv).then_some(picture),
            shape: plan.shape.clone(),
        })
    }

    fn shape(&self) -> StivConfig {
        let preset = StivConfig::emoji_pictures();
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
