//! The command line: base commands, and a command for every system of the registry.

use std::ffi::OsString;

use base::command::{Context, Failure, follow_shared_options, with_shared_options};
use clap::{ArgMatches, FromArgMatches, Subcommand};

#[cfg(feature = "bench")]
use crate::bench::Bench;
#[cfg(feature = "stiv")]
use crate::create::Create;
use crate::list::List;
use crate::manual::{Completions, Man};
use crate::prove::Prove;
#[cfg(feature = "pull")]
use crate::pull::Pull;
#[cfg(feature = "serve")]
use crate::serve::Serve;
use crate::{registry, unknown, usage};

/// Version, commit and GPU features.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("ORRERY_COMMIT"),
    ", GPU features: ",
    env!("ORRERY_FEATURES"),
    ")"
);

/// Commands that are not systems.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Draw what a prompt says: a picture, or with --video a clip
    #[cfg(feature = "stiv")]
    Create(Box<Create>),
    /// Draw with Stable Diffusion: the small model inside, or weights of 1, 2 or XL
    #[cfg(feature = "sd")]
    #[command(subcommand, arg_required_else_help = true)]
    Sd(Box<image_systems::sd::Command>),
    /// All systems and how far they are
    List(List),
    /// Fetch a language model into the cache that other tools share
    #[cfg(feature = "pull")]
    Pull(Pull),
    /// Run a system's small-scale proof again
    Prove(Prove),
    /// One server: a page for people, and OpenAI's interface for programs
    #[cfg(feature = "serve")]
    Serve(Box<Serve>),
    /// Time the kernels and networks, beside PyTorch where there is one
    #[cfg(feature = "bench")]
    Bench(Bench),
    /// Completions for a shell: bash, elvish, fish, powershell or zsh
    Completions(Completions),
    /// The manual page of a command
    Man(Man),
    /// Anything else.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// The whole command line.
pub fn describe() -> clap::Command {
    let command = clap::Command::new("orrery")
        .version(VERSION)
        .after_help("Example:\n  orrery create \"red apple\"")
        .arg_required_else_help(true)
        .subcommand_required(true);
    let built = registry::systems().filter_map(|system| system.command());
    // In place of the doc comment of `Command`.
    let command = Command::augment_subcommands(command)
        .about("One engine for 27 AI systems: make, steer, guard, mark and judge text, pictures and video")
        .long_about(None)
        .subcommands(built);
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}Options:\n{{options}}{{after-help}}",
        rooms(&command)
    );
    with_shared_options(command.help_template(template))
}

/// The commands, and the systems room by room, in place of one long list.
fn rooms(command: &clap::Command) -> String {
    const ROOMS: [(&str, &str); 7] = [
        ("", "Commands"),
        ("language", "Language"),
        ("judge", "Judges"),
        ("vision", "Vision"),
        ("image", "Pictures"),
        ("video", "Video"),
        ("learning", "Learning"),
    ];
    let row = |(name, about): (&str, String)| format!("  {name:<13}  {about}\n");
    let rows = |domain: &str| -> String {
        let all = command.get_subcommands().map(clap::Command::get_name);
        let systems = all.filter_map(registry::system).map(|it| it.card);
        let systems = systems.filter(|card| card.domain == domain);
        systems
            .map(|card| row((card.slug, card.purpose.into())))
            .collect()
    };
    let others = command
        .get_subcommands()
        .filter(|it| registry::system(it.get_name()).is_none());
    let about = |it: &clap::Command| it.get_about().map(ToString::to_string).unwrap_or_default();
    let others: String = others.map(|it| row((it.get_name(), about(it)))).collect();
    let rooms = ROOMS.map(|(domain, title)| match domain {
        "" => (title, others.clone()),
        domain => (title, rows(domain)),
    });
    let built = rooms.iter().filter(|(_, rows)| !rows.is_empty());
    built
        .map(|(title, rows)| format!("{title}:\n{rows}\n"))
        .collect()
}

/// Does what the arguments of the process say.
pub fn run(context: Context) -> Result<(), Failure> {
    match describe().try_get_matches() {
        Ok(matches) => {
            follow_shared_options(&matches);
            follow(&matches, context)
        }
        Err(error) => usage::explain(&error),
    }
}

fn follow(matches: &ArgMatches, context: Context) -> Result<(), Failure> {
    if let Some((name, matches)) = matches.subcommand()
        && let Some(system) = registry::system(name)
    {
        return system.run(matches, context);
    }
    match Command::from_arg_matches(matches).map_err(Failure::input)? {
        #[cfg(feature = "stiv")]
        Command::Create(create) => create.run(context),
        #[cfg(feature = "sd")]
        Command::Sd(verb) => base::system::Verbs::run(verb.as_ref(), context),
        Command::List(list) => list.run(),
        #[cfg(feature = "pull")]
        Command::Pull(pull) => pull.run(context),
        Command::Prove(prove) => prove.run(context),
        #[cfg(feature = "serve")]
        Command::Serve(serve) => serve.run(context),
        #[cfg(feature = "bench")]
        Command::Bench(bench) => bench.run(context),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
        Command::Other(words) => {
            let name = words.first().map(|name| name.to_string_lossy());
            Err(unknown::command(&name.unwrap_or_default()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(command: &clap::Command, visit: &mut dyn FnMut(&clap::Command)) {
        visit(command);
        command
            .get_subcommands()
            .filter(|below| below.get_name() != "help")
            .for_each(|below| every(below, visit));
    }

    #[test]
    fn help_lists_every_command_in_its_room() {
        let help = describe().render_help().to_string();
        for command in describe().get_subcommands() {
            let begins = |line: &&str| line.trim_start().starts_with(command.get_name());
            let lines = help.lines().filter(begins).collect::<Vec<_>>();
            assert!(!lines.is_empty(), "{} in {help}", command.get_name());
            assert!(lines[0].len() <= 100, "{lines:?}");
        }
    }

    #[test]
    fn every_verb_takes_threads_and_quiet() {
        let mut command = describe().disable_help_subcommand(true);
        command.build();
        let mut verbs = 0;
        every(&command, &mut |verb| {
            for option in ["threads", "quiet"] {
                let found = verb
                    .get_arguments()
                    .filter(|arg| arg.get_long() == Some(option));
                assert_eq!(found.count(), 1, "{} {option}", verb.get_name());
            }
            verbs += 1;
        });
        assert!(verbs > 20, "{verbs}");
    }
}
