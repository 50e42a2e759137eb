//! Supervised fine-tuning on conversations and completions.

use std::path::Path;

use base::job::jsonl::{self, Record};
use base::rng::Rng;
use burn::tensor::{Device, Tensor};
use engine::models::causal_lm::{CausalLm, Dropout, LossOptions, Sequences};
use engine::text::Tokenizer;
use engine::train::{Task, TaskError};
use serde_json::{Value, json};

use super::student::Student;
use super::training::{Place, Recipe, mean_loss, order_of};
use super::{Encoded, Message, Role, SystemError, encode_completion, encode_messages};

/// What became of the examples of a file.
#[derive(Clone, Debug, Default)]
pub struct Examples<T> {
    /// Those that are used.
    pub used: Vec<T>,
    /// Lines that were left out, and why; the first few.
    pub troubles: Vec<String>,
    /// How many were left out.
    pub left_out: usize,
}

impl<T> Examples<T> {
    /// Makes an example of each object in a file of JSON lines; what cannot be one is left out.
    ///
    /// # Errors
    /// [`SystemError::Input`] where the file cannot be read, or nothing in it can be used.
    pub(crate) fn read(
        path: &Path,
        what: &str,
        make: &mut dyn FnMut(&Record) -> Result<T, SystemError>,
    ) -> Result<Self, SystemError> {
        let read = jsonl::read(path).map_err(|error| SystemError::Input(error.to_string()))?;
        let mut all = Self {
            left_out: read.troubles.len(),
            troubles: read.troubles,
            used: Vec::new(),
        };
        for (line, record) in read.records {
            match make(&record) {
                Ok(example) => all.used.push(example),
                Err(error) => {
                    all.left_out += 1;
                    all.troubles.push(format!(
                        "`{}` line {line}: {error}: left out",
                        path.display()
                    ));
                }
            }
        }
        all.troubles.truncate(5);
        match (all.used.is_empty(), all.troubles.first()) {
            (true, Some(first)) => Err(SystemError::Input(format!(
                "no example can be used; {first}"
            ))),
            (true, None) => Err(SystemError::Input(format!(
                "`{}` holds no {what}",
                path.display()
            ))),
            _ => Ok(all),
        }
    }
}

impl<T> Examples<T> {
    /// The counts and troubles alone.
    pub(super) fn without_examples(self) -> Examples<()> {
        Examples {
            used: vec![(); self.used.len()],
            troubles: self.troubles,
            left_out: self.left_out,
        }
    }
}

/// A list of messages at `name`.
pub(super) fn messages_at(
    record: &Record,
    name: &str,
) -> Result<Option<Vec<Message>>, SystemError> {
    match record.get(name) {
        Some(Value::Array(list)) if !list.is_empty() => {
            let parsed = serde_json::from_value(Value::Array(list.clone()));
            parsed.map(Some).map_err(|error| {
                SystemError::Input(format!("`{name}` is not a list of messages ({error})"))
            })
        }
        _ => Ok(None),
    }
}

/// The text at `name`.
pub(crate) fn text_at<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record.get(name).and_then(Value::as_str)
}

/// Reads `{"messages": [{"role", "content"}…]}` or `{"prompt", "completion"}` a line.
///
/// # Errors
/// [`SystemError::Input`] where no line can be used.
pub fn read_examples(
    path: &Path,
    tokenizer: &Tokenizer,
    length: usize,
) -> Result<Examples<Encoded>, SystemError> {
    Examples::read(path, "conversation", &mut |record| {
        let encoded = match messages_at(record, "messages")? {
            Some(messages) => encode_messages(tokenizer, &messages, length)?,
            None => match (text_at(record, "prompt"), text_at(record, "completion")) {
                (Some(prompt), Some(completion)) => {
                    encode_completion(tokenizer, prompt, completion, length)?
                }
                _ => {
                    return Err(SystemError::Input(
                        "it has neither `messages` nor `prompt` and `completion`".into(),
                    ));
                }
            },
        };
        match encoded.is_silent() {
            true => Err(SystemError::Input(format!(
                "nothing is learned from its first {length} tokens"
            ))),
            false => Ok(encoded),
        }
    })
}

/// Fine-tuning on encoded examples.
pub struct ExamplesTask<'a> {
    /// The examples.
    pub examples: &'a [Encoded],
    /// How they are used.
    pub recipe: &'a Recipe,
    /// Sum over tokens, or mean.
    pub sum: bool,
    /// The model's device.
    pub device: Device,
}

impl Task for ExamplesTask<'_> {
    type Model = CausalLm;
    type Batch = Vec<(Sequences, Option<Dropout>)>;

    fn batch(&self, step: u64, rng: &mut Rng) -> Result<Self::Batch, TaskError> {
        let each = self.recipe.batch * self.recipe.accumulation;
        let chosen = order_of(self.recipe.seed, self.examples.len(), step, each);
        let micro = chosen.chunks(self.recipe.batch).map(|part| {
            let rows: Vec<(Vec<u32>, Vec<i32>)> = part
                .iter()
                .map(|&at| {
                    (
                        self.examples[at].ids.clone(),
                        self.examples[at].labels.clone(),
                    )
                })
                .collect();
            (Sequences::padded(&rows, 0), self.recipe.drops(rng))
        });
        Ok(micro.collect())
    }

    fn loss(&self, model: &CausalLm, batch: Self::Batch) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let options = LossOptions {
            smoothing: self.recipe.smoothing,
            sum: self.sum,
        };
        let tokens: usize = batch.iter().map(|(sequences, _)| sequences.counted()).sum();
        let losses = batch
            .into_iter()
            .map(|(sequences, mut dropout)| model.loss(&sequences, &options, dropout.as_mut()));
        let loss = mean_loss(losses.collect(), &self.device);
        (loss, vec![("learned_tokens", tokens as f32)])
    }

    fn samples(&self) -> usize {
        self.recipe.batch * self.recipe.accumulation
    }
}

/// Steps that `epochs` over `count` examples take.
pub fn steps_of(count: usize, epochs: f64, recipe: &Recipe) -> u64 {
    let each = (recipe.batch * recipe.accumulation).max(1) as f64;
    (count as f64 * epochs / each).ceil().max(1.0) as u64
}

/// Fine-tunes the model in the folder `from` on `data` and leaves it in `place.folder/model`. Steps are those of the recipe, or
/// so many as `epochs` take; the rate rises over 3 % of them where the recipe says nothing.
///
/// # Errors
/// [`SystemError`].
pub fn sft(
    from: &Path,
    data: &Path,
    (recipe, epochs, sum): (&Recipe, Option<f64>, bool),
    device: &Device,
    place: &Place<'_>,
) -> Result<Examples<()>, SystemError> {
    let student = Student::open(from, recipe, device)?;
    let read = read_examples(
        data,
        &student.tokenizer,
        recipe.length.min(student.config.max_position_embeddings),
    )?;
    let recipe = recipe.over(read.used.len(), epochs, 3)?;
    place.begin(&json!({
        "stage": "sft", "from": base::files::shown(from), "data": base::files::shown(data), "examples": read.used.len(), "recipe": recipe, "sum": sum,
    }))?;
    let task = ExamplesTask {
        examples: &read.used,
        recipe: &recipe,
        sum,
        device: device.clone().autodiff(),
    };
    let trained = place.train(&task, student.model.clone(), &recipe)?;
    student.leave(&trained.model, &recipe, place)?;
    Ok(read.without_examples())
}

/// The last message, which must be the assistant's, and those before it.
pub(super) fn answer_of(mut messages: Vec<Message>) -> Option<(Vec<Message>, Message)> {
    let last = messages.pop()?;
    (last.role == Role::Assistant).then_some((messages, last))
}
