//! `orrery codearena judge`.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Steps, print_json, print_line, report, warn};
use clap::Args;
use serde_json::json;

use super::failures::incomplete;
use super::options::{ServerOptions, workers};
use super::shards::ShardOption;
use crate::codearena::backend::{self, FixedJudge, ModelJudge, RecordedJudge, RubricJudge};
use crate::codearena::config::JudgeConfig;
use crate::codearena::games::{GAMES, Matchup};
use crate::codearena::item::{BASELINE, Items, TOO_MANY_WORDS, read_items};
use crate::codearena::judging::{JudgingConfig, judge_all};

/// Options of `judge`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery codearena judge --results results.jsonl --judge https://api.openai.com/v1 --judge-model gpt-4o-2024-08-06 --judge-config judge_config.yaml --out judged.jsonl
  orrery codearena judge --results results.jsonl --judge rubric --out judged.jsonl
  orrery codearena judge --results results.jsonl --judge always:A>B --out biased.jsonl
  orrery codearena judge --results results.jsonl --judge https://api.openai.com/v1 --out judged.jsonl --shard 0/4

Lines of REPLIES.jsonl: {\"id\", \"game\": 0 or 1, \"replies\": [first attempt, second]}. `rubric` is a fixed rule that counts code, \
explanation and coverage; `always:A>B` shows what a biased judge does. What is judged already is not judged again: the same \
command goes on where it stood.")]
pub struct Judge {
    /// Answers of the model: output of `generate`, or of the official program
    #[arg(long, alias = "input_path", value_name = "FILE")]
    results: PathBuf,
    /// The judge: the base URL of an OpenAI-compatible server, `rubric`, `always:LABEL` or file:REPLIES.jsonl
    #[arg(long, value_name = "URL")]
    judge: String,
    /// The judge's name on its server
    #[arg(long, default_value = "gpt-4o")]
    judge_model: String,
    /// The baseline, whose answers are in the field NAME_response
    #[arg(long, alias = "baseline_name", default_value = BASELINE)]
    baseline: String,
    /// Wording, template and label pattern in the official YAML format [default: our own wording]
    #[arg(long, alias = "setting_file", value_name = "FILE")]
    judge_config: Option<PathBuf>,
    /// Where the judged items go; games stand in FILE.games from the moment they are over
    #[arg(
        long,
        alias = "output_path",
        value_name = "FILE",
        required_unless_present = "dry_run"
    )]
    out: Option<PathBuf>,
    #[command(flatten)]
    shard: ShardOption,
    /// Games at a time
    #[arg(long, default_value_t = 8, value_parser = workers())]
    workers: usize,
    /// Judge questions of 1024 words and more too, which the official program leaves out
    #[arg(long)]
    keep_long: bool,
    /// Play games again that have no label
    #[arg(long)]
    retry_unlabelled: bool,
    /// Count labels inside `<think>` blocks too, as the official program does
    #[arg(long)]
    keep_thinking: bool,
    /// Write the items whose games were played even if others are missing
    #[arg(long)]
    partial: bool,
    /// Print the first prompt and an estimate of the tokens, and send no request
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    server: ServerOptions,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

impl Judge {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let config = match &self.judge_config {
            Some(path) => JudgeConfig::read(path)?,
            None => JudgeConfig::builtin()?,
        };
        let items = read_items(&self.results)?;
        warn(&items.troubles);
        if self.dry_run {
            return self.dry_run(&config, &items);
        }
        let Some(out) = &self.out else {
            return Err(Failure::input("say where the judged items go with `--out`"));
        };
        let judge = self.backend(context)?;
        let plan = JudgingConfig {
            config: &config,
            judge: judge.as_ref(),
            baseline: &self.baseline,
            workers: self.workers,
            keep_long: self.keep_long,
            retry_unlabelled: self.retry_unlabelled,
            stop: context.stop,
        };
        let output = self.shard.output(out)?;
        let (wording, name) = (format!("{:016x}", config.fingerprint()), judge.name());
        let settings = [
            wording.as_str(),
            &name,
            &self.baseline,
            if self.keep_long { "long" } else { "" },
        ];
        let (held, whole) = output.items(items.items, "judge", &settings);
        let mut steps = Steps::new("judging", self.json);
        let log = output.path.with_added_extension("games");
        let outcome = judge_all(&held, &plan, &log, &mut |done, all| steps.at(done, all))?;
        steps.finish();
        warn(&outcome.troubles);
        let all = outcome.resumed + outcome.played + outcome.missing;
        if all == 0 && output.shard.is_none() {
            return Err(Failure::input(format!(
                "no item of `{}` has an answer of the model, one of `{}` and a question of fewer than {TOO_MANY_WORDS} words: nothing to judge",
                self.results.display(),
                self.baseline
            )));
        }
        let partial = self.partial && !outcome.judged.is_empty() && !context.stopped();
        let (job, places) = whole.of(&outcome.judged);
        if outcome.missing == 0 || partial {
            output.write(&outcome.judged, job, places, outcome.missing)?;
        }
        if outcome.missing > 0 {
            return Err(incomplete(
                context.stopped(),
                outcome.missing,
                all,
                "games",
                outcome.error.as_ref(),
            ));
        }
        if self.json {
            return print_json(&json!({
                "out": output.path.display().to_string(), "items": outcome.judged.len(), "labelled_games": outcome.labelled, "resumed_games": outcome.resumed, "played_games": outcome.played,
                "too_long": outcome.long, "left_out": outcome.troubles.len() + items.troubles.len(),
            }));
        }
        let long = match outcome.long {
            0 => String::new(),
            n => format!(", {n} left out with {TOO_MANY_WORDS} words or more"),
        };
        report(
            false,
            &format!(
                "wrote {}: {} items, {} games now and {} before, {} with a label{long}{}",
                output.path.display(),
                outcome.judged.len(),
                outcome.played,
                outcome.resumed,
                outcome.labelled,
                output.note()
            ),
        )
    }

    fn backend(&self, context: Context) -> Result<Box<dyn backend::Judge>, Failure> {
        if self.judge == "rubric" {
            return Ok(Box::new(RubricJudge));
        }
        if let Some(label) = self.judge.strip_prefix("always:") {
            return Ok(Box::new(FixedJudge::new(label).map_err(Failure::input)?));
        }
        if let Some(path) = self.judge.strip_prefix("file:") {
            let (judge, troubles) = RecordedJudge::read(Path::new(path))?;
            warn(&troubles);
            return Ok(Box::new(judge));
        }
        let model = self.server.model(&self.judge, &self.judge_model, context)?;
        Ok(Box::new(ModelJudge {
            model,
            keep_thinking: self.keep_thinking,
        }))
    }

    /// What would be asked, and about how much of it: four characters a token.
    fn dry_run(&self, config: &JudgeConfig, items: &Items) -> Result<(), Failure> {
        let mut first = None;
        let (mut games, mut characters) = (0, 0);
        for item in &items.items {
            let (Some(model), Some(baseline)) =
                (item.text("response"), item.baseline(&self.baseline))
            else {
                continue;
            };
            if !self.keep_long && item.words() >= TOO_MANY_WORDS {
                continue;
            }
            let the_match = Matchup {
                id: &item.id,
                question: &item.question,
                baseline,
                model,
            };
            let [a, b] = the_match.answers(0);
            let prompts = config
                .templates
                .iter()
                .map(|template| template.fill(&item.question, a, b));
            let prompt = prompts.collect::<Vec<_>>().join("\n\n");
            games += GAMES;
            characters += GAMES * (prompt.chars().count() + config.system_prompt.chars().count());
            first.get_or_insert(prompt);
        }
        if self.json {
            return print_json(
                &json!({"games": games, "prompt_tokens": characters / 4, "first_prompt": first}),
            );
        }
        print_line(&format!(
            "{}\n\n{}\n\n{games} games, about {} prompt tokens",
            config.system_prompt,
            first.unwrap_or_default(),
            characters / 4
        ))
    }
}
