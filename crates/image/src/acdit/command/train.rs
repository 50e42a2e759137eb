//! `orrery acdit train`.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, eprint_line, report, use_calling_thread_as_worker, whole};
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::Device;
use clap::Args;
use engine::train::{Progress, Run, RunLock, Trained, is_begun, train};
use engine::weights::Precision;
use serde_json::json;

use super::model::read_model;
use crate::acdit::classify::{Classifier, ClassifyTask};
use crate::acdit::data::{DataError, Pictures};
use crate::acdit::idx::{self, Half};
use crate::acdit::pipeline::{About, AcditPipeline, new_head};
use crate::acdit::recipe::{Goal, Optimizer, Recipe};
use crate::acdit::space::{Space, Values};
use crate::acdit::train::{AcditTask, Context as Seen, Samples};
use crate::acdit::{AcditConfig, RopeMode, Size};
use crate::training::{TrainingOptions, interrupted};

/// The trained model in a run's folder.
const MODEL: &str = "model.safetensors";

/// Options of `train`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery acdit train --data /usr/share/datasets/fashion-mnist --out runs/fashion
  orrery acdit train --data photos --side 64 --block 8x8 --width 256 --mirror --out runs/photos
  orrery acdit train --data clips --side 48 --frames 16 --block-frames 4 --out runs/clips
  orrery acdit train --resume runs/fashion
  orrery acdit train --goal head --init runs/fashion/model.safetensors --data /usr/share/datasets/fashion-mnist --out runs/head")]
pub struct Train {
    /// The data: a folder with a subfolder of pictures (with --frames: of clips) for each class, or with the IDX files of an
    /// MNIST-like set
    #[arg(long, value_name = "FOLDER", required_unless_present = "resume")]
    data: Option<PathBuf>,
    /// The run's folder: checkpoint, log and at the end `model.safetensors`
    #[arg(long, value_name = "FOLDER", required_unless_present = "resume")]
    out: Option<PathBuf>,
    /// Go on with the run in this folder, as it was begun
    #[arg(long, value_name = "FOLDER", conflicts_with_all = [
        "data", "out", "init", "goal", "size", "width", "depth", "heads", "side", "patch", "block", "frames", "block_frames",
        "channels", "rope", "mirror", "steps", "batch", "learning_rate", "optimizer", "ema", "bf16", "seed",
    ])]
    resume: Option<PathBuf>,
    /// What is taught
    #[arg(long, value_enum, default_value_t)]
    goal: Goal,
    /// A model to begin with; its sizes hold, and the options of size are not looked at
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// A published size in place of --width, --depth and --heads
    #[arg(long, value_enum)]
    size: Option<Size>,
    /// Width of a token
    #[arg(long, default_value_t = 128, value_parser = |text: &str| whole(text, 1 << 14))]
    width: usize,
    /// Blocks of the network
    #[arg(long, default_value_t = 6, value_parser = |text: &str| whole(text, 256))]
    depth: usize,
    /// Attention heads; they divide the width [default: one for 32 values]
    #[arg(long, value_parser = |text: &str| whole(text, 256))]
    heads: Option<usize>,
    /// Pixels along a side of a picture; pictures are cut square and resized, those of IDX files padded
    #[arg(long, default_value_t = 32, value_parser = |text: &str| whole(text, 4096))]
    side: usize,
    /// Pixels along a side of a token
    #[arg(long, default_value_t = 4, value_parser = |text: &str| whole(text, 256))]
    patch: usize,
    /// Tokens of a block of a picture, such as 4x4; the whole picture's make plain diffusion
    #[arg(long, default_value = "4x4", value_parser = tile)]
    block: usize,
    /// Frames of a clip; 1 for pictures
    #[arg(long, default_value_t = 1, value_parser = |text: &str| whole(text, 1024))]
    frames: usize,
    /// Clips: frames of a block
    #[arg(long, default_value_t = 2, value_parser = |text: &str| whole(text, 1024))]
    block_frames: usize,
    /// Channels of a pixel: 1 for grey, 3 for colours [default: 1 for IDX files, else 3]
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(["1", "3"]))]
    channels: Option<String>,
    /// Form of the positions: released as in the authors' code, paper as in its equations
    #[arg(long, value_enum, default_value_t)]
    rope: RopeMode,
    /// Mirror half of the samples
    #[arg(long)]
    mirror: bool,
    /// Optimisation steps
    #[arg(long, default_value_t = 8000, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Samples a step
    #[arg(long, default_value_t = 64, value_parser = |text: &str| whole(text, 4096))]
    batch: usize,
    /// Optimizer
    #[arg(long, value_enum, default_value_t = Optimizer::Adamw)]
    optimizer: Optimizer,
    #[command(flatten)]
    training: TrainingOptions,
}

/// `4x4` → 16 tokens.
fn tile(text: &str) -> Result<usize, String> {
    let sides: Vec<usize> = text
        .split(['x', '×'])
        .filter_map(|side| side.trim().parse().ok())
        .collect();
    match sides[..] {
        [a, b] if a == b && (1..=1024).contains(&a) => Ok(a * b),
        _ => Err("give a square such as 4x4, up to 1024x1024".into()),
    }
}

impl Train {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        use_calling_thread_as_worker();
        let device = self.training.device()?;
        if let Some(folder) = &self.resume {
            let recipe = Recipe::read(folder)?;
            let _lock = RunLock::take(folder)?;
            let data = Data::read(&recipe)?;
            return self.follow(recipe, data, folder, context, &device);
        }
        let (Some(data), Some(out)) = (&self.data, &self.out) else {
            return Err(Failure::input("give `--data` and `--out`, or `--resume`"));
        };
        let mut recipe = self.recipe(data, &device)?;
        let data = Data::read(&recipe)?;
        data.settle(&mut recipe)?;
        let _lock = RunLock::create(out)?;
        recipe.write(out)?;
        self.follow(recipe, data, out, context, &device)
    }

    /// What the options say; classes come with the data.
    fn recipe(&self, data: &Path, device: &Device) -> Result<Recipe, Failure> {
        let (config, about) = match &self.init {
            Some(path) => {
                let pipeline = read_model(path, &device.clone().without_autodiff())?;
                (pipeline.config, pipeline.about)
            }
            None if self.goal != Goal::Draw => {
                return Err(Failure::input(
                    "a classifier begins with a model that draws: give one with `--init`",
                ));
            }
            None => self.sizes(data)?,
        };
        if about.space.values == Values::Latents {
            return Err(Failure::input(
                "training on latents is not there yet: train on pixels, or use the model as it is",
            ));
        }
        Ok(Recipe {
            goal: self.goal,
            data: std::path::absolute(data).unwrap_or_else(|_| data.to_owned()),
            init: (self.init.as_ref())
                .map(|init| std::path::absolute(init).unwrap_or_else(|_| init.clone())),
            vae: None,
            config,
            about,
            mirror: self.mirror,
            steps: self.steps,
            batch: self.batch,
            learning_rate: self.training.learning_rate,
            optimizer: self.optimizer,
            ema: self.training.ema,
            bf16: self.training.bf16,
            seed: self.training.seed,
        })
    }

    fn sizes(&self, data: &Path) -> Result<(AcditConfig, About), Failure> {
        if self.frames > 1 && idx::is_set(data) {
            return Err(Failure::input(format!(
                "`{}` holds pictures, not clips: leave `--frames` out, or give a folder of clips",
                data.display()
            )));
        }
        let channels = match &self.channels {
            Some(text) => text.parse().unwrap_or(3),
            None if idx::is_set(data) => 1,
            None => 3,
        };
        let space = Space {
            values: Values::Pixels,
            channels,
            patch: self.patch,
        };
        if !self.side.is_multiple_of(self.patch) {
            return Err(Failure::input(format!(
                "tokens of {} pixels do not divide a side of {}: change `--patch` or `--side`",
                self.patch, self.side
            )));
        }
        let spatial_len = (self.side / self.patch).pow(2);
        let (block_size, whole, what) = match self.frames {
            1 => (self.block, spatial_len, "tokens of a picture"),
            frames => (
                self.block_frames * spatial_len,
                frames * spatial_len,
                "frames",
            ),
        };
        if !whole.is_multiple_of(block_size) {
            let unit = if self.frames > 1 { spatial_len } else { 1 };
            return Err(Failure::input(format!(
                "blocks of {} do not divide the {} {what}: change `--block`, or for clips `--block-frames`",
                block_size / unit,
                whole / unit
            )));
        }
        let base = self.size.map(AcditConfig::image);
        let width = base.as_ref().map_or(self.width, |base| base.hidden_size);
        let heads = self.heads.unwrap_or((width / 32).max(1));
        let config = AcditConfig {
            latent_size: channels * self.patch * self.patch,
            block_size,
            ar_len: whole / block_size,
            temporal_len: self.frames,
            spatial_len,
            square_block: self.frames == 1,
            nd_split: None,
            hidden_size: width,
            depth: base.as_ref().map_or(self.depth, |base| base.depth),
            num_heads: base.as_ref().map_or(heads, |base| base.num_heads),
            mlp_ratio: 4.0,
            num_classes: 1,
            rope: self.rope,
        };
        match config.problem() {
            Some(problem) => Err(Failure::input(problem)),
            None => Ok((
                config,
                About {
                    space,
                    classes: Vec::new(),
                },
            )),
        }
    }

    fn follow(
        &self,
        recipe: Recipe,
        data: Data,
        folder: &Path,
        context: Context,
        device: &Device,
    ) -> Result<(), Failure> {
        let mut progress = Progress::shown("training", !self.training.json);
        let run = Run {
            folder,
            resume: is_begun(folder),
            stop: context.stop,
            progress: &mut progress,
        };
        let start = match &recipe.init {
            Some(path) => Some(read_model(path, device)?),
            None => None,
        };
        let (pipeline, end) = carry_out(&recipe, start, &data, run, device)?;
        if end.interrupted {
            return Err(interrupted("acdit train", [end.step, recipe.steps], folder));
        }
        let path = folder.join(MODEL);
        let mut notes = recipe.notes();
        let accuracy = match pipeline.head {
            Some(_) => accuracy(&pipeline, &recipe)?,
            None => None,
        };
        if let Some(accuracy) = accuracy {
            notes.push(("acdit.test_accuracy", format!("{accuracy:.4}")));
        }
        pipeline.save(&notes, Precision::F16, &path)?;
        if !self.training.json && end.skipped > 0 {
            eprint_line(&format!("{} steps were left out", end.skipped));
        }
        report(self.training.json, &match self.training.json {
            true => {
                json!({"out": base::files::shown(&path), "step": end.step, "loss": end.loss, "seconds": end.seconds, "test_accuracy": accuracy})
                    .to_string()
            }
            false => format!(
                "wrote {}: step {}, loss {:.4}{}",
                path.display(),
                end.step,
                end.loss,
                accuracy.map_or_else(String::new, |share| format!(
                    ", right on {:.1} % of the test pictures",
                    100.0 * share
                ))
            ),
        })
    }
}

/// How a run ended.
struct End {
    step: u64,
    loss: f64,
    skipped: u64,
    seconds: f64,
    interrupted: bool,
}

impl<M> From<&Trained<M>> for End {
    fn from(trained: &Trained<M>) -> Self {
        Self {
            step: trained.step,
            loss: trained.loss,
            skipped: trained.skipped,
            seconds: trained.elapsed,
            interrupted: trained.interrupted,
        }
    }
}

fn carry_out(
    recipe: &Recipe,
    start: Option<AcditPipeline>,
    data: &Data,
    run: Run,
    device: &Device,
) -> Result<(AcditPipeline, End), Failure> {
    let config = &recipe.config;
    let rates = recipe.train_config();
    let pipeline = |model, head| AcditPipeline {
        model,
        head,
        config: config.clone(),
        about: recipe.about.clone(),
        device: device.clone().without_autodiff(),
    };
    if recipe.goal != Goal::Draw {
        let start = start.ok_or_else(|| Failure::failed("the run has lost its first model"))?;
        let classifier = Classifier {
            model: match recipe.goal {
                Goal::Head => start.model.no_grad(),
                _ => start.model,
            },
            head: new_head(config, device),
        };
        let task = ClassifyTask::new(config, &data.pictures, recipe.batch, device)
            .map_err(Failure::input)?;
        let trained = train(&task, classifier, &rates, run)?;
        let end = End::from(&trained);
        return Ok((pipeline(trained.ema.model, Some(trained.ema.head)), end));
    }
    let model = match start {
        Some(pipeline) => pipeline.model,
        None => config.init(&mut Rng::new(recipe.seed).child("init"), device),
    };
    let task = AcditTask::new(config, &data.pictures, recipe.batch, Seen::Clean, device)
        .map_err(Failure::input)?;
    let trained = train(&task, model, &rates, run)?;
    let end = End::from(&trained);
    // A head of the first model would read features that have changed.
    Ok((pipeline(trained.ema, None), end))
}

/// The share of a set's test half that the head names right; none where the data have no such half.
fn accuracy(pipeline: &AcditPipeline, recipe: &Recipe) -> Result<Option<f64>, Failure> {
    if !idx::is_set(&recipe.data) {
        return Ok(None);
    }
    let test = Pictures::read(
        &recipe.data,
        Half::Test,
        &pipeline.about.space,
        &pipeline.config,
    )?;
    let mut right = 0;
    for from in (0..test.len()).step_by(100) {
        let batch: Vec<usize> = (from..test.len().min(from + 100)).collect();
        let mut tokens = Vec::new();
        batch
            .iter()
            .for_each(|&index| test.values(index, false, &mut tokens));
        let found = pipeline.guesses(tokens, batch.len())?;
        right += (found.iter().zip(batch))
            .filter(|(found, index)| **found == test.label(*index))
            .count();
    }
    Ok(Some(right as f64 / test.len().max(1) as f64))
}

/// What a run reads.
struct Data {
    pictures: Pictures,
}

impl Data {
    fn read(recipe: &Recipe) -> Result<Self, Failure> {
        let space = &recipe.about.space;
        let mut pictures = Pictures::read(&recipe.data, Half::Train, space, &recipe.config)?;
        pictures.mirror = recipe.mirror;
        Ok(Self { pictures })
    }

    /// Takes the classes of the data into a recipe that has none; others must fit.
    fn settle(&self, recipe: &mut Recipe) -> Result<(), Failure> {
        let classes = &self.pictures.classes;
        if recipe.init.is_none() {
            recipe.config.num_classes = classes.len();
            recipe.about.classes = classes.clone();
            return Ok(());
        }
        let known = recipe.config.num_classes;
        match classes.len() > known {
            true => Err(Failure::input(format!(
                "`{}` has {} classes, the model of `--init` has {known}: use data with as many",
                recipe.data.display(),
                classes.len()
            ))),
            false => Ok(()),
        }
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        match error {
            DataError::Media(error) => error.into(),
            _ => Self::input(error),
        }
    }
}
