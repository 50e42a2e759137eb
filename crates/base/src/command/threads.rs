//! Options of every verb: which threads share parallel work, and whether it is quiet.

use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Arg, ArgAction, ArgMatches, Command};

static QUIET: AtomicBool = AtomicBool::new(false);
/// Most threads that may be asked for.
const MOST_THREADS: u64 = 1024;

/// Adds `--threads` and `--quiet` to a command and all below it.
pub fn with_shared_options(command: Command) -> Command {
    let threads = Arg::new("threads")
        .long("threads")
        .value_parser(clap::value_parser!(u64).range(1..=MOST_THREADS))
        .allow_negative_numbers(true)
        .help("Number of worker threads, 1 to 1024 [default: one per CPU core]");
    let quiet = Arg::new("quiet")
        .long("quiet")
        .short('q')
        .action(ArgAction::SetTrue)
        .help("Show no progress, and do not say what was written; warnings and errors remain");
    command.args([threads.global(true), quiet.global(true)])
}

/// Does what those options say; `matches` are those of the whole command line.
pub fn follow_shared_options(matches: &ArgMatches) {
    let mut verb = matches;
    while let Some((_, below)) = verb.subcommand() {
        verb = below;
    }
    // What is not a command has no options.
    let quiet = verb.try_get_one::<bool>("quiet").ok().flatten();
    QUIET.store(quiet == Some(&true), Ordering::Relaxed);
    if let Some(&threads) = verb.try_get_one::<u64>("threads").ok().flatten() {
        let _ = rayon::ThreadPoolBuilder::new()
            .num_threads(threads as usize)
            .build_global();
    }
}

/// Whether `--quiet` was given.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// How many threads share parallel work.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// Makes this thread one of those that share parallel work. Else it hands everything over and sleeps: each operation begins
/// with a wait, and who is woken where it ran may share that processor with another for milliseconds, most of a short run.
///
/// For verbs whose parallel work all begins in this thread: with one thread, work begun in another would wait for it. Nothing
/// changes once there was parallel work, or with `--threads`.
pub fn use_calling_thread_as_worker() {
    // The one error says that the threads are there already.
    let _ = rayon::ThreadPoolBuilder::new()
        .use_current_thread()
        .build_global();
}
