//! How work is asked to stop: Ctrl-C, or SIGTERM where a run has no terminal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::command::{Context, Hold, eprint_line};

/// Becomes true at the first request.
static STOP: AtomicBool = AtomicBool::new(false);
/// Exit code after a request that the work itself did not answer.
const INTERRUPTED: i32 = 130;
/// How long work may take to end by itself: it is asked between its steps.
const GRACE: Duration = Duration::from_millis(1500);
/// How often holds are looked at after that.
const LOOK: Duration = Duration::from_millis(20);

/// Work is stopped between steps, so that whatever is being written becomes whole. What does not stop by itself, such as a
/// read from a pipe or a request that hangs, is ended, though not while somebody holds ([`Hold`]); a second request does
/// not wait at all.
pub fn watch() -> Context {
    let watched = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            base::files::abandon();
            std::process::exit(INTERRUPTED);
        }
        // This is a thread of the handler's own, and a second Ctrl-C must reach it.
        std::thread::spawn(end_soon);
    });
    if watched.is_err() {
        eprint_line("warning: Ctrl-C cannot be watched here and stops at once");
    }
    #[cfg(unix)]
    watch_termination();
    Context { stop: &STOP }
}

/// Says what happened where a mapped file became shorter while it was read, which the system tells by a signal.
#[cfg(unix)]
pub fn watch_mapped_files() {
    /// Whether a thread tells it already.
    static TOLD: AtomicBool = AtomicBool::new(false);

    extern "C" fn tell(_: libc::c_int) {
        while TOLD.swap(true, Ordering::Relaxed) {
            // SAFETY: a handler may wait.
            unsafe { libc::pause() };
        }
        const LINE: &[u8] = b"error: a file became shorter while it was read, or its disk failed: run the command again when the file is whole\n";
        // SAFETY: a handler may call both; the line lives as long as the program.
        unsafe {
            libc::write(libc::STDERR_FILENO, LINE.as_ptr().cast(), LINE.len());
            libc::_exit(1);
        }
    }
    let handler: extern "C" fn(libc::c_int) = tell;
    // SAFETY: the handler does only what a handler may.
    unsafe {
        libc::signal(libc::SIGBUS, handler as libc::sighandler_t);
    }
}

/// Ends the process when the work had its time and nobody holds. Who held has the same time again, to say what became of the work.
fn end_soon() {
    std::thread::sleep(GRACE);
    if Hold::any() {
        while Hold::any() {
            std::thread::sleep(LOOK);
        }
        std::thread::sleep(GRACE);
    }
    base::files::abandon();
    eprint_line("stopped");
    std::process::exit(INTERRUPTED);
}

/// A shell starts what it puts into the background deaf to Ctrl-C; `kill` still reaches it.
#[cfg(unix)]
fn watch_termination() {
    use std::io::Read;
    use std::os::fd::{IntoRawFd, RawFd};
    use std::sync::atomic::AtomicI32;

    /// Where the handler writes to wake the thread that may do more than a handler may.
    static WAKE: AtomicI32 = AtomicI32::new(-1);

    extern "C" fn requested(_: libc::c_int) {
        if STOP.swap(true, Ordering::Relaxed) {
            // SAFETY: `_exit` may be called in a signal handler.
            unsafe { libc::_exit(INTERRUPTED) }
        }
        let wake: RawFd = WAKE.load(Ordering::Relaxed);
        // SAFETY: `write` may be called in a signal handler; the byte outlives the call.
        unsafe {
            libc::write(wake, [0u8].as_ptr().cast(), 1);
        }
    }

    if let Ok((mut woken, wake)) = std::io::pipe() {
        WAKE.store(wake.into_raw_fd(), Ordering::Relaxed);
        std::thread::spawn(move || {
            if woken.read_exact(&mut [0]).is_ok() {
                end_soon();
            }
        });
    }
    let handler = requested as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the handler touches atomics and calls `write` and `_exit`, which are safe in a signal handler.
    unsafe {
        libc::signal(libc::SIGTERM, handler);
    }
}
