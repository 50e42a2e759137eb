//! `orrery fiva train`.

use std::path::{Path, PathBuf};

use base::command::{
    Context, Failure, Output, eprint_line, learning_rate, use_calling_thread_as_worker,
};
use base::files::{make_folder, write_bytes};
use base::job::jsonl;
use base::rng::Rng;
use clap::Args;
use engine::models::stable_diffusion::OpenOptions;
use engine::train::{Progress, Run, is_begun, train};
use engine::weights::{Precision, Weights};
use serde::Serialize;
use serde_json::{Value, json};

use super::options::{pixels, side};
use crate::base_model::BaseModel;
use crate::fiva::latents::Latents;
use crate::fiva::pairs::Pair;
use crate::fiva::train::{PairTask, Recipe, Trained, config};
use crate::fiva::{Adapter, Extractor, Taxonomy, checkpoint};
use crate::training::{read_recipe, write_recipe};

/// Options of `train`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery fiva train --model sdxl-base --qformer blipdiffusion/qformer --vocab vocab.txt --pairs pairs.jsonl --out run --steps 20000

Text and references are left out of 5 % of the samples each, both of another 5 %. The folder holds checkpoints, a log, and at the end
`ip_adapter.safetensors` and `qformer.safetensors` for `generate`. The same command with --resume goes on.")]
pub struct Train {
    /// Stable Diffusion XL: a diffusers folder, one file, or OWNER/NAME in the cache of the hub; or `embedded`
    #[arg(long, value_name = "DIR|FILE")]
    model: String,
    /// Folder of CLIP's vocab.json and merges.txt, which a single file needs
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// The Q-Former to begin with: BLIP-Diffusion's, or one trained before
    #[arg(long, value_name = "FILE|DIR")]
    qformer: PathBuf,
    /// Its `config.json` [default: beside it, else sizes are read off the weights]
    #[arg(long, value_name = "FILE")]
    qformer_config: Option<PathBuf>,
    /// `vocab.txt` of uncased BERT [default: beside the Q-Former]
    #[arg(long, value_name = "FILE|DIR")]
    vocab: Option<PathBuf>,
    /// An adapter to begin with [default: keys and values of the text]
    #[arg(long, value_name = "FILE")]
    adapter: Option<PathBuf>,
    /// Pairs that `orrery fiva data pairs` wrote
    #[arg(long, value_name = "FILE")]
    pairs: PathBuf,
    /// The folder of the run
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Steps of the optimiser
    #[arg(long, default_value_t = 10_000)]
    steps: u64,
    /// Learning rate
    #[arg(long = "learning-rate", visible_alias = "rate", default_value_t = 2e-5, value_parser = learning_rate)]
    rate: f64,
    /// Pairs of a step
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// Height and width of targets in pixels [default: 512, of the embedded model 64]
    #[arg(long, value_name = "PIXELS", value_parser = pixels)]
    size: Option<usize>,
    /// Bring references to the Q-Former's size at once, not by way of 512 x 512 as the published script does
    #[arg(long)]
    direct: bool,
    /// Draw half of the noise levels from the noisiest quarter, not all as often
    #[arg(long)]
    noisy: bool,
    /// Always use the first tag of a group (the paper's ablation)
    #[arg(long)]
    no_augment: bool,
    /// Seed of every batch
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Go on from the checkpoint in the folder
    #[arg(long)]
    resume: bool,
    /// Device: cpu; cuda, metal, rocm or wgpu in a program built with that feature
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    output: Output,
}

/// What stays as it is when a run goes on.
#[derive(Debug, Serialize)]
struct Settings {
    model: String,
    qformer: PathBuf,
    adapter: Option<PathBuf>,
    pairs: usize,
    rate: f64,
    batch: usize,
    size: usize,
    direct: bool,
    noisy: bool,
    no_augment: bool,
    seed: u64,
}

impl Settings {
    /// Keeps the settings in the folder of a new run, or compares them with those of the run that goes on.
    fn keep(&self, folder: &Path, resume: bool) -> Result<(), Failure> {
        if !resume {
            // A folder that holds a run already is refused when training begins.
            if !is_begun(folder) {
                make_folder(folder)?;
                write_recipe(folder, self)?;
            }
            return Ok(());
        }
        let before: Value = read_recipe(folder, "fiva train", |_| None)?;
        let now = serde_json::to_value(self).map_err(Failure::failed)?;
        let changed = now.as_object().into_iter().flatten();
        let changed: Vec<String> = changed
            .filter(|(name, value)| before.get(name) != Some(value))
            .map(|(name, value)| format!("{name} ({} then, {value} now)", before[name]))
            .collect();
        match changed.is_empty() {
            true => Ok(()),
            false => Err(Failure::input(format!(
                "cannot go on in `{}` with other settings: {}; give the same, or another `--out`",
                folder.display(),
                changed.join(", ")
            ))),
        }
    }
}

impl Train {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        use_calling_thread_as_worker();
        let device = engine::device(&self.device)?;
        let pairs = pairs(&self.pairs)?;
        let place = BaseModel::find(&self.model)?;
        let opening = OpenOptions {
            tokenizer: self.tokenizer.clone(),
            ..OpenOptions::default()
        };
        let base = place.open(&opening, &device)?;
        let [qconfig, vocab] = [&self.qformer_config, &self.vocab].map(|it| it.as_deref());
        let extractor = Extractor::open(&self.qformer, qconfig, vocab, &device)?;
        let adapter = match &self.adapter {
            Some(path) => Adapter::read(&Weights::open(path)?, base.unet(), &device)?,
            None => {
                let rng = &mut Rng::new(self.seed).child("adapter");
                Adapter::new(base.unet(), extractor.qformer.width(), rng, &device)?
            }
        };
        let taxonomy = Taxonomy::ours()?;
        let recipe = Recipe {
            batch: usize::from(self.batch),
            side: self.size.unwrap_or(side(&place, &base)),
            augment: !self.no_augment,
            through_512: !self.direct,
            noisy: self.noisy,
            ..Recipe::default()
        };
        let latents = Latents::default();
        let task = PairTask::new(&base, &extractor, &pairs, &taxonomy, recipe, &latents)?;
        use engine::burn::module::Module;
        let model = Trained {
            qformer: extractor.qformer.clone(),
            adapter,
        };
        let model = model.train().with_frozen_tower();
        Settings {
            model: self.model.clone(),
            qformer: self.qformer.clone(),
            adapter: self.adapter.clone(),
            pairs: pairs.len(),
            rate: self.rate,
            batch: recipe.batch,
            size: recipe.side,
            direct: self.direct,
            noisy: self.noisy,
            no_augment: self.no_augment,
            seed: self.seed,
        }
        .keep(&self.out, self.resume)?;
        let mut progress = Progress::shown("training", !self.output.json);
        let trained = train(
            &task,
            model,
            &config(self.steps, self.rate, self.seed),
            Run {
                folder: &self.out,
                resume: self.resume,
                stop: context.stop,
                progress: &mut progress,
            },
        )?;
        if trained.interrupted {
            return Err(Failure::interrupted(format!(
                "stopped after {} steps; the same command with --resume goes on",
                trained.step
            )));
        }
        let [adapter, qformer] =
            ["ip_adapter.safetensors", checkpoint::QFORMER].map(|name| self.out.join(name));
        let model = trained.ema;
        model
            .adapter
            .file(base.unet(), Precision::F32)?
            .write(&adapter)?;
        checkpoint::write_qformer(&model.qformer, &extractor.config, &self.out)?;
        self.keep_vocabulary();
        self.output.print(
            &json!({
                "adapter": adapter.display().to_string(), "qformer": qformer.display().to_string(),
                "steps": trained.step, "loss": trained.loss, "seconds": trained.elapsed,
            }),
            &format!(
                "{} and {}: {} steps, loss {:.4}",
                adapter.display(),
                qformer.display(),
                trained.step,
                trained.loss
            ),
        )
    }

    /// The vocabulary goes beside the trained Q-Former, where it is a plain file.
    fn keep_vocabulary(&self) {
        let folder = |path: &Path| match path.is_dir() {
            true => path.to_owned(),
            false => path.parent().unwrap_or(Path::new("")).to_owned(),
        };
        let place = self.vocab.clone().unwrap_or_else(|| folder(&self.qformer));
        for name in ["vocab.txt", "tokenizer.json"] {
            let from = if place.is_dir() {
                place.join(name)
            } else {
                place.clone()
            };
            if from.file_name().is_some_and(|it| it == name)
                && let Ok(bytes) = std::fs::read(&from)
                && let Err(error) = write_bytes(self.out.join(name), &bytes)
            {
                eprint_line(&format!("warning: {error}"));
            }
        }
    }
}

/// The pairs in a file of JSON lines.
fn pairs(path: &Path) -> Result<Vec<Pair>, Failure> {
    let unread = |cause: &dyn std::fmt::Display| {
        Failure::input(format!(
            "cannot read the pairs `{}`: {cause}; `orrery fiva data pairs` writes them",
            path.display()
        ))
    };
    let lines = jsonl::read(path)?;
    if let Some(trouble) = lines.troubles.first() {
        return Err(unread(trouble));
    }
    let mut pairs = Vec::with_capacity(lines.records.len());
    for (line, record) in lines.records {
        let pair: Pair = serde_json::from_value(Value::Object(record))
            .map_err(|cause| unread(&format!("line {line}: {cause}")))?;
        if pair.references.is_empty() {
            return Err(unread(&format!("line {line} has no reference")));
        }
        pairs.push(pair);
    }
    Ok(pairs)
}
