//! `orrery completions` and `orrery man`: what shells and `man` want to know of the commands.

use std::io::Write;

use base::command::{Failure, print_line};
use clap::Args;
use clap_complete::Shell;

use crate::cli;

/// Options of `completions`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery completions bash > ~/.local/share/bash-completion/completions/orrery
  orrery completions zsh > ~/.zfunc/_orrery
  orrery completions fish > ~/.config/fish/completions/orrery.fish")]
pub struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    pub fn run(&self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command(), "orrery", &mut script);
        print_line(String::from_utf8_lossy(&script).trim_end())
    }
}

/// Options of `man`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery man | man -l -
  orrery man stiv train > orrery-stiv-train.1")]
pub struct Man {
    /// The command, such as `stiv train`; without it the page of all commands
    command: Vec<String>,
}

impl Man {
    /// Prints the page.
    pub fn run(&self) -> Result<(), Failure> {
        let mut wanted = command();
        let mut name = "orrery".to_owned();
        for word in &self.command {
            let Some(below) = wanted.find_subcommand(word) else {
                return Err(Failure::input(format!(
                    "`{name}` has no command `{word}`: `{name} --help` shows what there is"
                )));
            };
            wanted = below.clone();
            name = format!("{name} {word}");
        }
        // A page is named after the whole command, as git's are.
        let man = clap_mangen::Man::new(wanted).title(name.replace(' ', "-"));
        let mut page = Vec::new();
        man.render(&mut page)
            .and_then(|()| page.flush())
            .map_err(Failure::failed)?;
        print_line(String::from_utf8_lossy(&page).trim_end())
    }
}

/// All commands with all that is described only when it is asked for.
fn command() -> clap::Command {
    let mut command = cli::describe();
    command.build();
    command
}
