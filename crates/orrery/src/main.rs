//! The command line of Orrery.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use engine::command::{Context, Failure, tell};

mod cli;
mod create;
mod list;
mod preview;
mod prove;
mod registry;
mod unknown;
mod usage;

/// Becomes true at the first Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    engine::memory::keep_large_buffers();
    // Work is stopped between steps, so that whatever is being written becomes whole; a second Ctrl-C does not wait.
    let watched = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    if watched.is_err() {
        tell("warning: Ctrl-C cannot be watched here and stops at once");
    }
    match follow() {
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

fn follow() -> Result<(), Failure> {
    let context = Context { stop: &STOP };
    match cli::Cli::try_parse() {
        Ok(cli) => cli.command.run(context),
        Err(error) => usage::explain(&error),
    }
}
