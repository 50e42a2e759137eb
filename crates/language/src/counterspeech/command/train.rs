//! `orrery counterspeech train`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, eprint_line, is_quiet};
use clap::Args;
use engine::models::causal_lm::LoraConfig;
use serde_json::json;

use super::options::prompts;
use crate::counterspeech::{Training, default_recipe};
use crate::moxin::{Place, Recipe};

/// Options of `train`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery counterspeech templates --out mine
  orrery counterspeech train --data mine/comments.jsonl --lr 1e-3 --out adapters/Re
  orrery counterspeech reply --adapter adapters/Re --use Re --message \"Only fools reef early.\"

  orrery counterspeech train --base llama-2-13b-chat/ --data pairs.jsonl --out adapters/Mu
  orrery counterspeech train --base llama-2-13b-chat/ --from adapters/Mu --data comments.jsonl --out adapters/MuRe

A line is {\"message\": \"…\", \"reply\": \"…\"}, or a community's {\"comment\": \"…\", \"parent\": \"what it answers\"}. Only what
is written in reply is learned. A stage is a command; the next one begins with `--from`. Where the run was stopped, the same
command goes on with `--resume`.")]
pub struct Train {
    /// Pairs or comments, one JSON object a line
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The chat model: `smollm2`, OWNER/NAME on the hub, a directory or a .gguf file, whose weights are widened to f32
    #[arg(long, value_name = "MODEL", default_value = "smollm2")]
    base: String,
    /// The adapter of the stage before, to train further
    #[arg(long, value_name = "DIR", conflicts_with_all = ["rank", "alpha", "targets", "last_blocks"])]
    from: Option<PathBuf>,
    /// Folder for the adapter; its last word is what `generate` and `reply` call it
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Go on with a run that was stopped
    #[arg(long)]
    resume: bool,
    /// Prompts that messages are put into, in place of the built-in ones
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Times that the data are seen
    #[arg(long, value_name = "N", default_value_t = 2.0)]
    epochs: f64,
    /// Pairs of a step
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// Peak learning rate; a small model needs about 1e-3
    #[arg(long, value_name = "RATE", default_value_t = 2e-4)]
    lr: f64,
    /// Rank of the changes
    #[arg(long, value_name = "RANK", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    rank: u16,
    /// They are multiplied by this over the rank
    #[arg(long, value_name = "ALPHA", default_value_t = 64.0)]
    alpha: f64,
    /// Projections that are changed: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "q_proj,v_proj"
    )]
    targets: Vec<String>,
    /// Change only the last N blocks
    #[arg(long, value_name = "N")]
    last_blocks: Option<usize>,
    /// Share of what the changes read that is dropped in training
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    dropout: f64,
    /// Tokens of a pair at most
    #[arg(long, value_name = "N", default_value_t = 512)]
    max_length: usize,
    /// Steps between checkpoints
    #[arg(long, value_name = "N", default_value_t = 20)]
    checkpoint_every: u64,
    /// Mixed precision
    #[arg(long)]
    bf16: bool,
    /// Seed of first factors, order and dropout
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Where to train
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    output: Output,
}

impl Train {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let prompts = prompts(self.prompts.as_deref())?;
        let training = Training {
            base: &self.base,
            from: self.from.as_deref(),
            data: &self.data,
            prompts: &prompts,
            epochs: self.epochs,
            last_blocks: self.last_blocks,
            recipe: self.recipe(),
        };
        let place = Place {
            folder: &self.out,
            resume: self.resume,
            title: (!self.output.json).then_some("train"),
            context,
            workers: None,
        };
        let stage = training.run(&engine::device(&self.device)?, &place)?;
        if !is_quiet() {
            for line in &stage.troubles {
                eprint_line(&format!("warning: {line}"));
            }
        }
        self.output.print(
            &json!({"adapter": base::files::shown(&self.out), "stage": stage}),
            &format!(
                "{} pairs, {} steps, loss {:.3} at the end; wrote the adapter `{}`",
                stage.examples,
                stage.steps,
                stage.loss,
                self.out.display()
            ),
        )
    }

    fn recipe(&self) -> Recipe {
        Recipe {
            batch: usize::from(self.batch),
            rate: self.lr,
            length: self.max_length,
            bf16: self.bf16,
            seed: self.seed,
            checkpoint_every: self.checkpoint_every,
            lora: Some(LoraConfig {
                rank: usize::from(self.rank),
                alpha: self.alpha,
                targets: self.targets.clone(),
                dropout: self.dropout,
                ..LoraConfig::default()
            }),
            ..default_recipe()
        }
    }
}
