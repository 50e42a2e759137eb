//! `orrery lora-rar train`.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, print_json, report, use_calling_thread_as_worker, whole};
use clap::Args;
use engine::models::stable_diffusion::{OpenOptions, StableDiffusion};
use engine::train::{Progress, Run, RunLock, is_begun};
use serde_json::json;

use crate::base_model::{BaseModel, EMBEDDED};
use crate::lora_rar::distill::SIMILARITY;
use crate::lora_rar::recipe::{FILE, HypernetDone, HypernetRecipe, run};
use crate::training::{TrainingOptions, encoding, interrupted};

/// Options of `train`.
#[derive(Args, Debug)]
#[command(
    mut_arg("learning_rate", |arg| arg.default_value("0.01").help("Learning rate")),
    mut_arg("ema", |arg| arg.default_value("0").help("Decay of averaged weights, which are then what is kept; 0 for the last ones")),
    after_help = "Examples:
  orrery lora-rar train --model sdxl-base --captions captions.json --loras loras --data data --out runs/hypernet
  orrery lora-rar train --resume runs/hypernet
  orrery lora-rar merge --content dog.safetensors --style ink.safetensors --hypernet runs/hypernet/hypernet.safetensors --out dog-ink.safetensors

The caption file names what is trained on:
  {\"subjects\": {\"dog\": {\"instance_prompt\": \"a sks dog\"}},
   \"styles\": {\"ink\": {\"instance_prompt\": \"a house in ink style\"}}}
LoRAs are loras/NAME.safetensors, or runs of `orrery sd train-lora` in loras/NAME; pictures are in
data/subjects/NAME and data/styles/NAME. A prompt that is left out is the one in the LoRA. Each
step draws a subject and a style anew."
)]
pub struct Train {
    /// The caption file: subjects and styles with their prompts
    #[arg(long, value_name = "FILE", required_unless_present = "resume")]
    captions: Option<PathBuf>,
    /// The folder of LoRAs
    #[arg(long, value_name = "FOLDER", required_unless_present = "resume")]
    loras: Option<PathBuf>,
    /// The folder with pictures in subjects/NAME and styles/NAME
    #[arg(long, value_name = "FOLDER", required_unless_present = "resume")]
    data: Option<PathBuf>,
    /// The run's folder: checkpoint, log and at the end hypernet.safetensors
    #[arg(long, value_name = "FOLDER", required_unless_present = "resume")]
    out: Option<PathBuf>,
    /// Go on with the run in this folder, as it was begun
    #[arg(long, value_name = "FOLDER", conflicts_with_all = [
        "captions", "loras", "data", "out", "model", "tokenizer", "size", "steps", "batch", "similarity", "learning_rate", "ema", "bf16", "seed",
    ])]
    resume: Option<PathBuf>,
    /// The base model: a diffusers folder, one file, OWNER/NAME in the cache of the hub, or `embedded`
    #[arg(long, value_name = "DIR|FILE", default_value = EMBEDDED)]
    model: String,
    /// Folder of CLIP's vocab.json and merges.txt, which a single file needs
    #[arg(long, value_name = "FOLDER")]
    tokenizer: Option<PathBuf>,
    /// Height and width of pictures in pixels [default: the model's own]
    #[arg(long, value_parser = |text: &str| whole(text, 4096))]
    size: Option<usize>,
    /// Optimisation steps
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Pictures of the subject, and as many of the style, a step
    #[arg(long, default_value_t = 1, value_parser = |text: &str| whole(text, 4096))]
    batch: usize,
    /// Weight of the similarity term, a sum over layers: 0.01 for SDXL; smaller where it would outweigh the other terms
    #[arg(long, default_value_t = SIMILARITY, value_parser = super::similarity)]
    similarity: f64,
    #[command(flatten)]
    training: TrainingOptions,
}

impl Train {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        use_calling_thread_as_worker();
        if let Some(folder) = &self.resume {
            let recipe = HypernetRecipe::read(folder)?;
            let _lock = RunLock::take(folder)?;
            return self.follow(&recipe, &self.open(&recipe)?, folder, context);
        }
        let (Some(captions), Some(loras), Some(data), Some(out)) =
            (&self.captions, &self.loras, &self.data, &self.out)
        else {
            return Err(Failure::input(
                "give `--captions`, `--loras`, `--data` and `--out`, or `--resume`",
            ));
        };
        let recipe = self.recipe([captions, loras, data]);
        // What cannot be read is told before the run's folder is made.
        recipe.members()?;
        let model = self.open(&recipe)?;
        let _lock = RunLock::create(out)?;
        recipe.write(out)?;
        self.follow(&recipe, &model, out, context)
    }

    fn recipe(&self, places: [&PathBuf; 3]) -> HypernetRecipe {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let [captions, loras, data] = places.map(|place| absolute(place));
        let model = Path::new(&self.model);
        HypernetRecipe {
            model: match model.exists() {
                true => absolute(model).display().to_string(),
                false => self.model.clone(),
            },
            tokenizer: self.tokenizer.as_deref().map(absolute),
            captions,
            loras,
            data,
            side: self.size,
            steps: self.steps,
            batch: self.batch,
            learning_rate: self.training.learning_rate,
            similarity: self.similarity,
            ema: self.training.ema,
            bf16: self.training.bf16,
            seed: self.training.seed,
        }
    }

    /// The base, without gradients.
    fn open(&self, recipe: &HypernetRecipe) -> Result<StableDiffusion, Failure> {
        let options = OpenOptions {
            tokenizer: recipe.tokenizer.clone(),
            ..OpenOptions::default()
        };
        let device = self.training.device()?.without_autodiff();
        BaseModel::find(&recipe.model)?.open(&options, &device)
    }

    fn follow(
        &self,
        recipe: &HypernetRecipe,
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
                "lora-rar train",
                [done.step, recipe.steps],
                folder,
            )),
            false => self.report(&done, &folder.join(FILE)),
        }
    }

    fn report(&self, done: &HypernetDone, file: &Path) -> Result<(), Failure> {
        let [subjects, styles] = done.members;
        if self.training.json {
            return print_json(&json!({
                "out": base::files::shown(file), "step": done.step, "loss": done.loss, "seconds": done.seconds,
                "subjects": subjects, "styles": styles, "widths": done.widths,
            }));
        }
        let widths: Vec<String> = done.widths.iter().map(usize::to_string).collect();
        report(
            false,
            &format!(
                "wrote {}: step {} on {subjects} subjects and {styles} styles, loss {:.4}, for layers of width {}",
                file.display(),
                done.step,
                done.loss,
                widths.join(", ")
            ),
        )
    }
}
