//! A real small model: what second looks do to it, and that looking everywhere is worse than looking where it hesitates.

use base::command::{Failure, Steps};
use base::proof::{Claim, ProofOptions, Report};
use base::rng::Rng;

use super::arms::{Comparison, Document, Rule, claims, experiment, median_entropy};
use super::{model, wordnet};
use crate::harp::score;

const DELTAS: [f32; 2] = [0.1, 0.2];
/// Near the median entropy of this model on such texts (fixed from the figures of an earlier, separate measurement).
const THETA: f32 = 6.0;
const STATEMENT: &str =
    "SmolLM2-135M: second looks where it hesitates beat second looks everywhere";
const SOURCE: &str = "paper, ablation: reframing at every step";

pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let absent = |report: &mut Report, why: &str| {
        report.claims.push(Claim::not_run(
            [STATEMENT, "lower loss, accuracy no lower"],
            SOURCE,
            why,
        ));
        Ok(())
    };
    let pipeline = match model() {
        Ok(pipeline) => pipeline,
        Err(why) => return absent(report, &why),
    };
    let Some(mut glosses) = wordnet::read() else {
        return absent(report, wordnet::ABSENT);
    };
    Rng::new(0)
        .child("documents")
        .shuffle(&mut glosses.examples);
    let count = if options.full { 120 } else { 40 };
    let texts: Vec<String> = glosses
        .examples
        .chunks(4)
        .take(count)
        .map(|it| it.join(". ") + ".")
        .collect();
    let mut documents: Vec<Document> = vec![Vec::new(); texts.len()];
    let mut steps = Steps::new("texts × masks", !options.progress);
    for (round, &seed) in options.seeds.iter().enumerate() {
        for (at, text) in texts.iter().enumerate() {
            steps.at(round * texts.len() + at, options.seeds.len() * texts.len());
            options.context.proceed()?;
            let ids = pipeline.prompt(text)?;
            let mut rng = Rng::new(seed).child("reframe").item(at as u64);
            documents[at].extend(score(
                &pipeline.decoder,
                &ids,
                1,
                &DELTAS,
                &[0.5],
                &mut rng,
            )?);
        }
    }
    steps.finish();
    let mut rules = vec![Rule::vanilla()];
    for (column, &delta) in DELTAS.iter().enumerate() {
        rules.extend([-1.0, 1.0, THETA].map(|theta| Rule::above(theta, delta, column)));
    }
    let about = format!(
        "SmolLM2-135M-Instruct (Q4_1) on {} documents of four example sentences of WordNet, {} masks each; β = 0.5. Its median entropy is {:.1} bits.",
        texts.len(),
        options.seeds.len(),
        median_entropy(&documents)
    );
    report.experiments.push(experiment(
        "SmolLM2 on example sentences",
        &about,
        &documents,
        &rules,
    ));
    for (number, delta) in DELTAS.iter().enumerate() {
        let [always, selective] = [1, 3].map(|at| &rules[3 * number + at]);
        let comparison = Comparison {
            statement: &format!("{STATEMENT} (δ = {delta}, θ = {THETA})"),
            source: SOURCE,
            gain: 0.0,
        };
        report
            .claims
            .extend(claims(&documents, [selective, always], &comparison));
    }
    Ok(())
}
