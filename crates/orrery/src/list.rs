//! `orrery list`: the systems and how far they are.

use clap::Args;
use engine::card::{Card, Status};
use engine::command::{Failure, say};

use crate::registry::{card, cards};
use crate::unknown;

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
            let cards: Vec<&Card> = cards().collect();
            return match self.json {
                true => say(&json(&cards)?),
                false => say(&table(&cards)),
            };
        };
        let card = card(slug).ok_or_else(|| unknown::system(slug))?;
        match self.json {
            true => say(&json(card)?),
            false => say(&whole(card)),
        }
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(Failure::failed)
}

fn table(cards: &[&Card]) -> String {
    let lines = cards.iter().map(|card| {
        let status = card.status.name();
        format!("{:<18} {status:<8} {}", card.slug, card.purpose)
    });
    let working = cards.iter().filter(|card| card.status == Status::Works);
    let last = format!(
        "{} of {} work; `orrery list SYSTEM` says more",
        working.count(),
        cards.len()
    );
    lines.chain([last]).collect::<Vec<_>>().join("\n")
}

fn whole(card: &Card) -> String {
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
        card.status.name(),
        card.weights,
        card.licence,
        claims.join("\n")
    )
}
