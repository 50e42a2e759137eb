//! `orrery list`: the 27 systems and which of them work.

use clap::Args;
use engine::card::{Card, Status};
use engine::command::{Context, Failure, say};

/// All systems, in the order of the design.
pub fn cards() -> impl Iterator<Item = &'static Card> {
    [
        language::CARDS,
        judge::CARDS,
        vision::CARDS,
        image_systems::CARDS,
        video::CARDS,
        learning::CARDS,
    ]
    .into_iter()
    .flatten()
}

/// Options of `list`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  orrery list --json")]
pub struct List {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

impl List {
    /// Prints the table.
    pub fn run(&self, _context: Context) -> Result<(), Failure> {
        if self.json {
            let cards: Vec<&Card> = cards().collect();
            return say(&serde_json::to_string_pretty(&cards).map_err(Failure::failed)?);
        }
        for card in cards() {
            let Card {
                slug,
                purpose,
                paper,
                ..
            } = card;
            let state = card.status.name();
            say(&format!("{slug:<18} {state:<8} {purpose} ({paper})"))?;
        }
        let working = cards().filter(|card| card.status == Status::Works).count();
        say(&format!(
            "{working} of {} work; `orrery SYSTEM --help` says how",
            cards().count()
        ))
    }
}

/// Why a word that is no command cannot be followed: a system that is not built yet, or nothing known.
pub fn not_a_command(word: &str) -> Failure {
    match cards().find(|card| card.slug == word) {
        Some(card) => Failure::input(format!(
            "`{word}` ({}) is not built yet: `orrery list` shows what works",
            card.purpose
        )),
        None => Failure::input(format!("there is no command `{word}`; see `orrery --help`")),
    }
}
