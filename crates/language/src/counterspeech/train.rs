//! LoRA adapters by supervised pairs of message and reply (the paper's `Mu` and `Hs`), and by comments of a community as
//! replies to what they answer (`Re`). How the paper trained is not known: this is ours.

use std::path::Path;

use base::command::Stopped;
use base::job::jsonl::Record as Line;
use base::rng::Rng;
use burn::tensor::{Device, Tensor};
use engine::models::causal_lm::{CausalLm, CausalLmConfig, LoraConfig, LowRank};
use engine::models::decoder::Decoder;
use engine::text::Tokenizer;
use engine::train::{Task, TaskError};
use engine::weights::hub::{HubSettings, resolve};
use serde::Serialize;
use serde_json::json;

use super::chat::{encode_reply, open_tokenizer};
use super::store::{fingerprint, sha256};
use super::{BASELINE, Configuration, Prompts, Record, SystemError, Turn};
use crate::moxin::{Encoded, Examples, ExamplesTask, Place, Recipe, steps_of, text_at};

/// What is said where training is stopped.
const RESUME: &str = "stopped; the same command with `--resume` goes on from here";

/// The system message before a comment that is trained on.
const DISCUSSION: &str = "You take part in an online discussion.";
/// Asks for a comment that answers nothing.
const COMMENT: &str = "Write a comment.";

/// A stage: what is trained on what.
#[derive(Clone, Debug)]
pub struct Training<'a> {
    /// The chat model, by a name that [`Replier::open`](super::Replier::open) knows. Quantised weights are widened to f32.
    pub base: &'a str,
    /// The adapter of the stage before, which is trained further; its rank, alpha, targets and blocks stay.
    pub from: Option<&'a Path>,
    /// A file of [`read_pairs`].
    pub data: &'a Path,
    /// Prompts that messages are put into.
    pub prompts: &'a Prompts,
    /// Times that the data are seen.
    pub epochs: f64,
    /// Only the last so many blocks have changes.
    pub last_blocks: Option<usize>,
    /// How it is trained; steps are computed.
    pub recipe: Recipe,
}

/// What came of a stage.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// Pairs that were trained on.
    pub examples: usize,
    /// Lines that were left out.
    pub left_out: usize,
    /// Why, the first few.
    pub troubles: Vec<String>,
    /// Optimisation steps.
    pub steps: u64,
    /// Mean loss of a reply's token in the last few steps, in nats.
    pub loss: f64,
}

/// Rank 32, alpha 64, dropout 0.05 on queries and values, rate 2e-4, 16 pairs a step (ours; the size of the published files
/// fits rank 32 in f32).
pub fn default_recipe() -> Recipe {
    Recipe {
        batch: 16,
        rate: 2e-4,
        seed: 0,
        checkpoint_every: 20,
        lora: Some(LoraConfig {
            rank: 32,
            alpha: 64.0,
            targets: ["q_proj", "v_proj"].map(str::to_owned).to_vec(),
            dropout: 0.05,
            ..LoraConfig::default()
        }),
        ..Recipe::default()
    }
}

/// Opens a chat model to train.
///
/// # Errors
/// [`SystemError`]: it is not here, broken, or of a form that is not trained.
pub fn open_base(
    name: &str,
    device: &Device,
) -> Result<(CausalLmConfig, CausalLm, Tokenizer), SystemError> {
    let path = resolve(name, &HubSettings::from_environment())?;
    let device = device.clone().autodiff();
    let (config, model) = match path.is_dir() {
        true => CausalLm::open(&path, &device)?,
        false => CausalLm::from_decoder(&Decoder::open(&path)?, &device)?,
    };
    let tokenizer = open_tokenizer(&path, config.vocab_size)?;
    Ok((config, model, tokenizer))
}

/// Reads pairs, one JSON object a line: `{"message", "reply"}`, the message as the baseline's prompt shows it, or
/// `{"comment", "parent"}`, the parent alone before the comment (it may be absent). At most `length` tokens of each are used.
///
/// # Errors
/// [`SystemError`] where the file cannot be read, or no line can be used.
pub fn read_pairs(
    path: &Path,
    tokenizer: &Tokenizer,
    prompts: &Prompts,
    length: usize,
) -> Result<Examples<Encoded>, SystemError> {
    Examples::read(path, "pair", &mut |line| {
        let ([system, user], reply) = prompt_of(line, prompts)?;
        let encoded = encode_reply(tokenizer, [&system, &user], reply, length)?;
        match encoded.is_silent() {
            true => Err(SystemError::Input(format!(
                "its reply begins after {length} tokens: raise `--max-length`"
            ))),
            false => Ok(encoded),
        }
    })
}

/// System message, user message and the reply to them.
fn prompt_of<'a>(line: &'a Line, prompts: &Prompts) -> Result<([String; 2], &'a str), SystemError> {
    let wrong = |reason: String| Err(SystemError::Input(reason));
    let given = |name: &str| text_at(line, name).map(str::trim);
    let (before, reply) = match (given("message"), given("reply"), given("comment")) {
        (Some(""), _, _) => return wrong("its `message` is empty".into()),
        (_, Some(""), _) => return wrong("its `reply` is empty".into()),
        (_, _, Some("")) => return wrong("its `comment` is empty".into()),
        (Some(message), Some(reply), _) => (Some(message), reply),
        (None, None, Some(comment)) => (None, comment),
        (Some(_), None, _) => return wrong("it has no `reply`".into()),
        (None, Some(_), _) => return wrong("it has no `message`".into()),
        (None, None, None) => {
            return wrong("it has neither `message` and `reply` nor a `comment`".into());
        }
    };
    let Some(message) = before else {
        let parent = given("parent").filter(|text| !text.is_empty());
        let user = parent.unwrap_or(COMMENT).to_owned();
        return Ok(([DISCUSSION.to_owned(), user], reply));
    };
    let record = Record {
        message: Turn {
            text: message.to_owned(),
            ..Turn::default()
        },
        ..Record::default()
    };
    let prompt = prompts.fill(&record, &Configuration::parse(BASELINE), None);
    Ok(([prompt.system, prompt.user], reply))
}

/// Pairs, the frozen base, and the changes of it that are trained: checkpoints hold them alone.
struct AdapterTask<'a> {
    pairs: ExamplesTask<'a>,
    base: CausalLm,
}

impl<'a> Task for AdapterTask<'a> {
    type Model = LowRank;
    type Batch = <ExamplesTask<'a> as Task>::Batch;

    fn batch(&self, step: u64, rng: &mut Rng) -> Result<Self::Batch, TaskError> {
        self.pairs.batch(step, rng)
    }

    fn loss(&self, model: &LowRank, batch: Self::Batch) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        self.pairs.loss(&self.base.with_low_rank(model), batch)
    }

    fn samples(&self) -> usize {
        self.pairs.samples()
    }
}

impl Training<'_> {
    /// Trains and writes the adapter into `place.folder`, which [`Replier`](super::Replier) and PEFT load; what the run needs to
    /// go on lies in its folder `run`.
    ///
    /// # Errors
    /// [`SystemError`]: base, adapter, data or settings that cannot be used, another run in the folder, a loss that is
    /// no number, Ctrl-C.
    pub fn run(&self, device: &Device, place: &Place<'_>) -> Result<Stage, SystemError> {
        let (out, folder) = (place.folder, place.folder.join("run"));
        self.check(out)?;
        let (config, model, tokenizer) = open_base(self.base, device)?;
        let mut recipe = self.recipe.clone();
        let (lora, model) = self.adapted(&config, model)?;
        recipe.lora = Some(lora.clone());
        let length = recipe.length.min(config.max_position_embeddings);
        let read = read_pairs(self.data, &tokenizer, self.prompts, length)?;
        recipe.steps = steps_of(read.used.len(), self.epochs, &recipe);
        recipe.warmup = recipe.steps * 3 / 100;
        recipe.check()?;
        let place = Place {
            folder: &folder,
            ..place.clone()
        };
        let prompts = serde_json::to_vec(self.prompts).map_err(SystemError::input)?;
        place.begin(&json!({
            "base": self.base, "from": self.from.map(fingerprint).transpose()?, "data": fingerprint(self.data)?,
            "prompts": sha256(prompts), "examples": read.used.len(), "recipe": recipe,
        }))?;
        let task = AdapterTask {
            pairs: ExamplesTask {
                examples: &read.used,
                recipe: &recipe,
                sum: false,
                device: device.clone().autodiff(),
            },
            base: model,
        };
        let trained = place.train(&task, task.base.low_rank(), &recipe);
        let trained = trained.map_err(|error| match error {
            SystemError::Stopped(_) => SystemError::Stopped(Stopped(RESUME)),
            error => error,
        })?;
        if !trained.loss.is_finite() {
            return Err(SystemError::Failed(format!(
                "the loss is not a number ({} of {} steps had no finite gradient): lower `--lr`, or check the base; no adapter was written",
                trained.skipped, trained.step
            )));
        }
        let model = task.base.with_low_rank(&trained.model);
        model.save_lora(out, &lora)?;
        Ok(Stage {
            examples: read.used.len(),
            left_out: read.left_out,
            troubles: read.troubles,
            steps: trained.step,
            loss: trained.loss,
        })
    }

    /// What can be known before anything is read.
    fn check(&self, out: &Path) -> Result<(), SystemError> {
        if !(self.epochs > 0.0 && self.epochs <= 1e6) {
            return Err(SystemError::input("give `--epochs` above 0"));
        }
        let there = out.join("adapter_config.json").exists();
        if there && !out.join("run/run.json").exists() {
            return Err(SystemError::Input(format!(
                "`{}` holds an adapter already: choose another `--out`",
                out.display()
            )));
        }
        self.recipe.check()?;
        Ok(())
    }

    /// The base with the changes that are trained.
    fn adapted(
        &self,
        config: &CausalLmConfig,
        model: CausalLm,
    ) -> Result<(LoraConfig, CausalLm), SystemError> {
        let mut rng = Rng::new(self.recipe.seed).child("lora");
        let mut lora = self.recipe.lora.clone().unwrap_or_default();
        if let Some(path) = self.from {
            let lora = LoraConfig {
                dropout: lora.dropout,
                ..LoraConfig::open(path)?
            };
            let model = model.with_lora(&lora, &mut rng)?.read_lora(path)?;
            return Ok((lora, model));
        }
        let blocks = config.num_hidden_layers;
        match self.last_blocks {
            Some(last) if last == 0 || last > blocks => {
                return Err(SystemError::Input(format!(
                    "the base has {blocks} blocks: give `--last-blocks` from 1 to {blocks}"
                )));
            }
            Some(last) => lora.blocks = Some((blocks - last..blocks).collect()),
            None => {}
        }
        let model = model.with_lora(&lora, &mut rng)?;
        Ok((lora, model))
    }
}
