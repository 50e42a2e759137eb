//! `orrery sd train`.

use std::path::{Path, PathBuf};

use base::command::{
    Context, Failure, Steps, eprint_line, number_in, print_line, report,
    use_calling_thread_as_worker, whole,
};
use clap::Args;
use engine::train::{Progress, Run, RunLock, is_begun};
use serde_json::{Map, Value, json};

use crate::sd::train::data::Grid;
use crate::sd::train::{
    Done, Folder, Optimizer, Recipe, Stage, TimeDraw, new_text, new_unet, new_vae, run,
};
use crate::training::{TrainingOptions, interrupted};

/// Options of `train`.
#[derive(Args, Debug)]
pub struct Train {
    /// What is trained; the stages follow one another
    #[arg(long, value_enum, required_unless_present = "resume")]
    stage: Option<Stage>,
    /// The folder of the pack emoji-styles-64
    #[arg(long, value_name = "FOLDER", required_unless_present = "resume")]
    data: Option<PathBuf>,
    /// The run's folder: checkpoint, log and at the end the folder `model`
    #[arg(long, value_name = "FOLDER", required_unless_present = "resume")]
    out: Option<PathBuf>,
    /// The `model` folder of an earlier stage; where it has the part that is trained, training goes on from that
    #[arg(long, value_name = "FOLDER")]
    base: Option<PathBuf>,
    /// Go on with the run in this folder, as it was begun
    #[arg(long, value_name = "FOLDER", conflicts_with_all = [
        "stage", "data", "out", "base", "channels", "layers", "latent_channels", "kl", "vocabulary", "width", "attention", "times",
        "steps", "batch", "learning_rate", "optimizer", "ema", "bf16", "seed",
    ])]
    resume: Option<PathBuf>,
    /// vae and unet: channels at each resolution, the finest first [default: 24,48,64 and 64,128,144]
    #[arg(long, value_delimiter = ',', value_parser = |text: &str| whole(text, 4096))]
    channels: Vec<usize>,
    /// Residual blocks at each resolution; text: layers [default: 1, text 2]
    #[arg(long, value_parser = |text: &str| whole(text, 16))]
    layers: Option<usize>,
    /// vae: channels of latents [default: 4]
    #[arg(long, value_parser = |text: &str| whole(text, 64))]
    latent_channels: Option<usize>,
    /// vae: weight of the divergence of latents from a standard normal [default: 0.0001]
    #[arg(long, value_parser = |text: &str| number_in(text, 0.0, 1.0))]
    kl: Option<f32>,
    /// text: most tokens of the vocabulary [default: 3072]
    #[arg(long, value_parser = |text: &str| whole(text, 49_408))]
    vocabulary: Option<usize>,
    /// text: width, a multiple of 32 [default: 128]
    #[arg(long, value_parser = |text: &str| whole(text, 4096))]
    width: Option<usize>,
    /// unet: the finest resolution with transformers, 0 being that of the latents [default: 1]
    #[arg(long, value_name = "LEVEL")]
    attention: Option<usize>,
    /// unet: how timesteps are drawn [default: noisy]
    #[arg(long, value_enum)]
    times: Option<TimeDraw>,
    /// Optimisation steps [default: 12000, text 6000, unet 20000]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Samples a step [default: 32, text 256, unet 64]
    #[arg(long, value_parser = |text: &str| whole(text, 4096))]
    batch: Option<usize>,
    /// Optimizer
    #[arg(long, value_enum, default_value_t)]
    optimizer: Optimizer,
    #[command(flatten)]
    training: TrainingOptions,
}

impl Train {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        use_calling_thread_as_worker();
        if let Some(folder) = &self.resume {
            let recipe = Recipe::read(folder)?;
            let _lock = RunLock::take(folder)?;
            let grid = Grid::read(&recipe.data)?;
            return self.follow(&recipe, &grid, folder, context);
        }
        let (Some(stage), Some(data), Some(out)) = (self.stage, &self.data, &self.out) else {
            return Err(Failure::input(
                "give `--stage`, `--data` and `--out`, or `--resume`",
            ));
        };
        self.check_options(stage)?;
        let grid = Grid::read(data)?;
        let recipe = self.recipe(stage, data, &grid)?;
        let _lock = RunLock::create(out)?;
        recipe.write(out)?;
        self.follow(&recipe, &grid, out, context)
    }

    /// Options of another stage would do nothing.
    fn check_options(&self, stage: Stage) -> Result<(), Failure> {
        let given = [
            (
                "--channels",
                !self.channels.is_empty(),
                &[Stage::Vae, Stage::Unet][..],
            ),
            (
                "--latent-channels",
                self.latent_channels.is_some(),
                &[Stage::Vae],
            ),
            ("--kl", self.kl.is_some(), &[Stage::Vae]),
            ("--vocabulary", self.vocabulary.is_some(), &[Stage::Text]),
            ("--width", self.width.is_some(), &[Stage::Text]),
            ("--attention", self.attention.is_some(), &[Stage::Unet]),
            ("--times", self.times.is_some(), &[Stage::Unet]),
        ];
        let wrong = given
            .iter()
            .find(|(_, given, of)| *given && !of.contains(&stage));
        match wrong {
            Some((option, ..)) => Err(Failure::input(format!(
                "`{option}` is for another stage: leave it out"
            ))),
            None => Ok(()),
        }
    }

    fn recipe(&self, stage: Stage, data: &Path, grid: &Grid) -> Result<Recipe, Failure> {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let base = self.base.as_deref().map(absolute);
        let from = base.clone().map(Folder);
        let channels = |usual: &[usize]| match self.channels.is_empty() {
            true => usual.to_vec(),
            false => self.channels.clone(),
        };
        let named = || {
            Failure::input(
                "this stage begins with an autoencoder: name the `model` folder of an earlier stage with `--base`",
            )
        };
        let layers = self.layers.unwrap_or(1);
        let part = match stage {
            Stage::Vae => match &from {
                Some(base) => crate::sd::train::Part::Vae {
                    config: base.vae_config()?,
                    kl: self.kl.unwrap_or(1e-4),
                },
                None => new_vae(
                    &channels(&[24, 48, 64]),
                    layers,
                    self.latent_channels.unwrap_or(4),
                    self.kl.unwrap_or(1e-4),
                )?,
            },
            Stage::Text => {
                let base = from.as_ref().ok_or_else(named)?;
                base.vae_config()?;
                let size = self.vocabulary.unwrap_or(3072);
                let width = self.width.unwrap_or(128);
                match base.has("text_encoder") {
                    true => crate::sd::train::Part::Text {
                        config: base.words()?.0,
                    },
                    false => new_text(grid, size, width, self.layers.unwrap_or(2))?,
                }
            }
            Stage::Unet => {
                let base = from.as_ref().ok_or_else(named)?;
                let times = self.times.unwrap_or_default();
                match base.has("unet") {
                    true => crate::sd::train::Part::Unet {
                        config: Box::new(base.unet_config()?),
                        times,
                    },
                    false => new_unet(
                        base,
                        &channels(&[64, 128, 144]),
                        layers,
                        self.attention.unwrap_or(1),
                        times,
                    )?,
                }
            }
        };
        let (steps, batch) = match stage {
            Stage::Vae => (12_000, 32),
            Stage::Text => (6000, 256),
            Stage::Unet => (20_000, 64),
        };
        Ok(Recipe {
            part,
            data: absolute(data),
            base,
            steps: self.steps.unwrap_or(steps),
            batch: self.batch.unwrap_or(batch),
            learning_rate: self.training.learning_rate,
            optimizer: self.optimizer,
            ema: self.training.ema,
            bf16: self.training.bf16,
            seed: self.training.seed,
        })
    }

    fn follow(
        &self,
        recipe: &Recipe,
        grid: &Grid,
        folder: &Path,
        context: Context,
    ) -> Result<(), Failure> {
        let device = self.training.device()?;
        let mut progress = Progress::shown("training", !self.training.json);
        let bounds = Run {
            folder,
            resume: is_begun(folder),
            stop: context.stop,
            progress: &mut progress,
        };
        let mut bar = Steps::new("encoding", self.training.json);
        let mut watch = |done, of| {
            bar.at(done, of);
            if done + 32 >= of {
                bar.finish();
            }
        };
        let done = run(recipe, grid, bounds, &device, &mut watch)?;
        if done.interrupted {
            return Err(interrupted("sd train", [done.step, recipe.steps], folder));
        }
        if !self.training.json && done.skipped > 0 {
            eprint_line(&format!("{} steps were left out", done.skipped));
        }
        self.report(&done, &folder.join("model"))
    }

    fn report(&self, done: &Done, model: &Path) -> Result<(), Failure> {
        let rounded = |value: f64| (value * 1e4).round() / 1e4;
        if self.training.json {
            let mut report = Map::new();
            for (name, value) in &done.measured {
                report.insert((*name).to_owned(), json!(rounded(*value)));
            }
            let whole = json!({
                "out": base::files::shown(model), "step": done.step, "loss": rounded(done.loss), "seconds": rounded(done.seconds),
            });
            if let Value::Object(whole) = whole {
                report.extend(whole);
            }
            return print_line(&Value::Object(report).to_string());
        }
        let measured: String = done
            .measured
            .iter()
            .map(|(name, value)| format!(", {} {value:.4}", name.replace('_', " ")))
            .collect();
        report(
            false,
            &format!(
                "wrote {}: step {}, loss {:.4}{measured}",
                model.display(),
                done.step,
                done.loss
            ),
        )
    }
}

impl From<crate::sd::train::data::DataError> for Failure {
    fn from(error: crate::sd::train::data::DataError) -> Self {
        Self::input(error)
    }
}
