//! `orrery codearena generate`.

use std::path::PathBuf;

use base::command::{Context, Failure, Steps, print_json, report, warn};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::failures::incomplete;
use super::options::{ServerOptions, workers};
use super::shards::ShardOption;
use crate::codearena::generate::{ChatTemplate, GenerationConfig, MAX_TOKENS, answer_all};
use crate::codearena::item::read_items;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Template {
    /// The server's own
    Auto,
    /// CodeLlama's, sent as plain text
    Codellama,
}

/// Options of `generate`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery codearena generate --data CodeArena_v1.jsonl --endpoint http://127.0.0.1:8000/v1 --model Qwen2.5-Coder-7B-Instruct --out results.jsonl")]
pub struct Generate {
    /// The questions: the hub's CodeArena_v1.jsonl, or JSON lines with `messages` or `question`
    #[arg(long, alias = "input_path", value_name = "FILE")]
    data: PathBuf,
    /// The model's name on the server
    #[arg(long)]
    model: String,
    /// The server's base URL, or file:REPLIES.jsonl
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000/v1")]
    endpoint: String,
    /// Where the results go; answers stand in FILE.answers from the moment they are there
    #[arg(long, alias = "output_path", value_name = "FILE")]
    out: PathBuf,
    /// Chat template
    #[arg(long, alias = "chat_template", value_enum, default_value = "auto")]
    chat_template: Template,
    /// Sampling temperature, 0 for greedy
    #[arg(long, default_value_t = 0.0, value_parser = temperature)]
    temperature: f64,
    /// Maximum number of tokens of an answer
    #[arg(long, alias = "model_max_len", default_value_t = MAX_TOKENS, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_tokens: u32,
    /// Seed of the sampling, for servers that support it
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    shard: ShardOption,
    /// Questions at a time
    #[arg(long, default_value_t = 8, value_parser = workers())]
    workers: usize,
    #[command(flatten)]
    server: ServerOptions,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

fn temperature(text: &str) -> Result<f64, String> {
    base::command::number_in(text, 0.0, 2.0).map(f64::from)
}

impl Generate {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let items = read_items(&self.data)?;
        warn(&items.troubles);
        let model = self.server.model(&self.endpoint, &self.model, context)?;
        let plan = GenerationConfig {
            model: &model,
            name: &self.model,
            template: match self.chat_template {
                Template::Auto => ChatTemplate::Auto,
                Template::Codellama => ChatTemplate::CodeLlama,
            },
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            seed: self.seed,
            workers: self.workers,
            stop: context.stop,
        };
        let output = self.shard.output(&self.out)?;
        let (held, whole) = output.items(items.items, "generate", &[&self.model, &plan.settings()]);
        let mut steps = Steps::new("answering", self.json);
        let log = output.path.with_added_extension("answers");
        let outcome = answer_all(&held, &plan, &log, &mut |done, all| steps.at(done, all))?;
        steps.finish();
        if outcome.missing > 0 {
            let all = held.len();
            return Err(incomplete(
                context.stopped(),
                outcome.missing,
                all,
                "answers",
                outcome.error.as_ref(),
            ));
        }
        let (job, places) = whole.of(&outcome.answered);
        output.write(&outcome.answered, job, places, 0)?;
        if self.json {
            return print_json(&json!({
                "out": output.path.display().to_string(), "answers": outcome.answered.len(), "resumed": outcome.resumed,
                "made": outcome.made, "truncated": outcome.truncated,
            }));
        }
        report(
            false,
            &format!(
                "wrote {}: {} answers ({} from before), {} ended at the token limit{}",
                output.path.display(),
                outcome.answered.len(),
                outcome.resumed,
                outcome.truncated,
                output.note()
            ),
        )
    }
}
