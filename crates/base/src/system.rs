//! The registry: what a domain crate says of a system, and how the command line, `list` and `prove` reach it.

use clap::{ArgMatches, Command, Subcommand};

use crate::card::{Card, Status};
use crate::command::{Context, Failure};
use crate::proof::Proof;

/// The verbs of a system, `orrery SLUG VERB`, derived with [`clap::Subcommand`].
pub trait Verbs: Subcommand {
    /// Runs the verb that was asked for.
    ///
    /// # Errors
    /// One line with cause and fix.
    fn run(&self, context: Context) -> Result<(), Failure>;
}

/// An enum of verbs, `Name(Options)` with its help: options have `run(&self, Context) -> Result<(), Failure>`.
#[macro_export]
macro_rules! verbs {
    ($(#[$about:meta])* $vis:vis enum $name:ident { $($(#[$help:meta])* $verb:ident($options:ty),)+ }) => {
        $(#[$about])*
        #[derive(::clap::Subcommand, Debug)]
        $vis enum $name {
            $($(#[$help])* $verb(Box<$options>),)+
        }

        impl $crate::system::Verbs for $name {
            fn run(&self, context: $crate::command::Context) -> Result<(), $crate::command::Failure> {
                #[allow(unused_imports, reason = "options may be verbs again")]
                use $crate::system::Verbs as _;
                match self {
                    $(Self::$verb(verb) => verb.run(context),)+
                }
            }
        }
    };
}

/// One system. A domain crate exports `SYSTEMS: &[System]`, in the order of the README's table.
#[derive(Clone, Copy, Debug)]
pub struct System {
    /// What it is.
    pub card: Card,
    /// Its small-scale proof.
    pub proof: Option<Proof>,
    commands: Option<Commands>,
}

#[derive(Clone, Copy, Debug)]
struct Commands {
    describe: fn(Command) -> Command,
    run: fn(&ArgMatches, Context) -> Result<(), Failure>,
    after_help: &'static str,
}

impl System {
    /// A system with verbs and a proof.
    pub const fn new<V: Verbs>(card: Card, proof: Proof) -> Self {
        Self {
            card,
            proof: Some(proof),
            commands: Some(Commands {
                describe: described::<V>,
                run: run::<V>,
                after_help: "",
            }),
        }
    }

    /// A system that is not built yet.
    pub const fn planned(card: Card) -> Self {
        Self {
            card,
            proof: None,
            commands: None,
        }
    }

    /// The same with a text below its help.
    pub const fn after_help(mut self, text: &'static str) -> Self {
        if let Some(commands) = &mut self.commands {
            commands.after_help = text;
        }
        self
    }

    /// Whether it runs.
    pub fn status(&self) -> Status {
        match self.commands {
            Some(_) => Status::Works,
            None => Status::Planned,
        }
    }

    /// Its command. Verbs and options are described only when this command is asked for: a program of 27 systems
    /// describes one of them in a run.
    pub fn command(&self) -> Option<Command> {
        let commands = self.commands?;
        let about = format!("{} ({})", self.card.purpose, self.card.paper);
        let command = Command::new(self.card.slug)
            .about(about)
            .arg_required_else_help(true)
            .subcommand_required(true);
        let command = command.defer(commands.describe);
        Some(match commands.after_help {
            "" => command,
            text => command.after_help(text),
        })
    }

    /// Runs the verb in `matches`, those of [`System::command`].
    ///
    /// # Errors
    /// One line with cause and fix; [`Failure::Input`] for a planned system.
    pub fn run(&self, matches: &ArgMatches, context: Context) -> Result<(), Failure> {
        match self.commands {
            Some(commands) => (commands.run)(matches, context),
            None => Err(self.not_built()),
        }
    }

    /// What to say where a planned system is asked for.
    pub fn not_built(&self) -> Failure {
        Failure::input(format!(
            "`{}` ({}) is planned and not built yet: `orrery list` shows what works",
            self.card.slug, self.card.purpose
        ))
    }
}

/// The verbs, under the line of the card in place of the doc comment of `V`.
fn described<V: Verbs>(command: Command) -> Command {
    let about = command.get_about().cloned().unwrap_or_default();
    V::augment_subcommands(command)
        .about(about)
        .long_about(None)
}

fn run<V: Verbs>(matches: &ArgMatches, context: Context) -> Result<(), Failure> {
    V::from_arg_matches(matches)
        .map_err(Failure::input)?
        .run(context)
}
