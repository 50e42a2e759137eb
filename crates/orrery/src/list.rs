//! `orrery list`: the systems and how far they are.

use base::card::{Card, Status};
use base::command::{Failure, say};
use base::system::System;
use clap::Args;
use serde::Serialize;

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

/// Options of `list`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  orrery list\n  orrery list stiv\n  orrery list --json")]
pub struct List {
    /// Show this system's whole card
    system: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl List {
    /// Prints the table, or one card.
    pub fn run(&self) -> Result<(), Failure> {
        let Some(slug) = &self.system else {
            let entries = entries();
            return match self.json {
                true => say(&json(&entries)?),
                false => say(&table(&entries)),
            };
        };
        let entry = Entry::from(system(slug).ok_or_else(|| unknown::system(slug))?);
        match self.json {
            true => say(&json(&entry)?),
            false => say(&whole(&entry)),
        }
    }
}

/// The cards of all systems, in the order of the README's table.
pub fn entries() -> Vec<Entry> {
    systems().map(Entry::from).collect()
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(Failure::failed)
}

fn table(entries: &[Entry]) -> String {
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
    lines.chain([last]).collect::<Vec<_>>().join("\n")
}

fn whole(Entry { card, status }: &Entry) -> String {
    let claims: Vec<String> = card
        .claims
        .iter()
        .map(|claim| format!("  - {claim}"))
        .collect();
    format!(
        "{}\n{}\n\npaper    {}\nstatus   {}\nweights  {}\nlicence  {}\nclaims\n{}",
        card.title,
        card.purpose,
        card.paper,
        status.name(),
        card.weights,
        card.licence,
        claims.join("\n")
    )
}
