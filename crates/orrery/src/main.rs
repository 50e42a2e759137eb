//! The command line of Orrery.

use std::process::ExitCode;

use clap::Parser;
use engine::command::{Context, Failure, tell};

mod allocator;
mod bench;
mod cli;
mod create;
mod list;
mod preview;
mod prove;
mod pull;
mod registry;
mod stop;
mod unknown;
mod usage;

#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

fn main() -> ExitCode {
    engine::memory::keep_large_buffers();
    match follow(stop::watch()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let kind = match failure {
                Failure::Interrupted(_) => "",
                _ => "error: ",
            };
            tell(&format!("{kind}{failure}"));
            ExitCode::from(failure.code())
        }
    }
}

fn follow(context: Context) -> Result<(), Failure> {
    match cli::Cli::try_parse() {
        Ok(cli) => cli.command.run(context),
        Err(error) => usage::explain(&error),
    }
}
