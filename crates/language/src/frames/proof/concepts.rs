//! Part 2: words on their own concept, on others, and random frames.

use base::command::Failure;
use base::numerics::statistics::{deviation, mean};
use base::proof::{Arm, Bound, Claim, Experiment, Measure, Outcome, ProofOptions, Report, Share};
use base::rng::Rng;

use super::{COLUMNS, World, over_items};
use crate::frames::concepts::{ConceptTokens, concept_frame, tokenise, word_frame};
use crate::frames::frame::Frame;
use crate::frames::linalg::{Degenerate, dot};
use crate::frames::words::{ConceptWords, Variant};

/// A word of a concept, with the concept as it is without the word.
struct Probe {
    concept: usize,
    word: Frame,
    own: Frame,
    mean_word: Vec<f32>,
    own_mean: Vec<f32>,
}

pub fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let world = World::get()?;
    let (words, writing) = world.concept_words();
    let concepts = tokenise(&words, &world.model.tokenizer, &writing)?;
    let frames: Vec<Frame> = concepts.iter().map(|it| frame(world, &it.words)).collect();
    let means: Vec<Vec<f32>> = concepts
        .iter()
        .map(|it| mean_vector(world, &it.words))
        .collect();
    let probes = probes(world, &words, &concepts, &writing.variants)?;

    // By concept, so that concepts of many words count once.
    let (mut own, mut others, mut excess) = (Vec::new(), Vec::new(), Vec::new());
    let (mut positive, mut right, mut right_by_mean) = (0, 0, 0);
    for at in 0..concepts.len() {
        let (mut own_here, mut others_here) = (Vec::new(), Vec::new());
        for probe in probes.iter().filter(|probe| probe.concept == at) {
            let score = probe.word.correlation(&probe.own);
            let rest = frames.iter().enumerate().filter(|(other, _)| *other != at);
            let rest: Vec<f64> = rest
                .map(|(_, other)| probe.word.correlation(other))
                .collect();
            positive += usize::from(score > 0.0);
            right += usize::from(rest.iter().all(|other| *other < score));
            own_here.push(score);
            others_here.push(mean(&rest));
            let by_mean = dot(&probe.mean_word, &probe.own_mean);
            let rest = means.iter().enumerate().filter(|(other, _)| *other != at);
            right_by_mean += usize::from(
                rest.into_iter()
                    .all(|(_, other)| dot(&probe.mean_word, other) < by_mean),
            );
        }
        if !own_here.is_empty() {
            own.push(mean(&own_here));
            others.push(mean(&others_here));
            excess.push(mean(&own_here) - 2.0 * mean(&others_here));
        }
    }
    let random = random(&probes, &frames, options);

    let arms = [
        Arm::new("own concept", "the mean of the concept's other words"),
        Arm::new("other concepts", "all concepts but the word's own"),
        Arm::new(
            "random frames",
            "Gaussian columns as long as the word's, on all concepts",
        ),
        Arm::new(
            "mean vectors",
            "the baseline: words and concepts as means of their token vectors",
        ),
    ];
    let mut projection = Measure::higher(
        "projection",
        "Mean projection of words, concept by concept.",
    );
    projection.outcomes = vec![
        over_items(&arms[0].name, &own),
        over_items(&arms[1].name, &others),
        over_items(&arms[2].name, &random),
    ];
    let mut above = Measure::higher(
        "own − 2 × others",
        "How much the projection on the own concept exceeds twice that on others.",
    );
    let excess = over_items(&arms[0].name, &excess);
    above.outcomes = vec![excess.clone()];
    let share = |hits| {
        [Share {
            seed: 0,
            hits,
            of: probes.len(),
        }]
    };
    let mut signs = Measure::share("positive", "Share of words with a positive projection.");
    signs.outcomes = vec![Outcome::shares(&arms[0].name, &share(positive))];
    let mut retrieval = Measure::share(
        "retrieved",
        "Share of words whose own concept has the largest projection of all.",
    );
    let found = Outcome::shares(&arms[0].name, &share(right));
    retrieval.outcomes = vec![
        found.clone(),
        Outcome::shares(&arms[3].name, &share(right_by_mean)),
    ];

    report.claims.push(Claim::tested(
        "words project on their own concept more than twice as much as on others",
        "the paper, figure 6",
        Bound::Above(0.0),
        (&above, &excess),
    ));
    if let Some(outcome) = projection.of(&arms[2].name) {
        let spread = deviation(&random).unwrap_or(f64::NAN);
        report.claims.push(Claim::settled(
            [
                "random frames project around zero",
                "the mean is within a tenth of their standard deviation of zero",
            ],
            "the paper, figure 6",
            outcome.mean.abs() <= 0.1 * spread,
            format!("mean {:.3}, standard deviation {spread:.3}", outcome.mean),
        ));
    }
    report.claims.push(Claim::tested(
        "a left-out word finds its concept among all",
        "ours",
        Bound::AtLeast(0.2),
        (&retrieval, &found),
    ));
    report.notes.push(
        "Retrieval alone does not tell frames from mean vectors: compare the two rows before claiming an advantage.".into(),
    );
    report.experiments.push(Experiment {
        title: "Words and concepts".into(),
        about: format!(
            "{} words of {} concepts in six languages, bare and after a space, up to {COLUMNS} tokens. A word is left out of the mean that it is compared with.",
            probes.len(),
            concepts.len()
        ),
        arms: arms.to_vec(),
        measures: vec![projection, above, signs, retrieval],
    });
    Ok(())
}

fn frame(world: &World, words: &[Vec<u32>]) -> Frame {
    concept_frame(&world.vectors, words, COLUMNS, Degenerate::Drop)
}

/// The mean of all tokens' vectors, of unit length.
fn mean_vector(world: &World, words: &[Vec<u32>]) -> Vec<f32> {
    let mut sum = Frame::zeros(world.vectors.width, 1);
    for token in words.iter().flatten() {
        sum.add(&word_frame(&world.vectors, &[*token], 1));
    }
    let values = sum.column(0);
    let norm = dot(values, values).sqrt().max(f64::MIN_POSITIVE) as f32;
    values.iter().map(|x| x / norm).collect()
}

/// Every lemma of every concept, in each way of writing, beside the concept without it.
fn probes(
    world: &World,
    words: &[ConceptWords],
    concepts: &[ConceptTokens],
    variants: &[Variant],
) -> Result<Vec<Probe>, Failure> {
    let mut probes = Vec::new();
    for (at, concept) in concepts.iter().enumerate() {
        let Some(named) = words.iter().find(|it| it.name == concept.name) else {
            continue;
        };
        let mut lemmas = named.lemmas.clone();
        lemmas.sort();
        lemmas.dedup();
        for lemma in lemmas {
            let mut its = Vec::new();
            for variant in variants {
                its.push(world.model.tokenizer.encode(&variant.write(&lemma))?);
            }
            let rest: Vec<Vec<u32>> = concept
                .words
                .iter()
                .filter(|word| !its.contains(word))
                .cloned()
                .collect();
            if rest.is_empty() {
                continue;
            }
            for word in its.iter().filter(|word| concept.words.contains(word)) {
                probes.push(Probe {
                    concept: at,
                    word: word_frame(&world.vectors, word, COLUMNS),
                    own: frame(world, &rest),
                    mean_word: mean_vector(world, std::slice::from_ref(word)),
                    own_mean: mean_vector(world, &rest),
                });
            }
        }
    }
    Ok(probes)
}

/// Projections on all concepts of frames with random directions and the words' lengths.
fn random(probes: &[Probe], frames: &[Frame], options: &ProofOptions) -> Vec<f64> {
    let mut projections = Vec::new();
    for seed in &options.seeds {
        let mut rng = Rng::new(*seed).child("random frames");
        for probe in probes {
            let mut frame = probe.word.clone();
            for column in 0..frame.columns() {
                let length = dot(frame.column(column), frame.column(column)).sqrt();
                let draws = rng.normals(frame.width());
                let scale = (length / dot(&draws, &draws).sqrt()) as f32;
                for (x, draw) in frame.column_mut(column).iter_mut().zip(draws) {
                    *x = scale * draw;
                }
            }
            let other = &frames[rng.below(frames.len())];
            projections.push(frame.correlation(other));
        }
    }
    projections
}
