//! Planted near-duplicates.

use base::command::Failure;
use base::proof::{Bound, Claim, ProofOptions, Report, Trial};
use base::rng::Rng;

use super::corpus::{ABSENT, nouns};
use crate::moxin::data::dedup::{Dedup, components};
use crate::moxin::data::text::{gram_set, jaccard};

const OURS: &str = "specification, section 10";

pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let statements = [
        "Verified MinHash finds at least 95 % of the pairs that are similar",
        "At least 99 % of the documents that verified MinHash removes are similar to another",
        "Hashes of whole texts find almost none",
    ];
    let Some(nouns) = nouns() else {
        report.not_run(&statements, "see the statement", OURS, ABSENT);
        return Ok(());
    };
    let count = if options.full { 10_000 } else { 1500 };
    let about = format!(
        "{count} documents of ten glosses; 30 % of them are copies of others in which 1 to 5 % of the letters are changed in \
         clusters or alone. A copy counts where its exact Jaccard similarity of 13-grams with its origin is at least 0.8."
    );
    let trial = Trial::new("dedup", "Near-duplicates", &about, options)
        .arm("minhash", "128 permutations, 9 bands of 13")
        .arm(
            "minhash verified",
            "18 bands of 7, candidates compared gram by gram",
        )
        .arm("exact", "hashes of whole texts")
        .share("recall", "similar copies that are removed")
        .share("precision", "removed documents that are similar");
    let found = trial.run(options, |arm, seed| {
        let mut rng = Rng::new(seed).child("duplicates");
        let mut order: Vec<usize> = (0..nouns.len()).collect();
        rng.shuffle(&mut order);
        let gloss = |at: &usize| nouns[*at].gloss.as_str();
        let originals = count * 7 / 10;
        let mut texts: Vec<String> = order
            .chunks(10)
            .take(originals)
            .map(|part| part.iter().map(gloss).collect::<Vec<_>>().join(". "))
            .collect();
        let mut origins: Vec<Option<usize>> = vec![None; texts.len()];
        while texts.len() < count {
            let origin = rng.below(originals);
            texts.push(edited(&texts[origin], &mut rng));
            origins.push(Some(origin));
        }
        let options = Dedup {
            permutations: if arm == "exact" { 0 } else { 128 },
            verify: arm == "minhash verified",
            seed,
            ..Dedup::text()
        };
        let all: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = components(&all, &options);
        let sets: Vec<Vec<u32>> = all
            .iter()
            .map(|text| gram_set(text, options.width))
            .collect();
        let (mut similar, mut hits, mut removed, mut right) = (0, 0, 0, 0);
        for (at, origin) in origins.iter().enumerate() {
            let gone = found[at] as usize != at;
            let near =
                |other: usize| other != at && jaccard(&sets[at], &sets[other]) >= options.threshold;
            let alike = origin.is_some_and(near);
            similar += usize::from(alike);
            hits += usize::from(alike && gone);
            if gone {
                removed += 1;
                right += usize::from(alike || (0..at).any(near));
            }
        }
        let share = |part: usize, all: usize| part as f64 / all.max(1) as f64;
        let precision = if removed == 0 {
            1.0
        } else {
            share(right, removed)
        };
        Ok(vec![share(hits, similar), precision])
    })?;
    let [recall, precision] = [&found.measures[0], &found.measures[1]];
    let cases = [
        (
            recall,
            "minhash verified",
            statements[0],
            Bound::AtLeast(0.95),
        ),
        (
            precision,
            "minhash verified",
            statements[1],
            Bound::AtLeast(0.99),
        ),
        (recall, "exact", statements[2], Bound::AtMost(0.05)),
    ];
    for (measure, arm, statement, bound) in cases {
        if let Some(outcome) = measure.of(arm) {
            report
                .claims
                .push(Claim::tested(statement, OURS, bound, (measure, outcome)));
        }
    }
    report.experiments.push(found);
    Ok(())
}

/// The text with 1 to 5 % of its letters changed: in one run of letters or, where few are changed, alone.
fn edited(text: &str, rng: &mut Rng) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let share = 0.01 + 0.04 * rng.uniform();
    let count = ((chars.len() as f32 * share) as usize).max(1);
    let letter = |rng: &mut Rng| char::from(b'a' + rng.below(26) as u8);
    if rng.chance(0.7) {
        let from = rng.below(chars.len().saturating_sub(count).max(1));
        for at in from..(from + count).min(chars.len()) {
            chars[at] = letter(rng);
        }
    } else {
        for _ in 0..(count / 5).max(1) {
            let at = rng.below(chars.len());
            chars[at] = letter(rng);
        }
    }
    chars.into_iter().collect()
}
