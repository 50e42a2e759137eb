//! The parent's side of a run: it reads what is written, counts memory, watches the clock, and ends everything in time.
//!
//! On a busy machine a run's clock stands still while its processes wait for a processor: that other work is there says
//! nothing about the program.

use std::io::{PipeReader, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use super::super::{Ended, Limits};
use super::count::{Waits, look};
use super::group::Group;
use super::step::Step;

/// How often memory is counted.
const COUNT_EVERY: Duration = Duration::from_millis(20);

/// A run ends at so many times its wall time, however busy the machine is.
const MOST_WAITING: u32 = 5;

/// What was seen of a run.
pub(super) struct Seen {
    pub killed: Option<Ended>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// Watches process 1 of a run until it is gone, with everything it started. Memory is counted where no `group` bounds it.
pub(super) fn watch(
    pid: libc::pid_t,
    stdout: PipeReader,
    stderr: PipeReader,
    limits: &Limits,
    group: Option<&Group>,
    begun: Instant,
) -> Seen {
    let mut seen = Seen {
        killed: None,
        stdout: Vec::new(),
        stderr: Vec::new(),
    };
    // SAFETY: `pid` is our child and not yet waited for, so the number is its own; the result is a new descriptor or −1.
    let handle = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as RawFd;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let handle = (handle >= 0).then(|| unsafe { OwnedFd::from_raw_fd(handle) });
    let (mut stdout, mut stderr) = (Source::new(stdout), Source::new(stderr));
    let mut counted = begun;
    let mut waits = Waits::new();
    loop {
        let pause = match handle {
            Some(_) => COUNT_EVERY,
            None => Duration::from_millis(2),
        };
        wait(
            &[
                stdout.fd(),
                stderr.fd(),
                handle.as_ref().map_or(-1, AsRawFd::as_raw_fd),
            ],
            pause,
        );
        let too_much = !stdout.read(&mut seen.stdout, limits.output)
            | !stderr.read(&mut seen.stderr, limits.output);
        if gone(pid) {
            break;
        }
        if seen.killed.is_some() {
            continue;
        }
        if too_much {
            seen.killed = Some(Ended::Output);
        } else if counted.elapsed() >= COUNT_EVERY {
            counted = Instant::now();
            // The clock is read first: on a busy machine this thread waits too, and what the run waited meanwhile is seen after.
            let passed = begun.elapsed();
            let held = look(pid, limits.processes as usize, group.is_none(), &mut waits);
            let waited = waits.waited().min(MOST_WAITING * limits.wall);
            if held > limits.memory {
                seen.killed = Some(Ended::Memory);
            } else if passed > limits.wall + waited {
                seen.killed = Some(Ended::Timeout);
            }
        }
        if seen.killed.is_some() {
            // SAFETY: our child, not yet waited for. As process 1 it takes its namespace along.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
    // All writers are dead; what they left is still in the pipes.
    let left =
        stdout.read(&mut seen.stdout, limits.output) & stderr.read(&mut seen.stderr, limits.output);
    if !left && seen.killed.is_none() {
        seen.killed = Some(Ended::Output);
    }
    if group.is_some_and(Group::ran_out) {
        seen.killed = Some(Ended::Memory);
    }
    seen
}

/// A pipe that is read without waiting.
struct Source(Option<PipeReader>);

impl Source {
    fn new(pipe: PipeReader) -> Self {
        // SAFETY: changes a flag of a descriptor that we own.
        unsafe {
            let fd = pipe.as_raw_fd();
            let flags = libc::fcntl(fd, libc::F_GETFL);
            libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK);
        }
        Self(Some(pipe))
    }

    fn fd(&self) -> RawFd {
        self.0.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// Takes what is there; `false` when there is more than `most` bytes in all.
    fn read(&mut self, into: &mut Vec<u8>, most: usize) -> bool {
        let mut buffer = [0; 1 << 14];
        while let Some(pipe) = &mut self.0 {
            match pipe.read(&mut buffer) {
                Ok(0) => self.0 = None,
                Ok(count) => {
                    let room = most.saturating_sub(into.len());
                    into.extend(buffer.iter().take(count.min(room)));
                    if count > room {
                        return false;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return true,
                Err(_) => self.0 = None,
            }
        }
        true
    }
}

/// Waits until one of the descriptors has something, at most for `pause`.
fn wait(fds: &[RawFd; 3], pause: Duration) {
    let mut polled = fds.map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    });
    // SAFETY: three live entries; negative descriptors are skipped.
    unsafe { libc::poll(polled.as_mut_ptr(), 3, pause.as_millis() as i32) };
}

/// Whether the child has ended; takes it off the system's list then.
fn gone(pid: libc::pid_t) -> bool {
    let mut raw = 0;
    // SAFETY: writes the status into `raw`.
    unsafe { libc::waitpid(pid, &mut raw, libc::WNOHANG) != 0 }
}

/// The first bytes that all writers, who are dead, left in a pipe.
pub(super) fn first_page(pipe: PipeReader) -> Vec<u8> {
    let mut bytes = Vec::new();
    Source::new(pipe).read(&mut bytes, 4096);
    bytes
}

/// What the run reported last before its end.
pub(super) fn status(mut pipe: PipeReader) -> Option<(Step, i32)> {
    let mut message = [0_u8; 8];
    pipe.read_exact(&mut message).ok()?;
    let [a, b, c, d, e, f, g, h] = message;
    let step = Step::from_code(i32::from_ne_bytes([a, b, c, d]))?;
    Some((step, i32::from_ne_bytes([e, f, g, h])))
}
