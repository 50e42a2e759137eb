//! Pre-training in phases: contexts, data and rates of each in a TOML file.

use std::path::{Path, PathBuf};

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::Device;
use engine::models::causal_lm::{CausalLm, CausalLmConfig};
use engine::text::Tokenizer;
use engine::weights::Precision;
use serde::{Deserialize, Serialize};

use super::data::pack::Pack;
use super::student::copy_tokenizer;
use super::training::Place;
use super::{SystemError, TokensTask};

/// A whole pre-training, as the TOML file has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pretrain {
    /// Seed of weights, order and dropout.
    #[serde(default = "seed")]
    pub seed: u64,
    /// Folder with the tokenizer.
    pub tokenizer: PathBuf,
    /// The model at the start.
    pub model: Start,
    /// One after the other.
    #[serde(rename = "phase")]
    pub phases: Vec<Phase>,
}

/// The official script's.
fn seed() -> u64 {
    1024
}

/// Sizes of a new model, or the folder of one that is gone on with. What is not given is as in [`CausalLmConfig::toy`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Start {
    /// A model's folder; no sizes then.
    pub from: Option<PathBuf>,
    pub hidden_size: Option<usize>,
    pub intermediate_size: Option<usize>,
    pub num_hidden_layers: Option<usize>,
    pub num_attention_heads: Option<usize>,
    pub num_key_value_heads: Option<usize>,
    pub head_dim: Option<usize>,
    /// 0: none.
    pub sliding_window: Option<usize>,
    pub rope_theta: Option<f64>,
    pub tie_word_embeddings: Option<bool>,
    pub max_position_embeddings: Option<usize>,
}

/// What a training saves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thrift {
    /// Time: products of bf16 values.
    pub bf16: bool,
    /// Memory: blocks are computed again in the backward pass.
    pub checkpointing: bool,
}

/// One phase.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// What its folder is called.
    pub name: String,
    /// A packed corpus.
    pub data: PathBuf,
    /// Tokens of a sequence.
    pub context: usize,
    /// Sequences of a micro-batch.
    pub batch: usize,
    /// Micro-batches of a step.
    #[serde(default = "one")]
    pub accumulation: usize,
    /// Optimisation steps; else so many as `epochs` take.
    pub steps: Option<u64>,
    /// Times that the data are seen.
    #[serde(default = "once")]
    pub epochs: f64,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Steps in which it rises.
    #[serde(default)]
    pub warmup: u64,
    /// Share of the peak at the end of the cosine.
    #[serde(default = "tenth")]
    pub floor: f64,
    /// Weight decay.
    #[serde(default = "tenth")]
    pub weight_decay: f64,
    /// Share of what attention and feed-forward layers give that is dropped.
    #[serde(default)]
    pub dropout: f32,
    /// Part of the target that is spread over all tokens.
    #[serde(default)]
    pub label_smoothing: f32,
    /// Tokens see those of their own document only.
    #[serde(default)]
    pub document_mask: bool,
    /// Steps between checkpoints.
    #[serde(default = "hundred")]
    pub checkpoint_every: u64,
}

fn one() -> usize {
    1
}
fn once() -> f64 {
    1.0
}
fn tenth() -> f64 {
    0.1
}
fn hundred() -> u64 {
    100
}

impl Pretrain {
    /// Reads the TOML file; its paths are meant from its folder.
    ///
    /// # Errors
    /// [`SystemError::Input`] with what is wrong.
    pub fn open(path: &Path) -> Result<Self, SystemError> {
        let text =
            base::files::read_to_string(path).map_err(|error| SystemError::path(path, error))?;
        let mut config: Self = toml::from_str(&text).map_err(|error| {
            let line = error.to_string();
            SystemError::path(path, base::command::one_line(&line))
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let meant = |path: &mut PathBuf| *path = folder.join(&*path);
        meant(&mut config.tokenizer);
        config.model.from.iter_mut().for_each(meant);
        config
            .phases
            .iter_mut()
            .for_each(|phase| phase.data = folder.join(&phase.data));
        let plain = |name: &str| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_alphanumeric() || c == '-' || c == '_')
        };
        match config.phases.iter().find(|phase| !plain(&phase.name)) {
            Some(phase) => Err(SystemError::path(
                path,
                format!(
                    "the phase `{}` becomes a folder: name it with letters, digits, `-` and `_`",
                    phase.name
                ),
            )),
            None if config.phases.is_empty() => {
                Err(SystemError::path(path, "it has no `[[phase]]`: add one"))
            }
            None => Ok(config),
        }
    }

    /// The model at the start.
    ///
    /// # Errors
    /// [`SystemError`].
    pub fn start(
        &self,
        tokenizer: &Tokenizer,
        device: &Device,
    ) -> Result<(CausalLmConfig, CausalLm), SystemError> {
        let it = &self.model;
        if let Some(from) = &it.from {
            let (config, model) = CausalLm::open(from, device)?;
            tokenizer.check_rows(config.vocab_size)?;
            return Ok((config, model));
        }
        let toy = CausalLmConfig::toy();
        let hidden_size = it.hidden_size.unwrap_or(toy.hidden_size);
        let heads = it.num_attention_heads.unwrap_or(toy.num_attention_heads);
        let special = tokenizer.special();
        let config = CausalLmConfig {
            vocab_size: tokenizer.len(),
            hidden_size,
            intermediate_size: it
                .intermediate_size
                .unwrap_or((hidden_size * 8 / 3).next_multiple_of(16)),
            num_hidden_layers: it.num_hidden_layers.unwrap_or(toy.num_hidden_layers),
            num_attention_heads: heads,
            num_key_value_heads: it.num_key_value_heads.unwrap_or(heads.div_ceil(2)),
            head_dim: it
                .head_dim
                .unwrap_or(hidden_size.checked_div(heads).unwrap_or(0)),
            sliding_window: match it.sliding_window {
                None => toy.sliding_window,
                Some(0) => None,
                window => window,
            },
            rope_theta: it.rope_theta.unwrap_or(toy.rope_theta),
            tie_word_embeddings: it.tie_word_embeddings.unwrap_or(false),
            max_position_embeddings: it
                .max_position_embeddings
                .unwrap_or(toy.max_position_embeddings),
            bos_token_id: special.bos,
            eos_token_id: special.eos.or(special.end.first().copied()),
            ..toy
        };
        let model = config.init(&mut Rng::new(self.seed).child("weights"), device)?;
        Ok((config, model))
    }

    /// Trains all phases, alone or with the workers of `place`; each leaves a model's folder, `OUT/NAME/model`. Phases that have theirs are not done again. The last
    /// one's is what comes out.
    ///
    /// # Errors
    /// [`SystemError`].
    pub fn run(
        &self,
        device: &Device,
        thrift: Thrift,
        place: &Place<'_>,
    ) -> Result<PathBuf, SystemError> {
        let tokenizer = Tokenizer::open(&self.tokenizer)?;
        let settings = serde_json::to_value(self).map_err(|cause| {
            SystemError::path(
                place.folder,
                format!("the settings cannot be noted: {cause}"),
            )
        })?;
        place.begin(&serde_json::json!({"pretrain": settings, "bf16": thrift.bf16}))?;
        let device = device.clone().autodiff();
        let mut now = None;
        let mut last = place.folder.to_owned();
        for phase in &self.phases {
            let folder = place.folder.join(&phase.name);
            let done = folder.join("model");
            last.clone_from(&done);
            if done.join("config.json").is_file() {
                now = Some(CausalLm::open(&done, &device)?);
                continue;
            }
            let (config, model) = match now.take() {
                Some(now) => now,
                None => self.start(&tokenizer, &device)?,
            };
            let pack = Pack::open(&phase.data, phase.document_mask)?;
            let task = TokensTask::new(pack, phase, &config, self.seed, &device)?;
            let recipe = task.recipe(phase, self.seed, thrift.bf16);
            let task = match place.workers {
                Some(workers) => task.part([workers.rank(), workers.count()])?,
                None => task,
            };
            let model = model.with_activation_checkpointing(thrift.checkpointing);
            let run = Place {
                folder: &folder,
                title: place.title.map(|_| phase.name.as_str()),
                ..place.clone()
            };
            let trained = run.train(&task, model, &recipe)?;
            // The sizes come last: a folder with `config.json` is whole.
            base::files::make_folder(&done)?;
            copy_tokenizer(&self.tokenizer, &done)?;
            trained.model.valid().save(&done, &config, Precision::F32)?;
            now = Some((config, trained.model));
        }
        Ok(last)
    }
}
