//! `orrery emov2 train`.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Steps, report};
use base::files::{make_folder, write_bytes};
use base::rng::Rng;
use base::tensor_file::{Precision, Weights};
use burn::tensor::Device;
use clap::Args;
use engine::train::{CHECKPOINT, Progress, Run, RunLock, TrainError};
use engine::weights;
use serde_json::json;

use super::options::{Work, names, size};
use crate::emov2::augment::AugmentConfig;
use crate::emov2::data::{DataSet, Split};
use crate::emov2::train::{ClassifierTask, Distillation, Score, Teacher, TrainPlan, evaluate, fit};
use crate::emov2::{Classifier, Emo, EmoConfig, PRESETS, checkpoint, transform};

/// The run's settings, in its folder.
const PLAN: &str = "run.json";
/// What a run makes.
const MODEL: &str = "model.safetensors";
/// Largest settings file, in bytes.
const MAX_PLAN: u64 = 4 << 20;

/// Options of `train`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery emov2 train --data pictures --out runs/mine
  orrery emov2 train --data pictures --network emo2-1m --init EMOv2_1M_224.pth --epochs 10 --out runs/tuned
  orrery emov2 train --data pictures --distill runs/big/model.safetensors --out runs/small
  orrery emov2 train --out runs/mine --resume

The data set is a folder with one folder of pictures a class, in `train` and `val` where it is split; else every tenth picture of a
class is kept for measuring. The run's folder holds settings, checkpoint, log and in the end `model.safetensors`: the average of the
weights.")]
pub struct Train {
    /// The run's folder
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Go on with the run in the folder, by its own settings
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    recipe: Recipe,
    #[command(flatten)]
    work: Work,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

/// What a run depends on.
#[derive(Args, Debug, Default, PartialEq)]
struct Recipe {
    /// A folder with one folder of pictures a class, or IDX files of the MNIST family
    #[arg(long, value_name = "FOLDER", required_unless_present = "resume")]
    data: Option<PathBuf>,
    /// Names of the classes of IDX files, one a line
    #[arg(long, value_name = "FILE")]
    class_names: Option<PathBuf>,
    /// nano (half a million parameters, for small pictures), emo2-1m, -2m, -5m, -20m, -50m, emo1-1m, … [default: nano]
    #[arg(long, value_parser = network)]
    network: Option<String>,
    /// Side of the pictures [default: 64 for nano, else 224]
    #[arg(long, value_name = "PIXELS", value_parser = size)]
    size: Option<usize>,
    /// Share of a picture that evaluation keeps [default: 0.875]
    #[arg(long, value_name = "SHARE", value_parser = keep)]
    crop: Option<f64>,
    /// Passes over the data [default: 30]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    epochs: Option<u64>,
    /// Pictures a step [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=4096))]
    batch: Option<u16>,
    /// Peak learning rate [default: 0.002 for a new network, 0.0002 with --init]
    #[arg(long, value_parser = rate)]
    learning_rate: Option<f64>,
    /// Passes over which the rate rises [default: a twentieth of all]
    #[arg(long, value_name = "N", value_parser = within::<0, 1000>)]
    warmup_epochs: Option<f64>,
    /// Weight decay [default: 0.05]
    #[arg(long, value_parser = within::<0, 1>)]
    weight_decay: Option<f64>,
    /// Decay of the average of the weights [default: 0.999]
    #[arg(long, value_parser = within::<0, 1>)]
    ema: Option<f64>,
    /// Part of the target that is spread over all classes [default: 0.1]
    #[arg(long, value_parser = within::<0, 1>)]
    smoothing: Option<f64>,
    /// Smallest share of the area that a random crop keeps [default: 0.35]
    #[arg(long, value_name = "SHARE", value_parser = keep)]
    least_crop: Option<f64>,
    /// Do not mirror pictures
    #[arg(long)]
    no_flip: bool,
    /// Largest change of brightness, contrast and saturation [default: 0.4]
    #[arg(long, value_parser = within::<0, 1>)]
    jitter: Option<f64>,
    /// Magnitude of RandAugment, up to 10; the paper takes 9 [default: 0, none]
    #[arg(long, value_name = "M", value_parser = within::<0, 10>)]
    randaugment: Option<f64>,
    /// Chance that a picture becomes its negative [default: 0]
    #[arg(long, value_name = "CHANCE", value_parser = within::<0, 1>)]
    invert: Option<f64>,
    /// Chance that a rectangle is filled with noise [default: 0]
    #[arg(long, value_name = "CHANCE", value_parser = within::<0, 1>)]
    erasing: Option<f64>,
    /// Alpha of Mixup [default: 0, none]
    #[arg(long, value_name = "ALPHA", value_parser = within::<0, 10>)]
    mixup: Option<f64>,
    /// Alpha of CutMix [default: 0, none]
    #[arg(long, value_name = "ALPHA", value_parser = within::<0, 10>)]
    cutmix: Option<f64>,
    /// Chance that the last block is left out [default: the network's]
    #[arg(long, value_name = "CHANCE", value_parser = within::<0, 1>)]
    drop_path: Option<f64>,
    /// Start of the layer scale; the published 1e-6 needs hundreds of epochs [default: 0.1]
    #[arg(long, value_parser = within::<0, 10>)]
    layer_scale_init: Option<f64>,
    /// A classifier of the same classes to imitate
    #[arg(long, value_name = "FILE")]
    distill: Option<PathBuf>,
    /// Weight of the distillation loss [default: 5]
    #[arg(long, value_parser = within::<0, 1000>, requires = "distill")]
    distill_weight: Option<f64>,
    /// Temperature of the distillation [default: 1]
    #[arg(long, value_parser = temperature, requires = "distill")]
    distill_tau: Option<f64>,
    /// Only the teacher's favourite counts
    #[arg(long, requires = "distill")]
    distill_hard: bool,
    /// Weights to begin with; a head of other classes is left out
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// Mixed precision: multiply bf16 values where the CPU has them
    #[arg(long)]
    bf16: bool,
    /// Seed of weights and batches [default: 0]
    #[arg(long)]
    seed: Option<u64>,
}

fn network(name: &str) -> Result<String, String> {
    match name == "nano" || PRESETS.contains(&name) {
        true => Ok(name.to_owned()),
        false => Err(format!("give nano or one of {}", PRESETS.join(", "))),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1.0 => Ok(rate),
        _ => Err("give a number above 0, at most 1".into()),
    }
}

fn keep(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.05..=1.0).contains(&share) => Ok(share),
        _ => Err("give a number from 0.05 to 1".into()),
    }
}

fn temperature(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(tau) if (0.01..=100.0).contains(&tau) => Ok(tau),
        _ => Err("give a number from 0.01 to 100".into()),
    }
}

fn within<const LOW: i64, const HIGH: i64>(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (LOW as f64..=HIGH as f64).contains(&number) => Ok(number),
        _ => Err(format!("give a number from {LOW} to {HIGH}")),
    }
}

impl Train {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let device = self.work.begin()?;
        let begun = self.out.join(CHECKPOINT).exists();
        if begun && !self.resume {
            let path = self.out.join(CHECKPOINT);
            return Err(TrainError::Occupied { path }.into());
        }
        if self.out.exists() && !self.out.is_dir() {
            let path = self.out.clone();
            return Err(TrainError::NotAFolder { path }.into());
        }
        let (plan, data) = match self.resume {
            true => self.again()?,
            false => self.recipe.plan()?,
        };
        let teacher = teacher(&plan, &device)?;
        let model = start(&plan, &device.clone().autodiff())?;
        make_folder(&self.out)?;
        let lock = RunLock::take(&self.out)?;
        if !self.resume {
            let text = base::files::settings(&plan)?;
            write_bytes(self.out.join(PLAN), text.as_bytes())?;
        }
        let mut progress = Progress::shown("training", !self.json);
        let classes = data.classes.clone();
        let task = ClassifierTask::new(plan.clone(), data, teacher, &device.clone().autodiff());
        let trained = fit(
            &task,
            model,
            Run {
                folder: &self.out,
                resume: self.resume,
                stop: context.stop,
                progress: &mut progress,
            },
        )?;
        if trained.interrupted {
            return Err(Failure::interrupted(format!(
                "stopped at step {}: go on with `orrery emov2 train --out {} --resume`",
                trained.step,
                self.out.display()
            )));
        }
        let path = self.out.join(MODEL);
        let mut notes = checkpoint::notes(&plan.config, &classes, plan.size, plan.crop);
        notes.push((
            "emov2.run",
            serde_json::to_string(&recorded(&plan)).unwrap_or_default(),
        ));
        checkpoint::save(&trained.ema, &notes, Precision::F32, &path)?;
        drop(lock);
        let score = self.measure(&plan, &classes, &trained.ema, &device, context)?;
        self.report(&path, trained.step, trained.loss, score)
    }

    /// The settings of the run in the folder.
    fn again(&self) -> Result<(TrainPlan, DataSet), Failure> {
        if self.recipe != Recipe::default() {
            return Err(Failure::input(
                "a run goes on by its own settings: with `--resume` give `--out`, `--threads`, `--device` and `--json` alone",
            ));
        }
        let path = self.out.join(PLAN);
        let wrong = |cause: String| {
            Failure::input(format!(
                "`{}` holds no run to go on with ({cause}): start one without `--resume`",
                self.out.display()
            ))
        };
        let length = std::fs::metadata(&path)
            .map_err(|cause| wrong(cause.to_string()))?
            .len();
        if length > MAX_PLAN {
            return Err(wrong(format!("`{PLAN}` is too long")));
        }
        let bytes = std::fs::read(&path).map_err(|cause| wrong(cause.to_string()))?;
        let plan: TrainPlan =
            serde_json::from_slice(&bytes).map_err(|cause| wrong(cause.to_string()))?;
        if let Some(problem) = plan.config.problem() {
            return Err(wrong(format!("its network {problem}")));
        }
        let data = DataSet::open(&plan.data, Split::Train, plan.class_names.as_deref())?;
        Ok((plan, data))
    }

    fn measure(
        &self,
        plan: &TrainPlan,
        classes: &[String],
        model: &Emo,
        device: &Device,
        context: Context,
    ) -> Result<Score, Failure> {
        let data = DataSet::open(&plan.data, Split::Test, Some(classes))?;
        let mut bar = Steps::new("measuring", self.json);
        let total = data.len();
        let sees = (plan.size, plan.crop);
        let score = evaluate(
            |x| model.forward(x, None),
            &data,
            sees,
            plan.batch,
            device,
            |done| {
                bar.at(done, total);
                !context.stopped()
            },
        )?;
        bar.finish();
        Ok(score)
    }

    fn report(&self, path: &Path, step: u64, loss: f64, score: Score) -> Result<(), Failure> {
        let share = |hits: usize| hits as f64 / score.pictures.max(1) as f64;
        let loss = Some(loss).filter(|loss| loss.is_finite());
        report(self.json, &match self.json {
            true => json!({
                "out": base::files::shown(path), "step": step, "loss": loss, "pictures": score.pictures,
                "top1": share(score.top1), "top5": share(score.top5),
            })
            .to_string(),
            false => format!(
                "wrote {}: step {step}, top-1 {:.2} % and top-5 {:.2} % of {} pictures that it has not seen",
                path.display(),
                100.0 * share(score.top1),
                100.0 * share(score.top5),
                score.pictures
            ),
        })
    }
}

/// The settings without paths.
fn recorded(plan: &TrainPlan) -> serde_json::Value {
    let mut json = json!(plan);
    if let Some(fields) = json.as_object_mut() {
        for key in ["data", "init", "config", "class_names", "distill"] {
            fields.remove(key);
        }
    }
    json
}

impl Recipe {
    fn plan(&self) -> Result<(TrainPlan, DataSet), Failure> {
        let folder = self.data.clone().unwrap_or_default();
        let class_names = self.class_names.as_deref().map(names).transpose()?;
        let data = DataSet::open(&folder, Split::Train, class_names.as_deref())?;
        let classes = data.classes.len();
        let network = self.network.as_deref().unwrap_or("nano");
        let nano = network == "nano";
        let mut config = match EmoConfig::preset(network) {
            Some(config) => config.with_classes(classes),
            None => EmoConfig::nano(classes),
        };
        config.ls_value = self.layer_scale_init.map_or(0.1, |start| start as f32);
        config.drop_path = self.drop_path.unwrap_or(config.drop_path).min(0.9);
        let epochs = self.epochs.unwrap_or(30);
        let defaults = AugmentConfig::default();
        let or = |given: Option<f64>, default: f32| given.map_or(default, |value| value as f32);
        let plan = TrainPlan {
            data: folder,
            class_names,
            config,
            size: self.size.unwrap_or(if nano { 64 } else { 224 }),
            crop: self.crop.unwrap_or(transform::CROP),
            epochs,
            batch: usize::from(self.batch.unwrap_or(64)).min(data.len().max(2)),
            learning_rate: self.learning_rate.unwrap_or(if self.init.is_some() {
                2e-4
            } else {
                2e-3
            }),
            warmup_epochs: self.warmup_epochs.unwrap_or(epochs as f64 / 20.0),
            weight_decay: self.weight_decay.unwrap_or(0.05),
            clip: 5.0,
            ema: self.ema.unwrap_or(0.999),
            smoothing: or(self.smoothing, 0.1),
            augment: AugmentConfig {
                crop: or(self.least_crop, defaults.crop),
                flip: !self.no_flip,
                jitter: or(self.jitter, defaults.jitter),
                randaugment: or(self.randaugment, defaults.randaugment),
                invert: or(self.invert, defaults.invert),
                erasing: or(self.erasing, defaults.erasing),
                mixup: or(self.mixup, defaults.mixup),
                cutmix: or(self.cutmix, defaults.cutmix),
            },
            distill: self.distill.clone().map(|teacher| Distillation {
                teacher,
                weight: self.distill_weight.unwrap_or(5.0),
                tau: self.distill_tau.unwrap_or(1.0),
                hard: self.distill_hard,
            }),
            init: self.init.clone(),
            bf16: self.bf16,
            seed: self.seed.unwrap_or(0),
        };
        Ok((plan, data))
    }
}

/// The teacher that a plan names.
fn teacher(plan: &TrainPlan, device: &Device) -> Result<Option<Teacher>, Failure> {
    let Some(distill) = &plan.distill else {
        return Ok(None);
    };
    let teacher = Classifier::open(&distill.teacher, true, device)?;
    let (has, wants) = (teacher.class_count, plan.config.num_classes);
    match has == wants {
        true => Ok(Some(Teacher {
            network: teacher.network,
            plan: distill.clone(),
        })),
        false => Err(Failure::input(format!(
            "the teacher `{}` has {has} classes, the data set {wants}: give a teacher of the same classes",
            distill.teacher.display()
        ))),
    }
}

/// The network as it begins.
fn start(plan: &TrainPlan, device: &Device) -> Result<Emo, Failure> {
    let mut rng = Rng::new(plan.seed).child("weights");
    let model = plan.config.init(&mut rng, device);
    let Some(path) = &plan.init else {
        return Ok(model);
    };
    let weights = Weights::open(path)?;
    let inner = checkpoint::unwrapped(&weights, checkpoint::PROBE, true);
    let rows = inner
        .shape("head.weight")
        .and_then(|shape| shape.first())
        .copied();
    let keys = match rows == Some(plan.config.num_classes) {
        true => checkpoint::key_map(),
        false => checkpoint::key_map().skip("head"),
    };
    Ok(weights::load(model, &inner, &keys)?)
}
