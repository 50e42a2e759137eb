//! `orrery moxin generate` and `chat`.

use std::io::{BufRead, IsTerminal, Write};
use std::ops::ControlFlow;

use base::command::{Context, Failure, any_seed, eprint_line, number_in, print_json, print_line};
use base::rng::Rng;
use clap::Args;
use engine::decode::{GenerateOptions, Generation, Sampler, SamplerConfig, Session, generate};
use engine::models::decoder::Decoder;
use engine::text::{ChatInput, Tokenizer};
use engine::weights::hub::{HubSettings, resolve};
use serde_json::{Value, json};

use crate::moxin::{Message, Role, SystemError, encode_question};

/// Which model, and how it chooses.
#[derive(Args, Debug)]
pub struct Voice {
    /// A model's folder, a .gguf file, or OWNER/NAME on the hub
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// Temperature; 0 takes the best token
    #[arg(long, value_name = "T", default_value_t = 0.7, value_parser = temperature)]
    temperature: f32,
    /// Of the best so many tokens; 0 is all
    #[arg(long, value_name = "K", default_value_t = 50)]
    top_k: usize,
    /// Of the best tokens with this probability together
    #[arg(long, value_name = "P", default_value_t = 0.95, value_parser = probability)]
    top_p: f32,
    /// Tokens at most
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    max_new: u32,
    /// Seed of the choice
    #[arg(long)]
    seed: Option<u64>,
}

fn temperature(text: &str) -> Result<f32, String> {
    number_in(text, 0.0, 100.0)
}

fn probability(text: &str) -> Result<f32, String> {
    number_in(text, 0.0, 1.0).and_then(|p| match p > 0.0 {
        true => Ok(p),
        false => Err("give a number above 0, up to 1".into()),
    })
}

/// A model with its tokenizer.
pub(super) fn open(name: &str) -> Result<(Decoder, Tokenizer), Failure> {
    let path = resolve(name, &HubSettings::from_environment())?;
    let decoder = Decoder::open(&path).map_err(SystemError::from)?;
    let tokenizer = Tokenizer::open(&path)?;
    tokenizer.check_rows(decoder.config().vocab)?;
    Ok((decoder, tokenizer))
}

impl Voice {
    fn sampler(&self, seed: u64) -> Result<Sampler, Failure> {
        let config = SamplerConfig {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            ..SamplerConfig::default()
        };
        Ok(Sampler::new(config, Rng::new(seed)).map_err(SystemError::from)?)
    }

    /// Generates after `prompt`; `show` writes text as it comes.
    fn speak(
        &self,
        (decoder, tokenizer): &(Decoder, Tokenizer),
        prompt: &[u32],
        sampler: &mut Sampler,
        (show, context): (bool, Context),
    ) -> Result<Generation, Failure> {
        let options = GenerateOptions {
            max_tokens: self.max_new as usize,
            end: tokenizer.special().end.clone(),
            ..GenerateOptions::default()
        };
        let mut out = std::io::stdout();
        let made = generate(
            &mut Session::new(decoder),
            tokenizer,
            prompt,
            sampler,
            options,
            &mut |step| {
                let gone = show
                    && out
                        .write_all(step.text.as_bytes())
                        .and_then(|()| out.flush())
                        .is_err();
                match gone || context.stopped() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            },
        );
        let made = made.map_err(SystemError::from)?;
        if show {
            print_line(&made.tail)?;
        }
        Ok(made)
    }
}

#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery moxin generate --model runs/toy/1/model \"The sea is\" --max-new 60 --seed 1"
)]
pub struct Generate {
    #[command(flatten)]
    voice: Voice,
    /// What to go on from
    prompt: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Generate {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        if self.prompt.is_empty() {
            return Err(Failure::input(
                "the prompt is empty: write how the text begins",
            ));
        }
        let model = open(&self.voice.model)?;
        let prompt = [model.1.around().0, &model.1.encode(&self.prompt)?].concat();
        let seed = self.voice.seed.unwrap_or_else(any_seed);
        let mut sampler = self.voice.sampler(seed)?;
        let made = self
            .voice
            .speak(&model, &prompt, &mut sampler, (!self.json, context))?;
        if self.json {
            let tokens = made.ids.len();
            return print_json(
                &json!({"text": made.text, "tokens": tokens, "reason": made.reason, "seed": seed}),
            );
        }
        if context.stopped() {
            return Err(Failure::interrupted("stopped; what was generated is above"));
        }
        Ok(())
    }
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery moxin chat --model runs/sft/model
  orrery moxin chat --model runs/sft/model --question \"What is a cat?\" --json

Without --question each line that you type is a question; an empty line or the end of the input ends the talk.")]
pub struct Chat {
    #[command(flatten)]
    voice: Voice,
    /// Instructions before the first question
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// One question, and no talk
    #[arg(long, value_name = "TEXT")]
    question: Option<String>,
    /// Print one JSON object
    #[arg(long, requires = "question")]
    json: bool,
}

impl Chat {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let model = open(&self.voice.model)?;
        let seed = self.voice.seed.unwrap_or_else(any_seed);
        let mut sampler = self.voice.sampler(seed)?;
        let system = self
            .system
            .iter()
            .map(|text| Message::new(Role::System, text));
        let mut messages: Vec<Message> = system.collect();
        let mut ask = |question: &str, show: bool| -> Result<Generation, Failure> {
            messages.push(Message::new(Role::User, question));
            let prompt = prompt(&model, &messages, self.voice.max_new as usize)?;
            let made = self
                .voice
                .speak(&model, &prompt, &mut sampler, (show, context))?;
            messages.push(Message::new(Role::Assistant, made.text.trim()));
            Ok(made)
        };
        if let Some(question) = &self.question {
            if question.trim().is_empty() {
                return Err(Failure::input("the question is empty: write one"));
            }
            let made = ask(question, !self.json)?;
            if self.json {
                let tokens = made.ids.len();
                return print_json(
                    &json!({"text": made.text, "tokens": tokens, "reason": made.reason, "seed": seed}),
                );
            }
            return Ok(());
        }
        let typed = std::io::stdin().is_terminal();
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(|error| {
                Failure::input(format!(
                    "cannot read standard input: {error}: give UTF-8 text"
                ))
            })?;
            if line.trim().is_empty() || context.stopped() {
                break;
            }
            ask(&line, true)?;
            if typed {
                eprint_line("");
            }
        }
        Ok(())
    }
}

/// The tokens of a talk in the model's own format, else in Tulu's. Where it is too long, the oldest messages go.
fn prompt(
    (decoder, tokenizer): &(Decoder, Tokenizer),
    messages: &[Message],
    answer: usize,
) -> Result<Vec<u32>, Failure> {
    let limit = engine::models::decoder::Cache::new(decoder.config()).limit();
    let room = limit.saturating_sub(answer.min(limit / 2)).max(2);
    let encode = |messages: &[Message]| -> Result<Vec<u32>, Failure> {
        let Ok(template) = tokenizer.chat() else {
            return Ok(encode_question(tokenizer, messages, usize::MAX)?);
        };
        let mut input = ChatInput::new(&[]);
        let list: Vec<Value> = messages
            .iter()
            .filter_map(|it| serde_json::to_value(it).ok())
            .collect();
        input.messages = list;
        Ok(template.encode(tokenizer, &input)?)
    };
    let mut kept = messages.to_vec();
    loop {
        let ids = encode(&kept)?;
        if ids.len() < room {
            return Ok(ids);
        }
        let first = usize::from(kept.first().is_some_and(|it| it.role == Role::System));
        if kept.len() <= first + 1 {
            return Err(Failure::input(format!(
                "the question has {} tokens and the model takes {room}: shorten it",
                ids.len()
            )));
        }
        kept.drain(first..(first + 2).min(kept.len() - 1));
    }
}
