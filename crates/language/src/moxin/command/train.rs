//! `orrery moxin tokenizer`, `pretrain`, `expand`, `sft`, `dpo` and `grpo`.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use base::command::{Context, Failure, is_quiet, say, tell};
use base::files::write_bytes;
use clap::{Args, ValueEnum};
use engine::models::causal_lm::{CausalLm, LoraConfig, train_bpe};
use engine::train::Schedule;
use engine::weights::Precision;
use serde_json::json;

use crate::moxin::data::lines;
use crate::moxin::data::pieces::pieces;
use crate::moxin::data::tally::Tally;
use crate::moxin::{
    self, Examples, GrpoLimits, MoxinError, Place, Preference, Recipe, copy_tokenizer,
};

/// Text that a vocabulary is learned from at most, in bytes.
const LEARNED: usize = 1 << 30;

#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery moxin tokenizer data/clean --size 4096 --out vocabulary/"
)]
pub struct Vocabulary {
    /// Files of JSON lines, or folders of them
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// Tokens; any text can be written with them
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(259..=1_048_576))]
    size: u32,
    /// Folder for the tokenizer
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Learn from the first so many MB
    #[arg(long, value_name = "MB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1024))]
    megabytes: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Vocabulary {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let limit = LEARNED.min((self.megabytes as usize) << 20);
        let (mut texts, mut bytes) = (Vec::new(), 0);
        let full = AtomicBool::new(false);
        for piece in pieces(&self.inputs, u64::MAX)? {
            let read = lines::each(
                &piece,
                context.stop,
                &mut Tally::default(),
                &mut |_, document| {
                    if bytes >= limit {
                        full.store(true, std::sync::atomic::Ordering::Relaxed);
                        return Err(MoxinError::Stopped);
                    }
                    bytes += document.text.len();
                    texts.push(document.text.into_owned());
                    Ok(())
                },
            );
            match read {
                Err(MoxinError::Stopped) if full.load(std::sync::atomic::Ordering::Relaxed) => {
                    break;
                }
                other => other?,
            }
        }
        if texts.is_empty() {
            return Err(Failure::input(
                "the input holds no document: give JSON lines with a `text`",
            ));
        }
        let special = ["<unk>", "<s>", "</s>"];
        let all = texts.iter().map(String::as_str);
        let json = train_bpe(all, self.size as usize, &special, Some("<s>"))?;
        std::fs::create_dir_all(&self.out).map_err(|error| MoxinError::path(&self.out, error))?;
        write_bytes(self.out.join("tokenizer.json"), json.as_bytes())?;
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
            "model_max_length": 1_000_000, "clean_up_tokenization_spaces": false,
        });
        let text = serde_json::to_string_pretty(&config).unwrap_or_default();
        write_bytes(
            self.out.join("tokenizer_config.json"),
            format!("{text}\n").as_bytes(),
        )?;
        let tokenizer = engine::text::Tokenizer::open(&self.out)?;
        let sample: Vec<&String> = texts.iter().take(200).collect();
        let (mut characters, mut tokens) = (0, 0);
        for text in sample {
            characters += text.len();
            tokens += tokenizer.encode(text)?.len();
        }
        let each = characters as f64 / tokens.max(1) as f64;
        match self.json {
            true => say(
                &json!({"tokens": tokenizer.len(), "bytes_per_token": each, "out": self.out})
                    .to_string(),
            ),
            false => say(&format!(
                "{} tokens from {:.1} MB; {each:.2} bytes a token; wrote `{}`",
                tokenizer.len(),
                bytes as f64 / 1e6,
                self.out.display()
            )),
        }
    }
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery moxin pretrain --config toy.toml --out runs/toy

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
    /// Where to train
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Pretraining {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let plan = moxin::Pretrain::open(&self.config)?;
        let device = engine::device(&self.device)?;
        let place = Place {
            folder: &self.out,
            resume: self.resume,
            title: Some("pretrain"),
            context,
        };
        let model = plan.run(&device, self.bf16, &place)?;
        wrote(self.json, &model, json!({}))
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
    /// Print one JSON object
    #[arg(long)]
    json: bool,
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
            self.json,
            &self.out,
            json!({"after_blocks": places, "parameters": config.parameters()}),
        )
    }
}

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
    /// Seed of order and draws
    #[arg(long, default_value_t = 123)]
    seed: u64,
    /// Steps between checkpoints
    #[arg(long, value_name = "N", default_value_t = 100)]
    checkpoint_every: u64,
    /// Where to train
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

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

    fn place<'a>(&'a self, title: &'a str, context: Context) -> Place<'a> {
        Place {
            folder: &self.out,
            resume: self.resume,
            title: Some(title),
            context,
        }
    }

    fn done(&self, examples: &Examples<()>) -> Result<(), Failure> {
        if !is_quiet() {
            examples.troubles.iter().for_each(|line| tell(line));
        }
        let more = json!({"examples": examples.used.len(), "left_out": examples.left_out});
        wrote(self.json, &self.out.join("model"), more)
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
        let it = &self.tuning;
        let recipe = (&it.recipe((5e-6, 4096)), it.epochs(2.0)?, !self.mean);
        let place = it.place("sft", context);
        let done = moxin::sft(
            &it.model,
            &it.data,
            recipe,
            &engine::device(&it.device)?,
            &place,
        )?;
        it.done(&done)
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
        let it = &self.tuning;
        let usual = if self.sum {
            Preference::SUMMED
        } else {
            Preference::NORMALISED
        };
        let beta = self.beta.unwrap_or(usual.beta);
        if !(beta > 0.0 && beta.is_finite()) {
            return Err(Failure::input("give `--beta` above 0"));
        }
        let recipe = (
            &it.recipe((5e-7, 2048)),
            it.epochs(1.0)?,
            Preference { beta, ..usual },
        );
        let place = it.place("dpo", context);
        let done = moxin::dpo(
            &it.model,
            &it.data,
            recipe,
            &engine::device(&it.device)?,
            &place,
        )?;
        it.done(&done)
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
        let it = &self.tuning;
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
        let recipe = (&it.recipe((1e-6, 1024)), it.epochs(1.0)?, grpo);
        let place = it.place("grpo", context);
        let done = moxin::grpo(
            &it.model,
            &it.data,
            recipe,
            &engine::device(&it.device)?,
            &place,
        )?;
        it.done(&done)
    }
}

/// Says where the model is.
fn wrote(json: bool, model: &std::path::Path, more: serde_json::Value) -> Result<(), Failure> {
    match json {
        true => say(&json!({"model": model, "more": more}).to_string()),
        false => say(&format!("wrote `{}`", model.display())),
    }
}
