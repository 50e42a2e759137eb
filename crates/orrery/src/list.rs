//! `orrery list`: the systems and how far they are.

use base::card::{Card, Status};
use base::command::{Failure, print_line};
use base::system::System;
use clap::Args;
use serde::Serialize;

use crate::cards::{self, Digest, Language, Measured};
use crate::registry::{system, systems};
use crate::unknown;

/// A card with what the program knows besides.
#[derive(Serialize)]
pub struct Entry {
    #[serde(flatten)]
    card: Card,
    status: Status,
}

impl From<&System> for Entry {
    fn from(system: &System) -> Self {
        Self {
            card: system.card,
            status: system.status(),
        }
    }
}

/// What `--json` says of a system.
#[derive(Serialize)]
#[serde(untagged)]
enum Listed<'a> {
    Built(Entry),
    /// This program was built without it.
    LeftOut {
        slug: &'a str,
        status: &'static str,
    },
}

/// A card with all that is known.
#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    entry: Entry,
    digest: Digest,
    measured: Vec<Measured>,
}

/// Options of `list`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  orrery list\n  orrery list stiv\n  orrery list stiv --lang ko\n  orrery list --json"
)]
pub struct List {
    /// Show this system's whole card
    system: Option<String>,
    /// Language of the card
    #[arg(long, value_enum, default_value_t)]
    lang: Language,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl List {
    /// Prints the table, or one card.
    pub fn run(&self) -> Result<(), Failure> {
        let Some(slug) = &self.system else {
            let entries: Vec<Entry> = systems().map(Entry::from).collect();
            let left_out = cards::left_out()?;
            return match self.json {
                true => {
                    let slugs = left_out.iter();
                    let left_out = slugs.map(|slug| Listed::LeftOut {
                        slug,
                        status: "left_out",
                    });
                    let entries = entries.into_iter().map(Listed::Built);
                    print_line(&json(&entries.chain(left_out).collect::<Vec<_>>())?)
                }
                false => print_line(&table(&entries, &left_out)),
            };
        };
        let entry = Entry::from(system(slug).ok_or_else(|| unknown::system(slug))?);
        let digest = cards::digest(&entry.card, self.lang)?;
        let measured = cards::measured(entry.card.slug)?;
        match self.json {
            true => print_line(&json(&Whole {
                entry,
                digest,
                measured,
            })?),
            false => print_line(&whole(&entry, &digest, &measured, self.lang)),
        }
    }
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(Failure::failed)
}

fn table(entries: &[Entry], left_out: &[String]) -> String {
    let lines = entries.iter().map(|entry| {
        let (card, status) = (&entry.card, entry.status.name());
        format!("{:<18} {status:<8} {}", card.slug, card.purpose)
    });
    let working = entries.iter().filter(|entry| entry.status == Status::Works);
    let last = format!(
        "{} of {} work; `orrery list SYSTEM` says more",
        working.count(),
        entries.len()
    );
    let built_without = (!left_out.is_empty()).then(|| {
        format!(
            "this program was built without {} of {} systems: build it with `--features SYSTEM`, or without `--no-default-features` for all of them",
            left_out.len(),
            entries.len() + left_out.len()
        )
    });
    let lines = lines.chain([last]).chain(built_without);
    lines.collect::<Vec<_>>().join("\n")
}

/// Words of a card.
struct Words {
    paper: &'static str,
    status: &'static str,
    weights: &'static str,
    licence: &'static str,
    new: &'static str,
    details: &'static str,
    claims: &'static str,
    measured: &'static str,
    verdicts: [&'static str; 4],
}

const ENGLISH: Words = Words {
    paper: "paper",
    status: "status",
    weights: "weights",
    licence: "licence",
    new: "What is new",
    details: "Technical details",
    claims: "Published claims",
    measured: "Measured here, at small scale",
    verdicts: ["shown", "shown, narrowly", "not shown", "not run"],
};

const KOREAN: Words = Words {
    paper: "논문",
    status: "상태",
    weights: "가중치",
    licence: "라이선스",
    new: "새로운 점",
    details: "기술 세부",
    claims: "논문의 주장",
    measured: "여기서 측정한 결과(소규모)",
    verdicts: [
        "확인됨",
        "근소하게 확인됨",
        "확인되지 않음",
        "실행하지 않음",
    ],
};

fn whole(
    Entry { card, status }: &Entry,
    digest: &Digest,
    measured: &[Measured],
    language: Language,
) -> String {
    let words = match language {
        Language::En => &ENGLISH,
        Language::Ko => &KOREAN,
    };
    let mut lines = vec![digest.title.clone(), digest.purpose.clone(), String::new()];
    for (name, value) in [
        (words.paper, card.paper),
        (words.status, status.name()),
        (words.weights, card.weights),
        (words.licence, card.licence),
    ] {
        lines.push(format!("{name}: {value}"));
    }
    let mut part = |title: &str, items: Vec<String>| {
        if !items.is_empty() {
            lines.extend([String::new(), title.to_owned()]);
            lines.extend(items);
        }
    };
    let listed = |items: &[String]| items.iter().map(|item| format!("  - {item}")).collect();
    part(words.new, vec![format!("  {}", digest.new)]);
    part(words.details, listed(&digest.details));
    part(words.claims, listed(&digest.claims));
    let verdict = |measured: &Measured| match measured.verdict.as_str() {
        "shown" => words.verdicts[0],
        "shown_narrowly" => words.verdicts[1],
        "not_shown" => words.verdicts[2],
        _ => words.verdicts[3],
    };
    let found = measured.iter().map(|it| {
        let what = [verdict(it), it.statement.as_str(), it.evidence.as_str()];
        format!("  - {}: {} ({})", what[0], what[1], what[2])
    });
    part(words.measured, found.collect());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn a_program_of_fewer_systems_says_so_and_a_whole_one_does_not() {
        let less = table(&[], &["harp".into(), "wind".into()]);
        assert!(less.contains("was built without 2 of 2 systems"), "{less}");
        assert!(!table(&[], &[]).contains("built without"));
    }
}
