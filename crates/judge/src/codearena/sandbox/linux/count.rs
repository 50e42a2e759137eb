//! What the processes of a run hold and how long they waited, read from `/proc`.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::DirEntry;
use std::path::Path;
use std::time::Duration;

/// What a socket's buffers can hold at most, both ways, as the kernel counts it by default.
const SOCKET: u64 = 2 * 212_992;

/// Bytes that a process and everything below it hold: resident pages, anonymous memory that they share (which stays when nobody
/// has it resident), what open sockets may hold, and the files of the working folder; 0 unless `count`. Orphans of the namespace
/// are children of process 1, so all are found.
///
/// `waits` learns how long its threads waited for a processor.
pub(super) fn look(first: libc::pid_t, processes: usize, count: bool, waits: &mut Waits) -> u64 {
    let (mut open, mut known) = (vec![first], HashSet::new());
    let mut memory = Memory::default();
    while let Some(pid) = open.pop() {
        if !known.insert(pid) || known.len() > processes + 2 {
            continue;
        }
        if count {
            memory.add(pid, pid != first);
        }
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
            .flatten();
        for task in tasks {
            waits.see(&task);
            let children =
                std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            open.extend(
                children
                    .split_whitespace()
                    .filter_map(|word| word.parse::<libc::pid_t>().ok()),
            );
        }
    }
    waits.see_own();
    memory.bytes()
}

/// How long a run waited for a processor, in nanoseconds: each thread of it by its number, those that ended too, and this thread,
/// because while it waits nobody sees what threads of short life wait.
pub(super) struct Waits {
    threads: HashMap<OsString, u64>,
    own_before: u64,
    own: u64,
}

impl Waits {
    pub(super) fn new() -> Self {
        Self {
            threads: HashMap::new(),
            own_before: run_delay(Path::new(THIS_THREAD)).unwrap_or(0),
            own: 0,
        }
    }

    /// All waiting, one after the other.
    pub(super) fn waited(&self) -> Duration {
        Duration::from_nanos(self.own + self.threads.values().sum::<u64>())
    }

    fn see(&mut self, task: &DirEntry) {
        if let Some(waited) = run_delay(&task.path()) {
            self.threads.insert(task.file_name(), waited);
        }
    }

    fn see_own(&mut self) {
        let own = run_delay(Path::new(THIS_THREAD)).unwrap_or(0);
        self.own = own.saturating_sub(self.own_before);
    }
}

const THIS_THREAD: &str = "/proc/thread-self";

/// Memory of some processes, by its kinds.
#[derive(Default)]
struct Memory {
    pages: u64,
    shared: HashMap<String, u64>,
    sockets: HashSet<std::path::PathBuf>,
    files: Option<u64>,
}

impl Memory {
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
fn run_delay(task: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(task.join("schedstat")).ok()?;
    text.split_whitespace().nth(1)?.parse().ok()
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
