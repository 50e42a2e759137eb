//! Byte models trained on the spot: reframing helps the one that has learnt to bear it.

use base::command::{Failure, Steps};
use base::proof::{Claim, ProofOptions, Report};
use base::rng::Rng;

use super::arms::{Comparison, Document, Rule, claims, experiment};
use super::byte_model::{LENGTH, trained};
use super::wordnet;
use crate::harp::score;

const DELTAS: [f32; 2] = [0.1, 0.2];
/// Near the median entropy of these models.
const THETA: f32 = 3.0;
const SELECTIVE: &str =
    "Byte model, ordinary training: second looks where it hesitates beat second looks everywhere";
const HELPS: &str = "Byte model trained with dropout on its embeddings: HARP (δ = 0.2, β = 0.5, θ = 1) beats the ordinary pass of the same model";

/// One gloss of so many is held out.
const HELD_OUT: usize = 10;

pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let Some(glosses) = wordnet::read() else {
        for (statement, source) in [(SELECTIVE, "paper, ablation"), (HELPS, "paper, table 1")] {
            let threshold = "lower loss, accuracy no lower";
            report.claims.push(Claim::not_run(
                [statement, threshold],
                source,
                wordnet::ABSENT,
            ));
        }
        return Ok(());
    };
    let mut texts = [String::new(), String::new()];
    for (at, gloss) in glosses.definitions.iter().enumerate() {
        let text = &mut texts[usize::from(at % HELD_OUT == 0)];
        text.push_str(gloss);
        text.push('\n');
    }
    let [train, test] = texts;
    let count = 320;
    // Windows from all over the held-out text.
    let stride = (test.len() / count).max(LENGTH + 1);
    let windows = test
        .as_bytes()
        .chunks(stride)
        .filter_map(|chunk| chunk.get(..=LENGTH));
    let windows: Vec<Vec<u32>> = windows
        .take(count)
        .map(|window| window.iter().map(|&byte| u32::from(byte)).collect())
        .collect();
    let folder = options.out.join("runs");
    base::files::make_folder(&folder)?;
    let steps = if options.full { 1500 } else { 460 };
    let mut rules = vec![Rule::vanilla()];
    for (column, &delta) in DELTAS.iter().enumerate() {
        rules.extend([-1.0, 1.0, THETA].map(|theta| Rule::above(theta, delta, column)));
    }
    for (kind, dropout, title) in [
        ("ordinary", 0.0, "Byte model, ordinary training"),
        (
            "dropout",
            0.2,
            "Byte model, trained with dropout 0.2 on its embeddings",
        ),
    ] {
        let mut documents: Vec<Document> = Vec::new();
        for &seed in &options.seeds {
            let place = (folder.as_path(), kind);
            let shown = (options.progress, options.context);
            let decoder = trained((train.as_bytes(), dropout), (steps, seed), place, shown)?;
            let mut bar = Steps::new("windows", !options.progress);
            for (at, ids) in windows.iter().enumerate() {
                bar.at(at, windows.len());
                options.context.proceed()?;
                let mut rng = Rng::new(seed).child("reframe").item(at as u64);
                documents.push(score(&decoder, ids, 1, &DELTAS, &[0.5], &mut rng)?);
            }
            bar.finish();
        }
        let about = format!(
            "{} models of 3 blocks, width 128, trained for {steps} steps of 16 × 128 bytes on definitions of WordNet and scored on {} positions each of held-out ones; β = 0.5.",
            options.seeds.len(),
            windows.len() * LENGTH
        );
        report
            .experiments
            .push(experiment(title, &about, &documents, &rules));
        if kind == "dropout" {
            let comparison = Comparison {
                statement: HELPS,
                source: "paper, table 1, in miniature",
                gain: 3.0,
            };
            report
                .claims
                .extend(claims(&documents, [&rules[5], &rules[0]], &comparison));
            continue;
        }
        for (number, delta) in DELTAS.iter().enumerate() {
            let [always, selective] = [1, 3].map(|at| &rules[3 * number + at]);
            let comparison = Comparison {
                statement: &format!("{SELECTIVE} (δ = {delta}, θ = {THETA})"),
                source: "paper, ablation: reframing at every step",
                gain: 0.0,
            };
            report
                .claims
                .extend(claims(&documents, [selective, always], &comparison));
        }
    }
    Ok(())
}
