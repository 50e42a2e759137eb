//! `orrery sd train-lora`.

use std::path::{Path, PathBuf};

use base::command::{
    Context, Failure, eprint_line, print_json, report, use_calling_thread_as_worker, whole,
};
use clap::Args;
use engine::models::stable_diffusion::StableDiffusion;
use engine::train::{Progress, Run, RunLock, is_begun};
use serde_json::json;

use crate::sd::lora::{FILE, LoraDone, LoraRecipe, run};
use crate::sd::options::ModelOptions;
use crate::training::{TrainingOptions, encoding, interrupted};

/// Options of `train-lora`.
#[derive(Args, Debug)]
#[command(
    mut_arg("learning_rate", |arg| arg.default_value("0.0001").help("Learning rate; the embedded model takes 0.002")),
    mut_arg("ema", |arg| arg.default_value("0").help("Decay of averaged weights, which are then what is kept; 0 for the last ones"))
)]
pub struct TrainLora {
    /// The folder of pictures
    #[arg(long, value_name = "FOLDER", required_unless_present = "resume")]
    data: Option<PathBuf>,
    /// What all of them show, with a rare word for what is new; without it the folder's metadata.jsonl says it
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// The run's folder: checkpoint, log and at the end lora.safetensors
    #[arg(long, value_name = "FOLDER", required_unless_present = "resume")]
    out: Option<PathBuf>,
    /// Go on with the run in this folder, as it was begun
    #[arg(long, value_name = "FOLDER", conflicts_with_all = [
        "data", "prompt", "out", "model", "vae", "tokenizer", "prediction", "lora", "size", "rank", "alpha", "steps", "batch",
        "learning_rate", "ema", "bf16", "seed",
    ])]
    resume: Option<PathBuf>,
    /// Height and width of pictures in pixels [default: the model's own]
    #[arg(long, value_parser = |text: &str| whole(text, 4096))]
    size: Option<usize>,
    /// Rank of each change
    #[arg(long, default_value_t = 4, value_parser = |text: &str| whole(text, 1024))]
    rank: usize,
    /// Changes are multiplied by alpha / rank [default: the rank]
    #[arg(long, value_parser = alpha)]
    alpha: Option<f64>,
    /// Optimisation steps
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Pictures a step
    #[arg(long, default_value_t = 4, value_parser = |text: &str| whole(text, 4096))]
    batch: usize,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    training: TrainingOptions,
}

impl TrainLora {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        use_calling_thread_as_worker();
        if let Some(folder) = &self.resume {
            let recipe = LoraRecipe::read(folder)?;
            let _lock = RunLock::take(folder)?;
            return self.follow(&recipe, &self.open(&recipe)?, folder, context);
        }
        let (Some(data), Some(out)) = (&self.data, &self.out) else {
            return Err(Failure::input("give `--data` and `--out`, or `--resume`"));
        };
        let recipe = self.recipe(data);
        // What cannot be read is told before the run's folder is made.
        crate::tuning::pictures(&recipe.data, recipe.prompt.as_deref())?;
        let model = self.open(&recipe)?;
        let _lock = RunLock::create(out)?;
        recipe.write(out)?;
        self.follow(&recipe, &model, out, context)
    }

    fn recipe(&self, data: &Path) -> LoraRecipe {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let opening = self.model.opening();
        let name = self.model.name();
        LoraRecipe {
            model: match Path::new(name).exists() {
                true => absolute(Path::new(name)).display().to_string(),
                false => name.to_owned(),
            },
            vae: opening.vae.as_deref().map(absolute),
            tokenizer: opening.tokenizer.as_deref().map(absolute),
            prediction: opening.prediction,
            loras: opening
                .loras
                .iter()
                .map(|(path, weight)| (absolute(path), *weight))
                .collect(),
            data: absolute(data),
            prompt: self.prompt.clone(),
            side: self.size,
            rank: self.rank,
            alpha: self.alpha.unwrap_or(self.rank as f64),
            steps: self.steps,
            batch: self.batch,
            learning_rate: self.training.learning_rate,
            ema: self.training.ema,
            bf16: self.training.bf16,
            seed: self.training.seed,
        }
    }

    /// The base, without gradients.
    fn open(&self, recipe: &LoraRecipe) -> Result<StableDiffusion, Failure> {
        let model = recipe.open(&self.training.device()?.without_autodiff())?;
        for note in model.notes() {
            eprint_line(&format!("warning: {note}"));
        }
        Ok(model)
    }

    fn follow(
        &self,
        recipe: &LoraRecipe,
        model: &StableDiffusion,
        folder: &Path,
        context: Context,
    ) -> Result<(), Failure> {
        let mut progress = Progress::shown("training", !self.training.json);
        let bounds = Run {
            folder,
            resume: is_begun(folder),
            stop: context.stop,
            progress: &mut progress,
        };
        let mut watch = encoding(self.training.json, context);
        let done = run(recipe, model, bounds, &mut watch)?;
        match done.interrupted {
            true => Err(interrupted(
                "sd train-lora",
                [done.step, recipe.steps],
                folder,
            )),
            false => self.report(&done, &folder.join(FILE)),
        }
    }

    fn report(&self, done: &LoraDone, file: &Path) -> Result<(), Failure> {
        let [before, after] = done.errors;
        if self.training.json {
            let rounded = |value: f64| (value * 1e5).round() / 1e5;
            return print_json(&json!({
                "out": base::files::shown(file), "step": done.step, "seconds": rounded(done.seconds),
                "error_without": rounded(before), "error_with": rounded(after),
            }));
        }
        report(
            false,
            &format!(
                "wrote {}: step {}, error on these pictures {before:.4} without and {after:.4} with it",
                file.display(),
                done.step
            ),
        )
    }
}

fn alpha(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(alpha) if alpha > 0.0 && alpha.is_finite() => Ok(alpha),
        _ => Err("give a number above 0".into()),
    }
}
