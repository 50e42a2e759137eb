//! Group-relative policy optimisation: answers are drawn from the model, rewarded, and compared within their group.

use std::path::Path;

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use engine::decode::SamplerConfig;
use engine::models::causal_lm::{CausalLm, CausalLmConfig, IGNORED, Sequences};
use engine::text::Tokenizer;
use engine::train::{Task, TaskError};
use serde_json::json;

use super::reward::reward;
use super::rollout::answers;
use super::student::Student;
use super::training::{Place, Recipe, order_of};
use super::tuning::{Examples, messages_at, text_at};
use super::{GrpoLimits, Message, Role, SystemError, encode_question, group_advantages, grpo_loss};

/// A question with its answer.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Its tokens, up to where the answer begins.
    pub prompt: Vec<u32>,
    /// The right answer.
    pub answer: String,
}

/// How answers are drawn and what is made of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grpo {
    /// Answers to each question.
    pub group: usize,
    /// Tokens of an answer at most.
    pub longest: usize,
    /// Temperature of the draws.
    pub temperature: f32,
    /// How far a step may go.
    pub limits: GrpoLimits,
    /// An answer must state its result, such as `#### 7`.
    pub strict: bool,
}

impl Default for Grpo {
    fn default() -> Self {
        Self {
            group: 8,
            longest: 256,
            temperature: 0.6,
            limits: GrpoLimits {
                clip: 0.2,
                kl: 1e-3,
            },
            strict: true,
        }
    }
}

/// Reads `{"prompt" or "messages", "answer"}` a line.
///
/// # Errors
/// [`SystemError::Input`] where no line can be used.
pub fn read_problems(
    path: &Path,
    tokenizer: &Tokenizer,
    length: usize,
) -> Result<Examples<Problem>, SystemError> {
    Examples::read(path, "problem", &mut |record| {
        let messages = match messages_at(record, "messages")? {
            Some(messages) => messages,
            None => {
                let prompt = text_at(record, "prompt").or(text_at(record, "question"));
                let prompt =
                    prompt.ok_or_else(|| SystemError::Input("it has no `prompt`".into()))?;
                vec![Message::new(Role::User, prompt)]
            }
        };
        let answer = text_at(record, "answer").filter(|answer| !answer.trim().is_empty());
        let answer = answer.ok_or_else(|| SystemError::Input("it has no `answer`".into()))?;
        let prompt = encode_question(tokenizer, &messages, usize::MAX)?;
        match prompt.len() > length {
            true => Err(SystemError::Input(format!(
                "its question has more than {length} tokens"
            ))),
            false => Ok(Problem {
                prompt,
                answer: answer.to_owned(),
            }),
        }
    })
}

/// GRPO with one update for each set of answers.
pub struct ProblemsTask<'a> {
    /// The problems.
    pub problems: &'a [Problem],
    /// For text of answers.
    pub tokenizer: &'a Tokenizer,
    /// Sizes of the model.
    pub config: &'a CausalLmConfig,
    /// The model at the start, without gradients.
    pub reference: &'a CausalLm,
    /// How answers are drawn.
    pub grpo: Grpo,
    /// How they are used; `batch` questions a step.
    pub recipe: &'a Recipe,
    /// The model's device.
    pub device: Device,
}

impl ProblemsTask<'_> {
    /// Draws answers to problems and rewards them: problem, answer, reward.
    ///
    /// # Errors
    /// [`SystemError`].
    pub fn draw(
        &self,
        model: &CausalLm,
        chosen: &[usize],
        rng: &Rng,
    ) -> Result<Vec<(usize, Vec<u32>, f32)>, SystemError> {
        let decoder = model.decoder(self.config)?;
        let prompts: Vec<Vec<u32>> = chosen
            .iter()
            .map(|&at| self.problems[at].prompt.clone())
            .collect();
        let config = SamplerConfig {
            temperature: self.grpo.temperature,
            ..SamplerConfig::default()
        };
        let end = &self.tokenizer.special().end;
        let counts = (self.grpo.group, self.grpo.longest);
        let drawn = answers(&decoder, &prompts, counts, (&config, end), rng)?;
        let mut all = Vec::with_capacity(drawn.len());
        for (number, ids) in drawn.into_iter().enumerate() {
            let at = chosen[number / self.grpo.group.max(1)];
            let text = self.tokenizer.decode(&ids)?;
            let reward = reward(&text, &self.problems[at].answer, self.grpo.strict);
            all.push((at, ids, reward));
        }
        Ok(all)
    }
}

impl Task for ProblemsTask<'_> {
    type Model = CausalLm;
    type Batch = (Vec<usize>, Rng);

    fn batch(&self, step: u64, rng: &mut Rng) -> Result<Self::Batch, TaskError> {
        let chosen = order_of(
            self.recipe.seed,
            self.problems.len(),
            step,
            self.recipe.batch,
        );
        Ok((chosen, rng.split()))
    }

    fn loss(
        &self,
        model: &CausalLm,
        (chosen, rng): Self::Batch,
    ) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let drawn = match self.draw(&model.valid(), &chosen, &rng) {
            Ok(drawn) if !drawn.is_empty() => drawn,
            // The trainer leaves out steps whose loss is not a number, and gives up after a hundred.
            failed => {
                if let Err(error) = failed {
                    base::command::eprint_line(&format!("no answers can be drawn: {error}"));
                }
                let nothing = model.model.norm.weight.val().sum() * f32::NAN;
                return (nothing.reshape([1]), Vec::new());
            }
        };
        let rows: Vec<(Vec<u32>, Vec<i32>)> = drawn
            .iter()
            .map(|(at, answer, _)| {
                let prompt = &self.problems[*at].prompt;
                let masked = std::iter::repeat_n(IGNORED, prompt.len());
                let labels = masked.chain(answer.iter().map(|&id| id as i32));
                ([prompt.as_slice(), answer].concat(), labels.collect())
            })
            .collect();
        let sequences = Sequences::padded(&rows, 0);
        let shape = [sequences.batch, sequences.length];
        let rewards: Vec<f32> = drawn.iter().map(|(_, _, reward)| *reward).collect();
        let groups: Vec<i64> = (0..drawn.len())
            .map(|at| (at / self.grpo.group.max(1)) as i64)
            .collect();
        let advantages = group_advantages(&rewards, &groups);
        let shifted = sequences.shifted();
        let mask: Vec<f32> = shifted
            .iter()
            .map(|&label| f32::from(u8::from(label != IGNORED)))
            .collect();
        let spread: Vec<f32> = mask
            .iter()
            .enumerate()
            .map(|(at, it)| it * advantages[at / shape[1].max(1)])
            .collect();
        let tensor = |values: Vec<f32>| -> Tensor<2> {
            Tensor::from_data(TensorData::new(values, shape), &self.device)
        };
        let new = model.log_probabilities(&sequences, None);
        let old = new.clone().detach();
        let fixed = self
            .reference
            .log_probabilities(&sequences, None)
            .into_data();
        let fixed = tensor(fixed.iter::<f32>().collect());
        let found = grpo_loss(
            [new, old, fixed],
            tensor(spread),
            tensor(mask),
            &self.grpo.limits,
        );
        let mean = rewards.iter().sum::<f32>() / rewards.len() as f32;
        let tokens: usize = drawn.iter().map(|(_, answer, _)| answer.len()).sum();
        let figures = vec![
            ("reward", mean),
            ("kl", found.kl.into_scalar::<f32>()),
            ("answer_tokens", tokens as f32 / drawn.len() as f32),
        ];
        (found.total, figures)
    }

    fn samples(&self) -> usize {
        self.recipe.batch * self.grpo.group
    }
}

/// Trains the model in the folder `from` on problems and leaves it in `place.folder/model`.
///
/// # Errors
/// [`SystemError`].
pub fn grpo(
    from: &Path,
    data: &Path,
    (recipe, epochs, grpo): (&Recipe, Option<f64>, Grpo),
    device: &Device,
    place: &Place<'_>,
) -> Result<Examples<()>, SystemError> {
    if grpo.group == 0
        || grpo.longest == 0
        || !(grpo.temperature > 0.0 && grpo.temperature <= 100.0)
    {
        return Err(SystemError::Input(
            "answers are drawn in groups: give at least one answer of one token, and a temperature above 0".into(),
        ));
    }
    let student = Student::open(from, recipe, device)?;
    let room = student
        .config
        .max_position_embeddings
        .saturating_sub(grpo.longest);
    let read = read_problems(data, &student.tokenizer, recipe.length.min(room))?;
    let recipe = Recipe {
        accumulation: 1,
        ..recipe.clone()
    };
    let recipe = recipe.over(read.used.len(), epochs, 0)?;
    place.begin(&json!({
        "stage": "grpo", "from": base::files::shown(from), "data": base::files::shown(data), "problems": read.used.len(), "recipe": recipe, "group": grpo.group,
        "longest": grpo.longest, "temperature": grpo.temperature, "kl": grpo.limits.kl, "clip": grpo.limits.clip,
        "strict": grpo.strict,
    }))?;
    let reference = student.frozen();
    let task = ProblemsTask {
        problems: &read.used,
        tokenizer: &student.tokenizer,
        config: &student.config,
        reference: &reference,
        grpo,
        recipe: &recipe,
        device: device.clone().autodiff(),
    };
    let trained = place.train(&task, student.model.clone(), &recipe)?;
    student.leave(&trained.model, &recipe, place)?;
    Ok(read.without_examples())
}
