//! The parent's side of a run: it reads what is written, counts memory, watches the clock, and ends everything in time.
//!
//! On a busy machine a run's clock stands still while its processes wait for a processor: that other work is there says
//! nothing about the program.

use std::collections::{HashMap, HashSet};
use std::io::{PipeReader, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use super::super::{Ended, Limits};
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

/// Watches process 1 of a run until it is gone, with everything it started.
pub(super) fn watch(
    pid: libc::pid_t,
    stdout: PipeReader,
    stderr: PipeReader,
    limits: &Limits,
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
    let mut waits = HashMap::new();
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
        } else if begun.elapsed() > limits.wall + waited(&waits).min(MOST_WAITING * limits.wall) {
            seen.killed = Some(Ended::Timeout);
        } else if counted.elapsed() >= COUNT_EVERY {
            counted = Instant::now();
            if memory(pid, limits.processes as usize, &mut waits) > limits.memory {
                seen.killed = Some(Ended::Memory);
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

/// What a socket's buffers can hold at most, both ways, as the kernel counts it by default.
const SOCKET: u64 = 2 * 212_992;

/// Bytes that a process and everything below it hold: resident pages, anonymous memory that they share (which stays when nobody
/// has it resident), what open sockets may hold, and the files of the working folder. Orphans of the namespace are children of
/// process 1, so all are found.
///
/// `waits` keeps how long the threads of each process waited for a processor, in nanoseconds.
fn memory(first: libc::pid_t, processes: usize, waits: &mut HashMap<libc::pid_t, u64>) -> u64 {
    let (mut open, mut known, mut pages) = (vec![first], HashSet::new(), 0_u64);
    let (mut shared, mut sockets) = (HashMap::new(), HashSet::new());
    let mut files = None;
    while let Some(pid) = open.pop() {
        if !known.insert(pid) || known.len() > processes + 2 {
            continue;
        }
        let number = |text: String| {
            let mut words = text.split(' ').skip(1).map(|word| word.parse::<u64>().ok());
            let (resident, of_files) = (words.next()??, words.next()??);
            Some((resident, of_files))
        };
        let (resident, of_files) = std::fs::read_to_string(format!("/proc/{pid}/statm"))
            .ok()
            .and_then(number)
            .unwrap_or((0, 0));
        pages += resident;
        if of_files > 0 {
            shared_memory(pid, &mut shared);
        }
        count_sockets(pid, &mut sockets);
        if pid != first && files.is_none() {
            files = files_in(&format!("/proc/{pid}/root/work"));
        }
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
            .flatten();
        for task in tasks {
            let longest = waits.entry(pid).or_default();
            *longest = run_delay(&task.path()).unwrap_or(0).max(*longest);
            let children =
                std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            open.extend(
                children
                    .split_whitespace()
                    .filter_map(|word| word.parse::<libc::pid_t>().ok()),
            );
        }
    }
    // SAFETY: asks for a constant of the system.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages * u64::try_from(page).unwrap_or(4096)
        + shared.values().sum::<u64>()
        + sockets.len() as u64 * SOCKET
        + files.unwrap_or(0)
}

/// How long a thread was ready to run and did not, in nanoseconds.
fn run_delay(task: &std::path::Path) -> Option<u64> {
    let text = std::fs::read_to_string(task.join("schedstat")).ok()?;
    text.split_whitespace().nth(1)?.parse().ok()
}

/// How long a run waited for a processor: each process as long as the thread of it that waited longest, one after the other.
fn waited(waits: &HashMap<libc::pid_t, u64>) -> Duration {
    Duration::from_nanos(waits.values().sum())
}

/// Anonymous memory that a process shares with others, by its number: the part of each mapping that is not resident here.
fn shared_memory(pid: libc::pid_t, shared: &mut HashMap<String, u64>) {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mut own: HashMap<String, u64> = HashMap::new();
    for line in maps.lines().filter(|line| line.contains("/dev/zero")) {
        let mut words = line.split_ascii_whitespace();
        let range = words.next().and_then(|range| range.split_once('-'));
        let Some((start, end)) = range else { continue };
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap_or(0);
        let number_of_file = words.nth(3).unwrap_or_default().to_owned();
        *own.entry(number_of_file).or_default() += number(end).saturating_sub(number(start));
    }
    for (number, bytes) in own {
        let most = shared.entry(number).or_default();
        *most = bytes.max(*most);
    }
}

/// Adds the sockets that a process has open.
fn count_sockets(pid: libc::pid_t, sockets: &mut HashSet<std::path::PathBuf>) {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    sockets.extend(targets.filter(|target| {
        target
            .as_os_str()
            .as_encoded_bytes()
            .starts_with(b"socket:")
    }));
}

/// Bytes in the files of a memory disk.
fn files_in(path: &str) -> Option<u64> {
    let path = std::ffi::CString::new(path).ok()?;
    // SAFETY: the kernel fills a struct of ours, which may be all zero.
    let about = unsafe {
        let mut about: libc::statfs = std::mem::zeroed();
        (libc::statfs(path.as_ptr(), &mut about) == 0).then_some(about)
    }?;
    let tmpfs = about.f_type as i64 == 0x0102_1994;
    let used = about.f_blocks.saturating_sub(about.f_bfree);
    tmpfs.then_some(used * about.f_bsize as u64)
}

/// The first bytes that all writers, who are dead, left in a pipe.
pub(super) fn first_page(pipe: PipeReader) -> Vec<u8> {
    let mut bytes = Vec::new();
    Source::new(pipe).read(&mut bytes, 4096);
    bytes
}

/// What the run told last before its end.
pub(super) fn status(mut pipe: PipeReader) -> Option<(Step, i32)> {
    let mut message = [0_u8; 8];
    pipe.read_exact(&mut message).ok()?;
    let [a, b, c, d, e, f, g, h] = message;
    let step = Step::from_code(i32::from_ne_bytes([a, b, c, d]))?;
    Some((step, i32::from_ne_bytes([e, f, g, h])))
}
