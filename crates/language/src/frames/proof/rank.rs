//! Part 1: the share of words whose frames have full rank.

use base::command::Failure;
use base::proof::{Arm, Bound, Claim, Experiment, Measure, Outcome, ProofOptions, Report, Share};

use super::World;
use crate::frames::concepts::WordOptions;
use crate::frames::rank::{RankCount, rank_counts};
use crate::frames::words::Variant;

/// Words of more tokens are left out.
const LONGEST: usize = 8;
/// Words up to here are short.
const SHORT: usize = 4;

pub fn prove(_: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let world = World::get()?;
    let words = world.words(&world.languages);
    let options = WordOptions {
        variants: vec![Variant::Bare],
        ..WordOptions::default()
    };
    let counts = rank_counts(&world.model, &world.vectors, &words, &options, LONGEST)?;
    let mut measure = Measure::share(
        "full rank",
        "Share of distinct words whose frame has as many dimensions as tokens.",
    );
    let arms = [
        ("1 to 4 tokens", "short words", 1..=SHORT),
        (
            "5 to 8 tokens",
            "long words, among them words that are spelled in bytes",
            SHORT + 1..=LONGEST,
        ),
        ("1 to 8 tokens", "all words", 1..=LONGEST),
    ];
    for (name, _, tokens) in &arms {
        let these: Vec<&RankCount> = counts
            .iter()
            .filter(|it| tokens.contains(&it.tokens))
            .collect();
        let share = Share {
            seed: 0,
            hits: these.iter().map(|it| it.full).sum(),
            of: these.iter().map(|it| it.words).sum(),
        };
        measure.outcomes.push(Outcome::shares(name, &[share]));
    }
    if let Some(short) = measure.of(arms[0].0) {
        report.claims.push(Claim::tested(
            "words of up to four tokens are frames of full rank",
            "the paper: over 99 % of the words of the Open Multilingual WordNet",
            Bound::AtLeast(0.99),
            (&measure, short),
        ));
    }
    report.experiments.push(Experiment {
        title: "Rank of words".into(),
        about: format!(
            "Every distinct word of {} synsets in {} languages, written bare. A repeated token costs a dimension.",
            world.synsets.len(),
            world.languages.len()
        ),
        arms: arms.iter().map(|(name, about, _)| Arm::new(name, about)).collect(),
        measures: vec![measure],
    });
    Ok(())
}
