//! A Q-Former to begin with where there is no pretrained one. Its image tower learns to tell apart what pictures show, as CLIP's did,
//! and its queries to tell of a picture what a word asks for, as BLIP-Diffusion's did.

use std::collections::BTreeSet;

use base::command::{Context, Failure};
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::models::qformer::{QFormer, QFormerConfig, QFormerTextConfig, QFormerVisionConfig};
use engine::nn::{Linear, LinearConfig};
use engine::ops::{CrossEntropyOptions, cross_entropy};

use super::SystemError;
use super::data::{Record, picture};
use super::preprocess::batch;
use super::tags::{TagTokenizer, word_for};
use super::taxonomy::Taxonomy;
use crate::fit::fit;

/// Stands for an answer that is not known.
const UNKNOWN: i64 = -1;
/// Peak rate of a tower.
const RATE: f64 = 1e-3;

/// Sizes of a Q-Former that a few thousand small pictures can teach: two layers of width 64 over a tower of two, eight queries.
/// Pictures are `side` pixels high and wide, in patches of an eighth of that.
pub fn small(side: usize, vocabulary: usize) -> QFormerConfig {
    const WIDTH: usize = 64;
    QFormerConfig {
        vision_config: QFormerVisionConfig {
            hidden_size: WIDTH,
            intermediate_size: 2 * WIDTH,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            image_size: side,
            patch_size: (side / 8).max(1),
            ..QFormerVisionConfig::default()
        },
        qformer_config: QFormerTextConfig {
            vocab_size: vocabulary,
            hidden_size: WIDTH,
            intermediate_size: 2 * WIDTH,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            encoder_hidden_size: WIDTH,
            max_position_embeddings: 64,
            ..QFormerTextConfig::default()
        },
        num_query_tokens: 8,
    }
}

/// The word that asks for all of a picture.
pub const ALL: &str = "reference";

/// A small Q-Former that tells subjects and attributes of `records` apart, and attributes by the words of `taxonomy`; a quarter of the
/// pictures goes with [`ALL`].
///
/// # Errors
/// As [`pretrained`]; pictures that cannot be read.
pub fn of_records(
    records: &[Record],
    config: &QFormerConfig,
    (taxonomy, tokenizer): (&Taxonomy, &TagTokenizer),
    steps: u64,
    (context, rng, device): (Context, &Rng, &Device),
) -> Result<QFormer, Failure> {
    /// Pictures of a step.
    const BATCH: usize = 32;
    let side = config.vision_config.image_size;
    let subjects: BTreeSet<&str> = records.iter().map(|it| it.subject.as_str()).collect();
    let all = || records.iter().flat_map(|it| &it.attributes);
    let groups: BTreeSet<&str> = all().map(|(group, _)| group.as_str()).collect();
    let entries = |group: &str| -> BTreeSet<&str> {
        let of = all().filter(|(of, _)| of == group);
        of.map(|(_, entry)| entry.as_str()).collect()
    };
    let mut questions = vec![subjects];
    questions.extend(groups.iter().map(|group| entries(group)));
    let choices: Vec<usize> = questions.iter().map(BTreeSet::len).collect();
    let place = |question: &BTreeSet<&str>, said: &str| question.iter().position(|it| *it == said);
    pretrained(config, &choices, steps, (context, rng, device), |rng| {
        let some: Vec<&Record> = (0..BATCH)
            .map(|_| &records[rng.below(records.len())])
            .collect();
        let pictures = some
            .iter()
            .map(|it| {
                picture(
                    &it.image,
                    it.grid,
                    rng.below((it.grid * it.grid) as usize) as u32,
                )
            })
            .collect::<Result<Vec<_>, _>>()?;
        let subjects = some.iter().map(|it| place(&questions[0], &it.subject));
        let mut answers = vec![subjects.collect()];
        for (group, entries) in groups.iter().zip(&questions[1..]) {
            let said = |it: &&Record| {
                let own = it.attributes.iter().find(|(of, _)| of == group)?;
                place(entries, &own.1)
            };
            answers.push(some.iter().map(said).collect());
        }
        let words = some
            .iter()
            .map(|it| match rng.chance(0.25) {
                true => Ok((tokenizer.encode(ALL)?, None)),
                false => {
                    let (group, _) = &it.attributes[rng.below(it.attributes.len())];
                    let word = word_for(taxonomy, group, true, rng);
                    let question = groups.iter().position(|of| of == group);
                    Ok((tokenizer.encode(word)?, question.map(|at| at + 1)))
                }
            })
            .collect::<Result<Vec<_>, SystemError>>()?;
        Ok(Shown {
            pictures: batch(&pictures, side, None, device),
            answers,
            words,
        })
    })
}

/// Pictures and what is known of them.
pub struct Shown {
    /// `[batch, 3, side, side]`, CLIP's mean and deviation taken out.
    pub pictures: Tensor<4>,
    /// Of each question, the answer of each picture, below the question's number of choices.
    pub answers: Vec<Vec<Option<usize>>>,
    /// The word that goes with each picture, in tokens, and the question that it asks; none for all of them.
    pub words: Vec<(Vec<u32>, Option<usize>)>,
}

/// A Q-Former with linear readings for each question: of the mean of the tower's tokens, and of the mean of the queries' features.
#[derive(Module, Debug)]
struct Answering {
    qformer: QFormer,
    seen: Vec<Linear>,
    told: Vec<Linear>,
}

impl Answering {
    /// Cross-entropy of the tower's answers to all questions and of the queries' to those that are asked, `[1]`.
    fn loss(&self, shown: Shown) -> Result<Tensor<1>, Failure> {
        let device = shown.pictures.device();
        let tokens = self.qformer.see(shown.pictures).map_err(Failure::failed)?;
        let words: Vec<Vec<u32>> = shown.words.iter().map(|it| it.0.clone()).collect();
        let told = self
            .qformer
            .read(&tokens, &words)
            .map_err(Failure::failed)?;
        let mean = |x: Tensor<3>| -> Tensor<2> { x.mean_dim(1).squeeze_dim(1) };
        let [seen, told] = [tokens, told.features].map(mean);
        let options = CrossEntropyOptions {
            ignore: Some(UNKNOWN),
            ..CrossEntropyOptions::default()
        };
        let mut loss = Tensor::zeros([1], &device);
        for (question, answers) in shown.answers.iter().enumerate() {
            let all = answers.iter().map(|it| it.map_or(UNKNOWN, |it| it as i64));
            let all: Vec<i64> = all.collect();
            let asked = |(answer, word): (&i64, &(Vec<u32>, Option<usize>))| match word.1 {
                Some(other) if other != question => UNKNOWN,
                _ => *answer,
            };
            let asked: Vec<i64> = all.iter().zip(&shown.words).map(asked).collect();
            for (x, reading, answers) in [
                (&seen, &self.seen[question], all),
                (&told, &self.told[question], asked),
            ] {
                let count = answers.len();
                let answers = TensorData::new(answers, [count]);
                let answers: Tensor<1, Int> = Tensor::from_data(answers, &device);
                loss = loss + cross_entropy(reading.forward(x.clone()), answers, options);
            }
        }
        Ok(loss)
    }
}

/// A Q-Former of these sizes that has learned to answer questions with so many `choices` each on batches of `shown`.
///
/// # Errors
/// Sizes that do not go together, what `shown` says, Ctrl-C.
pub fn pretrained(
    config: &QFormerConfig,
    choices: &[usize],
    steps: u64,
    (context, rng, device): (Context, &Rng, &Device),
    shown: impl Fn(&mut Rng) -> Result<Shown, Failure>,
) -> Result<QFormer, Failure> {
    let weights = &mut rng.child("weights");
    let qformer = config.init(weights, device).map_err(Failure::failed)?;
    let mut readings = |width: usize| -> Vec<Linear> {
        let reading = |choices: &usize| LinearConfig::new(width, *choices).init(weights, device);
        choices.iter().map(reading).collect()
    };
    let fresh = Answering {
        qformer,
        seen: readings(config.vision_config.hidden_size),
        told: readings(config.qformer_config.hidden_size),
    };
    let rng = rng.child("steps");
    let trained = fit(fresh, (steps, RATE), context, &rng, |model, rng| {
        model.loss(shown(rng)?)
    })?;
    Ok(trained.qformer.valid())
}
