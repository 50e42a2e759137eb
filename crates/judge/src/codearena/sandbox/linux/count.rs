//! What the processes of a run hold and how long they waited, read from `/proc`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// What a socket's buffers can hold at most, both ways, as the kernel counts it by default.
const SOCKET: u64 = 2 * 212_992;

/// Bytes that a process and everything below it hold: resident pages, anonymous memory that they share (which stays when nobody
/// has it resident), what open sockets may hold, and the files of the working folder; 0 unless `count`. Orphans of the namespace
/// are children of process 1, so all are found.
///
/// `waits` keeps how long the threads of each process waited for a processor, in nanoseconds.
pub(super) fn look(
    first: libc::pid_t,
    processes: usize,
    count: bool,
    waits: &mut HashMap<libc::pid_t, u64>,
) -> u64 {
    let (mut open, mut known) = (vec![first], HashSet::new());
    let mut held = Held::default();
    while let Some(pid) = open.pop() {
        if !known.insert(pid) || known.len() > processes + 2 {
            continue;
        }
        if count {
            held.add(pid, pid != first);
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
    held.bytes()
}

/// Memory of some processes, by its kinds.
#[derive(Default)]
struct Held {
    pages: u64,
    shared: HashMap<String, u64>,
    sockets: HashSet<std::path::PathBuf>,
    files: Option<u64>,
}

impl Held {
    /// Adds a process; its working folder too where it is `inside` the new root.
    fn add(&mut self, pid: libc::pid_t, inside: bool) {
        let number = |text: String| {
            let mut words = text.split(' ').skip(1).map(|word| word.parse::<u64>().ok());
            let (resident, of_files) = (words.next()??, words.next()??);
            Some((resident, of_files))
        };
        let (resident, of_files) = std::fs::read_to_string(format!("/proc/{pid}/statm"))
            .ok()
            .and_then(number)
            .unwrap_or((0, 0));
        self.pages += resident;
        if of_files > 0 {
            shared_memory(pid, &mut self.shared);
        }
        count_sockets(pid, &mut self.sockets);
        if inside && self.files.is_none() {
            self.files = files_in(&format!("/proc/{pid}/root/work"));
        }
    }

    fn bytes(&self) -> u64 {
        // SAFETY: asks for a constant of the system.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        self.pages * u64::try_from(page).unwrap_or(4096)
            + self.shared.values().sum::<u64>()
            + self.sockets.len() as u64 * SOCKET
            + self.files.unwrap_or(0)
    }
}

/// How long a thread was ready to run and did not, in nanoseconds.
fn run_delay(task: &std::path::Path) -> Option<u64> {
    let text = std::fs::read_to_string(task.join("schedstat")).ok()?;
    text.split_whitespace().nth(1)?.parse().ok()
}

/// How long a run waited for a processor: each process as long as the thread of it that waited longest, one after the other.
pub(super) fn waited(waits: &HashMap<libc::pid_t, u64>) -> Duration {
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
