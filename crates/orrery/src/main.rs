//! The command line of Orrery.

use std::process::ExitCode;

use base::command::{Failure, Hold, eprint_line};

mod allocator;
#[cfg(feature = "bench")]
mod bench;
mod cards;
mod cli;
#[cfg(feature = "stiv")]
mod create;
mod list;
mod manual;
#[cfg(feature = "stiv")]
mod preview;
mod prove;
#[cfg(feature = "pull")]
mod pull;
mod registry;
#[cfg(feature = "serve")]
mod serve;
mod stop;
mod unknown;
mod usage;

#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

fn main() -> ExitCode {
    base::memory::keep_large_buffers();
    #[cfg(unix)]
    stop::watch_mapped_files();
    let done = cli::run(stop::watch());
    // A stop that was asked for waits until it is said what became of the work.
    let _hold = Hold::new();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let kind = match failure {
                Failure::Interrupted(_) => "",
                _ => "error: ",
            };
            eprint_line(&format!("{kind}{failure}"));
            ExitCode::from(failure.code())
        }
    }
}
