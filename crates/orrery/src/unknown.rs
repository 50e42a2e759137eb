//! Names that lead nowhere, or not yet.

use engine::card::{Card, Status};
use engine::command::{Failure, one_line};
use engine::data::lexicon::Vocabulary;

use crate::registry::{card, cards};

/// Commands that are no systems.
const VERBS: [&str; 6] = ["create", "list", "pull", "prove", "bench", "help"];

/// What to say of `orrery NAME`, where `NAME` is no command.
pub fn command(name: &str) -> Failure {
    match card(name) {
        Some(card) if card.status == Status::Planned => planned(card),
        _ => lost(name, "command", &VERBS),
    }
}

/// What to say of a system that does not exist.
pub fn system(name: &str) -> Failure {
    lost(name, "system", &[])
}

/// What to say of a work of `orrery bench` that does not exist.
pub fn work(name: &str, works: &[&str]) -> Failure {
    let known = Vocabulary::new(works.iter().copied());
    let near = match known.nearest(name, 1).first() {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`orrery bench --list` names them".into(),
    };
    let short: String = one_line(name).chars().take(40).collect();
    Failure::input(format!("there is no work `{short}`: {near}"))
}

/// What to say of a system that is still to come.
pub fn planned(card: &Card) -> Failure {
    Failure::input(format!(
        "`{}` ({}) is planned and not built yet: `orrery list` shows what works",
        card.slug, card.purpose
    ))
}

fn lost(name: &str, kind: &str, verbs: &[&'static str]) -> Failure {
    let slugs = cards().map(|card| card.slug);
    let known = Vocabulary::new(verbs.iter().copied().chain(slugs));
    let near = match known.nearest(name, 1).first() {
        Some(near) => format!("did you mean `{near}`?"),
        None if kind == "command" => "`orrery --help` shows what there is".into(),
        None => "`orrery list` shows what there is".into(),
    };
    let short: String = one_line(name).chars().take(40).collect();
    Failure::input(format!("there is no {kind} `{short}`: {near}"))
}
