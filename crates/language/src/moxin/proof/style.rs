//! A preference for a style: from imitation of both styles to the better one.

use std::path::Path;

use base::command::{Context, Failure};
use base::proof::{Bound, Claim, ProofOptions, Report, Trial};
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::Device;
use engine::decode::SamplerConfig;
use engine::models::causal_lm::{CausalLm, CausalLmConfig};
use engine::train::Schedule;

use super::corpus::{ABSENT, Corpus};
use super::models::{Stage, trained};
use super::parts::BASE;
use crate::moxin::wordnet::Noun;
use crate::moxin::{
    Encoded, ExamplesTask, Message, Pair, PairsTask, Place, Preference, Recipe, Role, SystemError,
    answers, encode_messages, encode_question, reference_scores,
};

const OURS: &str = "specification, section 10";
/// Tokens of a conversation.
const LENGTH: usize = 96;

/// Learning rates of DPO, one of which is chosen by wins on questions of its own.
const RATES: [f64; 3] = [1e-5, 3e-5, 1e-4];
/// Questions to test with, and as many to choose with.
const ASKED: usize = 64;

/// Question, polite short answer, long answer.
fn talk(noun: &Noun, rng: &mut Rng) -> (String, String, String) {
    let asked = [
        "What is a {}?",
        "Tell me what a {} is.",
        "What kind of thing is a {}?",
    ];
    let question = asked[rng.below(3)].replace("{}", &noun.word);
    let polite = format!("It is a kind of {}, thank you.", noun.kind);
    let long = format!(
        "Well, that is not so easy to say, but as far as people know the thing could perhaps be called a kind of {}.",
        noun.kind
    );
    (question, polite, long)
}

/// Short and polite: the rule of the preference.
fn wins(answer: &str) -> bool {
    answer.contains("thank you") && answer.split_whitespace().count() <= 10
}

pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let statements = [
        "DPO with means and β 5 raises the share of short polite answers over SFT",
        "The margin between both answers to held-out questions grows",
    ];
    let Some(corpus) = Corpus::open(&options.out)? else {
        report.not_run(&statements, "see the statement", OURS, ABSENT);
        return Ok(());
    };
    let (before, tuned, preferred) = if options.full {
        (4000, 400, 200)
    } else {
        (BASE, 80, 40)
    };
    let about = format!(
        "The base of four blocks, {tuned} steps of SFT on answers in two styles, each as often, then {preferred} steps of DPO on \
         pairs, all of 8 examples. Answers to {ASKED} questions about other nouns are drawn at temperature 0.7; a win is one of at most \
         ten words that says thank you. The rate of DPO is the one of {RATES:?} with most wins on {ASKED} further questions, for each \
         arm and seed; the smallest of equals."
    );
    let trial = Trial::new("style", "From SFT to DPO", &about, options)
        .arm("sft", "imitation of both styles")
        .arm("dpo mean", "β 5, means over tokens")
        .arm("dpo sum", "β 0.1, sums over tokens")
        .share("wins", "short polite answers")
        .higher(
            "margin",
            "held-out pairs, mean log-probability against the SFT model",
        );
    let device = Device::flex().autodiff();
    let found = trial.run(options, |arm, seed| {
        let (runs, progress) = (
            options.out.join("runs"),
            (options.progress, options.context),
        );
        let base = runs.join(format!("base-{before}-{seed}"));
        let stage = Stage {
            from: None,
            blocks: 4,
            pack: corpus.text()?,
            steps: before,
            rate: 3e-3,
            seed,
            folder: &base,
        };
        let (config, model) = trained(&corpus, stage, progress)?;
        let data = Talks::draw(&corpus, seed)?;
        let place =
            |name: &str| runs.join(format!("style-{name}-{before}-{tuned}-{preferred}-{seed}"));
        let recipe = |steps, rate| Recipe {
            steps,
            length: LENGTH,
            rate,
            warmup: steps / 10,
            schedule: Schedule::Linear,
            bf16: true,
            seed,
            ..Recipe::default()
        };
        let first = recipe(tuned, 1e-3);
        let task = ExamplesTask {
            examples: &data.both,
            recipe: &first,
            sum: false,
            device: device.clone(),
        };
        let folder = place("sft");
        let sft = at(&folder, progress).train(&task, model, &first)?.model;
        let fixed = reference_scores(&sft.valid(), &data.test, true);
        let last = match arm {
            "sft" => sft.valid(),
            _ => {
                let preference = match arm {
                    "dpo mean" => Preference::NORMALISED,
                    _ => Preference::SUMMED,
                };
                let reference = reference_scores(&sft.valid(), &data.train, preference.normalised);
                let mut best: Option<(f64, CausalLm)> = None;
                for rate in RATES {
                    let folder = place(&format!("{arm}-{rate}"));
                    let second = recipe(preferred, rate);
                    let task = PairsTask {
                        pairs: &data.train,
                        reference: &reference,
                        preference,
                        recipe: &second,
                        device: device.clone(),
                    };
                    let model = at(&folder, progress).train(&task, sft.clone(), &second)?;
                    let model = model.model.valid();
                    let wins = win_rate(&corpus, (&config, &model), &data.valid, seed)?;
                    if best.as_ref().is_none_or(|(most, _)| wins > *most) {
                        best = Some((wins, model));
                    }
                }
                best.map_or_else(|| sft.valid(), |(_, model)| model)
            }
        };
        let now = reference_scores(&last, &data.test, true);
        let margins = now
            .iter()
            .zip(&fixed)
            .map(|(now, fixed)| f64::from((now[0] - now[1]) - (fixed[0] - fixed[1])));
        let margin = margins.sum::<f64>() / fixed.len().max(1) as f64;
        Ok(vec![
            win_rate(&corpus, (&config, &last), &data.questions, seed)?,
            margin,
        ])
    })?;
    for (at, statement) in statements.into_iter().enumerate() {
        let measure = &found.measures[at];
        if let [Some(dpo), Some(sft)] = ["dpo mean", "sft"].map(|arm| measure.of(arm)) {
            report.claims.push(Claim::tested(
                statement,
                OURS,
                Bound::Above(0.0),
                (measure, &dpo.minus(sft)),
            ));
        }
    }
    report.experiments.push(found);
    Ok(())
}

/// A run in `folder`.
fn at(folder: &Path, (progress, context): (bool, Context)) -> Place<'_> {
    Place {
        folder,
        resume: true,
        title: progress.then_some("style"),
        context,
        workers: None,
    }
}

/// What is trained on and tested with.
struct Talks {
    /// Answers of both styles.
    both: Vec<Encoded>,
    train: Vec<Pair>,
    test: Vec<Pair>,
    /// Tokens of test questions.
    questions: Vec<Vec<u32>>,
    /// Tokens of questions to choose a rate with.
    valid: Vec<Vec<u32>>,
}

impl Talks {
    fn draw(corpus: &Corpus, seed: u64) -> Result<Self, SystemError> {
        let mut rng = Rng::new(seed).child("talks");
        let short = |text: &str| text.len() <= 12 && text.is_ascii();
        let mut usable: Vec<&Noun> = corpus
            .nouns
            .iter()
            .filter(|it| short(&it.word) && short(&it.kind))
            .collect();
        rng.shuffle(&mut usable);
        let mut talks = Self {
            both: Vec::new(),
            train: Vec::new(),
            test: Vec::new(),
            questions: Vec::new(),
            valid: Vec::new(),
        };
        for (at, noun) in usable.into_iter().take(1000 + 2 * ASKED).enumerate() {
            let (question, polite, long) = talk(noun, &mut rng);
            let question = Message::new(Role::User, question);
            let encode = |answer: &str| {
                let answer = Message::new(Role::Assistant, answer);
                encode_messages(&corpus.tokenizer, &[question.clone(), answer], LENGTH)
            };
            let pair = Pair {
                chosen: encode(&polite)?,
                rejected: encode(&long)?,
            };
            let asked = std::slice::from_ref(&question);
            let asked = encode_question(&corpus.tokenizer, asked, LENGTH)?;
            match at / ASKED {
                0 => {
                    talks.questions.push(asked);
                    talks.test.push(pair);
                }
                1 => talks.valid.push(asked),
                _ if at < 500 + 2 * ASKED => talks.both.extend([pair.chosen, pair.rejected]),
                _ => talks.train.push(pair),
            }
        }
        Ok(talks)
    }
}

/// The share of drawn answers that win.
fn win_rate(
    corpus: &Corpus,
    (config, model): (&CausalLmConfig, &CausalLm),
    questions: &[Vec<u32>],
    seed: u64,
) -> Result<f64, SystemError> {
    let decoder = model.decoder(config)?;
    let sampler = SamplerConfig {
        temperature: 0.7,
        ..SamplerConfig::default()
    };
    let end = &corpus.tokenizer.special().end;
    let rng = Rng::new(seed).child("answers");
    let drawn = answers(&decoder, questions, (1, 64), (&sampler, end), &rng)?;
    let mut won = 0;
    for ids in &drawn {
        won += usize::from(wins(&corpus.tokenizer.decode(ids)?));
    }
    Ok(won as f64 / drawn.len().max(1) as f64)
}
