//! `orrery moxin pretrain` and `expand`.

use std::path::PathBuf;
use std::time::Duration;

use base::command::{Context, Failure, Output};
use clap::{Args, ValueEnum};
use engine::models::causal_lm::CausalLm;
use engine::train::{TrainError, Workers};
use engine::weights::Precision;
use serde_json::json;

use super::wrote;
use crate::moxin::{self, Place, Thrift, copy_tokenizer};

/// What holds the workers' secret.
const TOKEN: &str = "ORRERY_WORKERS_TOKEN";

#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery moxin pretrain --config toy.toml --out runs/toy

Two processes, one model:
  orrery moxin pretrain --config toy.toml --out runs/a --workers 2 --rank 0 &
  orrery moxin pretrain --config toy.toml --out runs/b --workers 2 --rank 1

toy.toml:
  tokenizer = \"vocabulary\"
  [model]
  hidden_size = 128
  num_hidden_layers = 4
  [[phase]]
  name = \"1\"
  data = \"packed\"
  context = 128
  batch = 16
  steps = 500
  learning_rate = 3e-3
  warmup = 50")]
pub struct Pretraining {
    /// Model and phases, a TOML file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Folder for checkpoints, log and the model of each phase
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Go on with a run that was stopped
    #[arg(long)]
    resume: bool,
    /// Mixed precision
    #[arg(long)]
    bf16: bool,
    /// Compute blocks again in the backward pass: about a third slower, in far less memory
    #[arg(long)]
    activation_checkpointing: bool,
    /// Processes that train together, each on its part of every batch and with an --out of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// Which of them this is, from 0
    #[arg(long, value_name = "I", default_value_t = 0)]
    rank: u16,
    /// Where worker 0 listens; beyond 127.0.0.1 all need one secret in the variable ORRERY_WORKERS_TOKEN
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7171")]
    coordinator: String,
    /// Seconds that a worker waits for the others
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    patience: u32,
    /// Where to train
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    output: Output,
}

impl Pretraining {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let plan = moxin::Pretrain::open(&self.config)?;
        let device = engine::device(&self.device)?;
        let workers = self.workers()?;
        let place = Place {
            folder: &self.out,
            resume: self.resume,
            title: Some("pretrain"),
            context,
            workers: workers.as_ref(),
        };
        let thrift = Thrift {
            bf16: self.bf16,
            checkpointing: self.activation_checkpointing,
        };
        let model = plan.run(&device, thrift, &place)?;
        wrote(self.output.json, &model, json!({}))
    }

    fn workers(&self) -> Result<Option<Workers>, Failure> {
        let ranks = [self.rank, self.workers].map(usize::from);
        if ranks == [0, 1] {
            return Ok(None);
        }
        let token = std::env::var(TOKEN).unwrap_or_default();
        let patience = Duration::from_secs(u64::from(self.patience));
        let workers = Workers::new(ranks, &self.coordinator, &token, patience);
        Ok(Some(workers.map_err(TrainError::from)?))
    }
}

#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery moxin expand --from mistral-7b/ --layers 36 --out moxin-start/ --precision bf16"
)]
pub struct Expansion {
    /// A model's folder
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Blocks of the new model
    #[arg(long, value_name = "N")]
    layers: usize,
    /// Folder for the new model
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// How weights are written
    #[arg(long, value_enum, default_value = "f32")]
    precision: Stored,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Stored {
    F32,
    F16,
    Bf16,
}

impl Expansion {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        if self.out == self.from {
            return Err(Failure::input(
                "the new model would take the old one's place: choose another `--out`",
            ));
        }
        let (config, model) = CausalLm::open(&self.from, &engine::device("cpu")?)?;
        let before = config.num_hidden_layers;
        let (config, model) = moxin::expand(&config, model, self.layers)?;
        let precision = match self.precision {
            Stored::F32 => Precision::F32,
            Stored::F16 => Precision::F16,
            Stored::Bf16 => Precision::BF16,
        };
        model.save(&self.out, &config, precision)?;
        copy_tokenizer(&self.from, &self.out)?;
        let places = moxin::expand_places(before, self.layers);
        wrote(
            self.output.json,
            &self.out,
            json!({"after_blocks": places, "parameters": config.parameters()}),
        )
    }
}
