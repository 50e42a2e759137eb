//! How work is asked to stop: Ctrl-C, or SIGTERM where a run has no terminal.

use std::sync::atomic::{AtomicBool, Ordering};

use base::command::{Context, tell};

/// Becomes true at the first request.
static STOP: AtomicBool = AtomicBool::new(false);
/// Exit code after a second request.
const INTERRUPTED: i32 = 130;

/// Work is stopped between steps, so that whatever is being written becomes whole; a second request does not wait.
pub fn watch() -> Context {
    let watched = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED);
        }
    });
    if watched.is_err() {
        tell("warning: Ctrl-C cannot be watched here and stops at once");
    }
    #[cfg(unix)]
    watch_termination();
    Context { stop: &STOP }
}

/// A shell starts what it puts into the background deaf to Ctrl-C; `kill` still reaches it.
#[cfg(unix)]
fn watch_termination() {
    extern "C" fn requested(_: libc::c_int) {
        if STOP.swap(true, Ordering::Relaxed) {
            // SAFETY: `_exit` may be called in a signal handler.
            unsafe { libc::_exit(INTERRUPTED) }
        }
    }
    let handler = requested as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the handler touches an atomic and calls `_exit`, which are safe in a signal handler.
    unsafe {
        libc::signal(libc::SIGTERM, handler);
    }
}
