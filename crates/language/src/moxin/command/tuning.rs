//! `orrery moxin sft`, `dpo` and `grpo`.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Output, eprint_line, is_quiet};
use burn::tensor::Device;
use clap::Args;
use engine::models::causal_lm::LoraConfig;
use engine::train::Schedule;
use serde_json::json;

use super::wrote;
use crate::moxin::{self, Examples, GrpoLimits, Place, Preference, Recipe, SystemError};

/// Options of every fine-tuning.
#[derive(Args, Debug)]
pub struct Tuning {
    /// The model's folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Examples, a file of JSON lines
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Folder for checkpoints, log and the trained model
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Go on with a run that was stopped
    #[arg(long)]
    resume: bool,
    /// Times that the examples are seen
    #[arg(long, value_name = "N")]
    epochs: Option<f64>,
    /// Optimisation steps, in place of epochs
    #[arg(long, value_name = "N", conflicts_with = "epochs", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Examples of a micro-batch
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// Micro-batches of a step
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=4096))]
    accumulation: u16,
    /// Peak learning rate
    #[arg(long, value_name = "RATE")]
    lr: Option<f64>,
    /// Steps in which the rate rises
    #[arg(long, value_name = "N", default_value_t = 0)]
    warmup: u64,
    /// Tokens of an example at most
    #[arg(long, value_name = "N")]
    max_length: Option<usize>,
    /// Share of layers' outputs that is dropped in training
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    dropout: f32,
    /// Part of the target that is spread over all tokens
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    label_smoothing: f32,
    /// Train low-rank changes of this rank only
    #[arg(long, value_name = "RANK", value_parser = clap::value_parser!(u16).range(1..=1024))]
    lora_rank: Option<u16>,
    /// They are multiplied by this over the rank [default: twice the rank]
    #[arg(long, value_name = "ALPHA", requires = "lora_rank")]
    lora_alpha: Option<f64>,
    /// Mixed precision
    #[arg(long)]
    bf16: bool,
    /// Compute blocks again in the backward pass: about a third slower, in far less memory
    #[arg(long)]
    activation_checkpointing: bool,
    /// Seed of order and draws
    #[arg(long, default_value_t = 123)]
    seed: u64,
    /// Steps between checkpoints
    #[arg(long, value_name = "N", default_value_t = 100)]
    checkpoint_every: u64,
    /// Where to train
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    output: Output,
}

/// A fine-tuning with parameters of its own: model, examples, how, where it works and where it is kept.
type Stage<P> = fn(
    &Path,
    &Path,
    (&Recipe, Option<f64>, P),
    &Device,
    &Place<'_>,
) -> Result<Examples<()>, SystemError>;

impl Tuning {
    fn recipe(&self, (rate, length): (f64, usize)) -> Recipe {
        Recipe {
            steps: self.steps.unwrap_or(1),
            batch: usize::from(self.batch),
            accumulation: usize::from(self.accumulation),
            length: self.max_length.unwrap_or(length),
            rate: self.lr.unwrap_or(rate),
            warmup: self.warmup,
            schedule: Schedule::Linear,
            decay: 0.0,
            dropout: self.dropout,
            smoothing: self.label_smoothing,
            lora: self.lora_rank.map(|rank| LoraConfig {
                rank: usize::from(rank),
                alpha: self.lora_alpha.unwrap_or(2.0 * f64::from(rank)),
                ..LoraConfig::default()
            }),
            bf16: self.bf16,
            checkpointing: self.activation_checkpointing,
            seed: self.seed,
            checkpoint_every: self.checkpoint_every,
        }
    }

    /// Epochs where no steps were given.
    fn epochs(&self, usual: f64) -> Result<Option<f64>, Failure> {
        match (self.steps, self.epochs) {
            (Some(_), _) => Ok(None),
            (None, Some(epochs)) if !(epochs > 0.0 && epochs <= 1e6) => {
                Err(Failure::input("give `--epochs` above 0"))
            }
            (None, epochs) => Ok(Some(epochs.unwrap_or(usual))),
        }
    }

    /// Runs `stage`; learning rate, length and epochs are `usual` where no option says otherwise.
    fn run<P>(
        &self,
        stage: Stage<P>,
        title: &str,
        (rate, length, epochs): (f64, usize, f64),
        parameters: P,
        context: Context,
    ) -> Result<(), Failure> {
        let recipe = self.recipe((rate, length));
        let place = Place {
            folder: &self.out,
            resume: self.resume,
            title: Some(title),
            context,
            workers: None,
        };
        let examples = stage(
            &self.model,
            &self.data,
            (&recipe, self.epochs(epochs)?, parameters),
            &engine::device(&self.device)?,
            &place,
        )?;
        if !is_quiet() {
            examples.troubles.iter().for_each(|line| eprint_line(line));
        }
        let more = json!({"examples": examples.used.len(), "left_out": examples.left_out});
        wrote(self.output.json, &self.out.join("model"), more)
    }
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery moxin sft --model runs/toy/1/model --data chats.jsonl --out runs/sft --lr 1e-3 --epochs 3

A line is {\"messages\": [{\"role\": \"user\", \"content\": \"…\"}, {\"role\": \"assistant\", \"content\": \"…\"}]}, or
{\"prompt\": \"…\", \"completion\": \"…\"}. The recipe's rate for 7B is 5e-6; a toy needs about 1e-3.")]
pub struct Sft {
    #[command(flatten)]
    tuning: Tuning,
    /// Mean of the token losses in place of their sum
    #[arg(long)]
    mean: bool,
}

impl Sft {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let usual = (5e-6, 4096, 2.0);
        (self.tuning).run(moxin::sft, "sft", usual, !self.mean, context)
    }
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery moxin dpo --model runs/sft/model --data pairs.jsonl --out runs/dpo --lr 1e-4 --epochs 3

A line is {\"prompt\": \"…\", \"chosen\": \"…\", \"rejected\": \"…\"}; `chosen` and `rejected` may be whole lists of messages.")]
pub struct Dpo {
    #[command(flatten)]
    tuning: Tuning,
    /// How far the model may go; small is far [default: 5, with `--sum` 0.1]
    #[arg(long, value_name = "BETA")]
    beta: Option<f32>,
    /// Sums of log-probabilities in place of means
    #[arg(long)]
    sum: bool,
}

impl Dpo {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let usual = if self.sum {
            Preference::SUMMED
        } else {
            Preference::NORMALISED
        };
        let beta = self.beta.unwrap_or(usual.beta);
        if !(beta > 0.0 && beta.is_finite()) {
            return Err(Failure::input("give `--beta` above 0"));
        }
        let preference = Preference { beta, ..usual };
        let usual = (5e-7, 2048, 1.0);
        (self.tuning).run(moxin::dpo, "dpo", usual, preference, context)
    }
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery moxin grpo --model runs/sft/model --data sums.jsonl --out runs/grpo --lr 1e-4 --steps 200

A line is {\"prompt\": \"…\", \"answer\": \"…\"}. An answer is right when what it states (`#### 7`, `\\boxed{7}`,
`The answer is 7`) equals the right one after both are normalised.")]
pub struct Grpo {
    #[command(flatten)]
    tuning: Tuning,
    /// Answers drawn for each question
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    group: u16,
    /// Tokens of an answer at most
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    max_new: u32,
    /// Temperature of the draws
    #[arg(long, value_name = "T", default_value_t = 0.6)]
    temperature: f32,
    /// Weight of the distance from the model at the start
    #[arg(long, value_name = "WEIGHT", default_value_t = 1e-3)]
    kl: f32,
    /// The ratio of probabilities counts within 1 ± this
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    clip: f32,
    /// An answer need not state its result: all of it is compared
    #[arg(long)]
    any_form: bool,
}

impl Grpo {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let grpo = moxin::Grpo {
            group: usize::from(self.group),
            longest: self.max_new as usize,
            temperature: self.temperature,
            limits: GrpoLimits {
                clip: self.clip,
                kl: self.kl,
            },
            strict: !self.any_form,
        };
        let usual = (1e-6, 1024, 1.0);
        (self.tuning).run(moxin::grpo, "grpo", usual, grpo, context)
    }
}
