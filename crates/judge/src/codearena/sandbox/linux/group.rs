//! Control groups of version 2: the kernel itself bounds the memory of all processes of a run together, in every form that it
//! has.
//!
//! They are used where this process may make groups and put its children there: as root, or as a user to whom systemd gave a
//! part of the tree, as it does for programs of a graphical session and with `systemd-run --user --scope`. Elsewhere
//! [`super::watch`] counts. What is refused ([`super::filter`]) is the same in both, so that a program's grade does not depend on
//! the machine.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What the names of our groups begin with; the process and a number follow.
const PREFIX: &str = "orrery-run-";
/// How often an empty group is tried to be removed: its last process leaves it a little after it was waited for.
const TRIES: u32 = 50;

/// The group of one run.
#[derive(Debug)]
pub(super) struct Group {
    folder: PathBuf,
    members: File,
}

impl Group {
    /// A group for a run of at most `memory` bytes; none where this system has no place for groups.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn new(memory: u64) -> io::Result<Option<Self>> {
        place().map(|place| Self::below(place, memory)).transpose()
    }

    fn below(place: &Path, memory: u64) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = place.join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&folder)?;
        let opened = || {
            fs::write(folder.join("memory.max"), memory.to_string())?;
            fs::write(folder.join("memory.oom.group"), "1")?;
            // Not there where swapping is not counted, or there is none.
            let _ = fs::write(folder.join("memory.swap.max"), "0");
            let mut options = OpenOptions::new();
            options.write(true).open(folder.join("cgroup.procs"))
        };
        match opened() {
            Ok(members) => Ok(Self { folder, members }),
            Err(cause) => {
                let _ = fs::remove_dir(&folder);
                Err(cause)
            }
        }
    }

    /// Where a process writes `0` to become a member.
    pub(super) fn members(&self) -> RawFd {
        self.members.as_raw_fd()
    }

    /// Whether the kernel ended the run because it took more memory than it may.
    pub(super) fn ran_out(&self) -> bool {
        let events = fs::read_to_string(self.folder.join("memory.events")).unwrap_or_default();
        let killed = events
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill "));
        killed.is_some_and(|times| times != "0")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..TRIES {
            match fs::remove_dir(&self.folder) {
                Err(cause) if cause.kind() == io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                _ => return,
            }
        }
    }
}

/// The nearest group above this process whose members' memory is counted and where groups can be made. It is looked for once,
/// and groups that killed runs left there go.
pub(super) fn place() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let (root, mount) = mounts.lines().find_map(hierarchy)?;
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        let below = Path::new(own).strip_prefix(root).ok()?;
        let own = mount.join(below);
        let mut above = own
            .ancestors()
            .take_while(|folder| folder.starts_with(mount));
        let place = above.find(|folder| {
            let counted = fs::read_to_string(folder.join("cgroup.subtree_control"));
            counted.is_ok_and(|names| names.split_whitespace().any(|name| name == "memory"))
                && Group::below(folder, u64::MAX >> 1).is_ok()
        })?;
        sweep(place);
        Some(place.to_owned())
    };
    FOUND.get_or_init(find).as_deref()
}

/// Root and place of a mounted hierarchy of version 2, from a line of `mountinfo`.
fn hierarchy(line: &str) -> Option<(&str, &Path)> {
    let (own, kind) = line.split_once(" - ")?;
    let mut fields = own.split(' ').skip(3);
    let (root, mount) = (fields.next()?, fields.next()?);
    kind.starts_with("cgroup2 ")
        .then_some((root, Path::new(mount)))
}

/// Removes groups of processes that are no more; one with members stays, for the kernel refuses.
fn sweep(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('-'));
        if process.is_some_and(|(process, _)| !Path::new("/proc").join(process).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_is_found_among_mounts() {
        let old = "30 24 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory";
        assert_eq!(hierarchy(old), None);
        let new = "31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(hierarchy(new), Some(("/", Path::new("/sys/fs/cgroup"))));
        let part = "31 24 0:27 /docker/a /sys/fs/cgroup ro - cgroup2 cgroup rw";
        let found = hierarchy(part);
        assert_eq!(found, Some(("/docker/a", Path::new("/sys/fs/cgroup"))));
        assert_eq!(hierarchy("cut off"), None);
    }
}
