//! Names that lead nowhere, or not yet.

use base::command::{Failure, nearest, one_line};

use crate::registry::{system as find, systems};

/// Features that this build lacks, each called like the command that it brings.
const MISSING: &str = env!("ORRERY_MISSING");

/// What to say of `orrery NAME`, where `NAME` is not a command.
pub fn command(name: &str) -> Failure {
    if let Some(system) = find(name) {
        return system.not_built();
    }
    if let Some(failure) = missing(name) {
        return failure;
    }
    let commands = crate::cli::describe();
    let commands: Vec<&str> = commands
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    lost(
        name,
        "command",
        &commands,
        "`orrery --help` shows what there is",
    )
}

/// What to say of a system that does not exist.
pub fn system(name: &str) -> Failure {
    missing(name).unwrap_or_else(|| lost(name, "system", &[], "`orrery list` shows what there is"))
}

/// What to say of what this build lacks.
fn missing(name: &str) -> Option<Failure> {
    let feature = if name == "create" { "stiv" } else { name };
    MISSING.split(' ').any(|it| it == feature).then(|| {
        Failure::input(format!(
            "this program was built without `{name}`: build it with `--features {feature}`"
        ))
    })
}

/// What to say of a benchmark that does not exist.
#[cfg(feature = "bench")]
pub fn benchmark(name: &str, known: &[&str]) -> Failure {
    let near = suggestion(
        name,
        known.iter().copied(),
        "`orrery bench --list` names them",
    );
    Failure::input(format!("there is no benchmark `{}`: {near}", short(name)))
}

fn lost(name: &str, kind: &str, verbs: &[&str], otherwise: &str) -> Failure {
    let slugs = systems().map(|system| system.card.slug);
    let near = suggestion(name, verbs.iter().copied().chain(slugs), otherwise);
    Failure::input(format!("there is no {kind} `{}`: {near}", short(name)))
}

fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>, otherwise: &str) -> String {
    match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => otherwise.to_owned(),
    }
}

fn short(name: &str) -> String {
    one_line(name).chars().take(40).collect()
}
