//! Direct preference optimisation on pairs of answers.

use std::path::Path;

use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};
use engine::models::causal_lm::{CausalLm, Dropout, Sequences};
use engine::text::Tokenizer;
use engine::train::{Task, TaskError};
use engine::weights::{Precision, TensorFile, Weights};
use serde_json::json;

use super::student::Student;
use super::training::{Place, Recipe, mean_loss, order_of};
use super::tuning::{Examples, answer_of, messages_at, text_at};
use super::{
    Encoded, Message, Role, SystemError, answer_log_probabilities, dpo_loss, encode_messages,
};

/// Pairs whose reference log-probabilities are computed at once.
const AT_ONCE: usize = 8;

/// Two answers to the same question.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The better one.
    pub chosen: Encoded,
    /// The other.
    pub rejected: Encoded,
}

/// What the loss is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preference {
    /// How far the policy may go from the reference; small is far.
    pub beta: f32,
    /// Means over the tokens of an answer in place of sums.
    pub normalised: bool,
}

impl Preference {
    /// Moxin's: β 5, means.
    pub const NORMALISED: Self = Self {
        beta: 5.0,
        normalised: true,
    };
    /// The first paper's: β 0.1, sums.
    pub const SUMMED: Self = Self {
        beta: 0.1,
        normalised: false,
    };
}

/// Reads pairs: `chosen` and `rejected` are answers to `prompt`, or whole conversations that differ in their last message.
///
/// # Errors
/// [`SystemError::Input`] where no line can be used.
pub fn read_pairs(
    path: &Path,
    tokenizer: &Tokenizer,
    length: usize,
) -> Result<Examples<Pair>, SystemError> {
    Examples::read(path, "pair", &mut |record| {
        let side = |name: &str| -> Result<Encoded, SystemError> {
            let missing = || SystemError::Input(format!("it has no `{name}` answer"));
            let messages = match messages_at(record, name)? {
                Some(messages) => messages,
                None => {
                    let answer = text_at(record, name).ok_or_else(missing)?;
                    let mut messages = match messages_at(record, "prompt")? {
                        Some(messages) => messages,
                        None => {
                            let prompt = text_at(record, "prompt");
                            let prompt = prompt
                                .ok_or_else(|| SystemError::Input("it has no `prompt`".into()))?;
                            vec![Message::new(Role::User, prompt)]
                        }
                    };
                    messages.push(Message::new(Role::Assistant, answer));
                    messages
                }
            };
            let (before, answer) = answer_of(messages).ok_or_else(missing)?;
            let mut encoded =
                encode_messages(tokenizer, &[before.as_slice(), &[answer]].concat(), length)?;
            // Earlier answers are the same on both sides and have no part.
            let context = super::encode_question(tokenizer, &before, usize::MAX)?.len();
            let masked = context.min(encoded.labels.len());
            encoded.labels[..masked].fill(engine::models::causal_lm::IGNORED);
            match encoded.is_silent() {
                true => Err(SystemError::Input(format!(
                    "its `{name}` answer begins after {length} tokens"
                ))),
                false => Ok(encoded),
            }
        };
        Ok(Pair {
            chosen: side("chosen")?,
            rejected: side("rejected")?,
        })
    })
}

/// The log-probabilities of both answers of `pairs`, `[pairs]` each: means where `normalised`, else sums.
fn scores(
    model: &CausalLm,
    pairs: &[&Pair],
    normalised: bool,
    mut dropout: Option<Dropout>,
) -> [Tensor<1>; 2] {
    [0, 1].map(|side| {
        let row = |pair: &&Pair| {
            let answer = if side == 0 {
                &pair.chosen
            } else {
                &pair.rejected
            };
            (answer.ids.clone(), answer.labels.clone())
        };
        let sequences = Sequences::padded(&pairs.iter().map(row).collect::<Vec<_>>(), 0);
        let counts: Vec<usize> = sequences
            .shifted()
            .chunks(sequences.length.max(1))
            .map(|row| row.iter().filter(|&&label| label >= 0).count())
            .collect();
        let tokens = model.log_probabilities(&sequences, dropout.as_mut());
        let [sum, mean] = answer_log_probabilities(tokens, &counts);
        if normalised { mean } else { sum }
    })
}

/// Preferences of a reference model, `[chosen, rejected]` of each pair.
pub fn reference_scores(model: &CausalLm, pairs: &[Pair], normalised: bool) -> Vec<[f32; 2]> {
    let mut all = Vec::with_capacity(pairs.len());
    for part in pairs.chunks(AT_ONCE) {
        let part: Vec<&Pair> = part.iter().collect();
        let values = scores(model, &part, normalised, None)
            .map(|side| side.into_data().iter::<f32>().collect::<Vec<f32>>());
        all.extend(values[0].iter().zip(&values[1]).map(|(a, b)| [*a, *b]));
    }
    all
}

/// DPO on pairs whose reference log-probabilities are known.
pub struct PairsTask<'a> {
    /// The pairs.
    pub pairs: &'a [Pair],
    /// Of the reference, one a pair.
    pub reference: &'a [[f32; 2]],
    /// The loss.
    pub preference: Preference,
    /// How they are used.
    pub recipe: &'a Recipe,
    /// The model's device.
    pub device: Device,
}

impl Task for PairsTask<'_> {
    type Model = CausalLm;
    type Batch = Vec<(Vec<usize>, Option<Dropout>)>;

    fn batch(&self, step: u64, rng: &mut Rng) -> Result<Self::Batch, TaskError> {
        let each = self.recipe.batch * self.recipe.accumulation;
        let chosen = order_of(self.recipe.seed, self.pairs.len(), step, each);
        let micro = chosen.chunks(self.recipe.batch);
        Ok(micro
            .map(|part| (part.to_vec(), self.recipe.drops(rng)))
            .collect())
    }

    fn loss(&self, model: &CausalLm, batch: Self::Batch) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let (mut losses, mut margin, mut right, mut count) = (Vec::new(), 0.0, 0.0, 0.0);
        for (part, dropout) in batch {
            let pairs: Vec<&Pair> = part.iter().map(|&at| &self.pairs[at]).collect();
            let policy = scores(model, &pairs, self.preference.normalised, dropout);
            let fixed = [0, 1].map(|side| {
                let values: Vec<f32> = part.iter().map(|&at| self.reference[at][side]).collect();
                Tensor::from_data(TensorData::new(values, [part.len()]), &self.device)
            });
            let found = dpo_loss(policy, fixed, self.preference.beta);
            let margins = (found.chosen - found.rejected).into_data();
            for it in margins.iter::<f32>() {
                margin += it;
                right += f32::from(u8::from(it > 0.0));
                count += 1.0;
            }
            losses.push(found.loss.mean());
        }
        let loss = mean_loss(losses, &self.device);
        (
            loss,
            vec![("margin", margin / count), ("accuracy", right / count)],
        )
    }

    fn samples(&self) -> usize {
        self.recipe.batch * self.recipe.accumulation
    }
}

/// Trains the model in the folder `from` on pairs and leaves it in `place.folder/model`. The reference is the model as it was;
/// what it says is computed once and kept beside the run. The rate rises over a tenth of the steps where the recipe says
/// nothing.
///
/// # Errors
/// [`SystemError`].
pub fn dpo(
    from: &Path,
    data: &Path,
    (recipe, epochs, preference): (&Recipe, Option<f64>, Preference),
    device: &Device,
    place: &Place<'_>,
) -> Result<Examples<()>, SystemError> {
    let student = Student::open(from, recipe, device)?;
    let read = read_pairs(
        data,
        &student.tokenizer,
        recipe.length.min(student.config.max_position_embeddings),
    )?;
    let recipe = recipe.over(read.used.len(), epochs, 10)?;
    place.begin(&json!({
        "stage": "dpo", "from": base::files::shown(from), "data": base::files::shown(data), "pairs": read.used.len(), "recipe": recipe,
        "beta": preference.beta, "normalised": preference.normalised,
    }))?;
    let kept = place.folder.join("reference.safetensors");
    let reference = match Weights::open(&kept)
        .ok()
        .and_then(|file| file.values("scores").ok())
    {
        Some(values) if values.len() == 2 * read.used.len() => values
            .chunks_exact(2)
            .map(|pair| [pair[0], pair[1]])
            .collect(),
        _ => {
            let scores = reference_scores(&student.frozen(), &read.used, preference.normalised);
            let mut file = TensorFile::new();
            file.floats(
                "scores",
                &[scores.len(), 2],
                &scores.concat(),
                Precision::F32,
            )
            .and_then(|()| file.write(&kept))
            .map_err(|error| SystemError::CausalLm(error.into()))?;
            scores
        }
    };
    let task = PairsTask {
        pairs: &read.used,
        reference: &reference,
        preference,
        recipe: &recipe,
        device: device.clone().autodiff(),
    };
    let trained = place.train(&task, student.model.clone(), &recipe)?;
    student.leave(&trained.model, &recipe, place)?;
    Ok(read.without_examples())
}
