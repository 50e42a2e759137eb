//! Linux: namespaces, limits, a system-call filter, and the parent's watch over a run.

mod calls;
mod child;
mod count;
mod filter;
mod group;
mod room;
mod step;
mod watch;

use std::ffi::CString;
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::{Ended, Job, Limits, Ran, SandboxError};
use child::Child;
use group::Group;
use step::Step;

/// Who makes the namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The system's administrator; the program becomes a user that owns nothing.
    Root,
    /// Any user, inside a user namespace.
    User,
}

/// How runs are locked in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Who makes the namespaces.
    pub mode: Mode,
    /// Whether the kernel bounds memory, each run being a control group.
    pub groups: bool,
}

/// The first way that works here, tried once.
pub fn probe() -> Result<Way, SandboxError> {
    static FOUND: OnceLock<Result<Way, SandboxError>> = OnceLock::new();
    let job = Job {
        argv: vec!["/bin/true".into()],
        ..Job::default()
    };
    let way = |way| run(&job, &Limits::default(), way).map(|_| way);
    let works = |mode| {
        let groups = |groups| Way { mode, groups };
        match group::place() {
            Some(_) => way(groups(true)).or_else(|_| way(groups(false))),
            None => way(groups(false)),
        }
    };
    FOUND
        .get_or_init(|| {
            // SAFETY: only reads this process's user id.
            let root = unsafe { libc::geteuid() } == 0;
            let first = if root {
                works(Mode::Root)
            } else {
                works(Mode::User)
            };
            first
                .or_else(|_| works(Mode::User))
                .map_err(|error| SandboxError::NoNamespaces(error.to_string()))
        })
        .clone()
}

/// Where a run makes its root: any folder that is always there and shows nothing that a run needs. The run alone sees what it
/// mounts on it, and nothing is left behind, whatever ends this process.
const STAGE: &str = "/proc";

/// Runs a job and waits for its end.
pub fn run(job: &Job, limits: &Limits, way: Way) -> Result<Ran, SandboxError> {
    let setup = |step| {
        move |cause: std::io::Error| SandboxError::Setup {
            step,
            cause: cause.to_string(),
        }
    };
    let mut stdin = tempfile::tempfile().map_err(setup("its standard input"))?;
    stdin
        .write_all(&job.stdin)
        .and_then(|()| stdin.rewind())
        .map_err(setup("its standard input"))?;
    let (stdout, stdout_end) = std::io::pipe().map_err(setup("a pipe"))?;
    let (stderr, stderr_end) = std::io::pipe().map_err(setup("a pipe"))?;
    let (status, status_end) = std::io::pipe().map_err(setup("a pipe"))?;
    let pipes = job
        .payload
        .as_ref()
        .map(|_| Ok((std::io::pipe()?, std::io::pipe()?)));
    let pipes = pipes.transpose().map_err(setup("a pipe"))?;
    let text =
        |text: &str| CString::new(text).map_err(|_| SandboxError::Job("a text holds a zero byte"));
    let texts = |all: &[String]| {
        all.iter()
            .map(|one| text(one))
            .collect::<Result<Vec<_>, _>>()
    };
    let environment: Vec<String> = [
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "HOME=/work",
        "TMPDIR=/work",
        "LANG=C.UTF-8",
        "PYTHONDONTWRITEBYTECODE=1",
        "PYTHONHASHSEED=0",
    ]
    .map(str::to_owned)
    .to_vec();
    let files = job.files.iter().map(|(name, bytes)| {
        let plain = !name.is_empty() && !name.contains('/') && name != "..";
        match plain {
            true => Ok((text(&format!("/work/{name}"))?, bytes.as_slice())),
            false => Err(SandboxError::Job("a file's name is not plain")),
        }
    });
    // SAFETY: both only read this process's ids.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let group = match way.groups {
        true => Group::new(limits.memory).map_err(setup("its control group"))?,
        false => None,
    };
    let child = Child {
        mode: way.mode,
        group: group.as_ref().map(Group::members),
        stage: text(STAGE)?,
        uid_map: format!("{uid} {uid} 1\n").into_bytes(),
        gid_map: format!("{gid} {gid} 1\n").into_bytes(),
        user: own_user(),
        room: room::steps(STAGE, &job.folders)
            .map_err(|_| SandboxError::Job("a path holds a zero byte"))?,
        files: files.collect::<Result<_, _>>()?,
        argv: texts(&job.argv)?,
        environment: texts(&environment)?,
        arguments: child::own_arguments(),
        limits: child::resource_limits(limits, job.reserves_addresses),
        filters: filter::programs()?,
        fds: [
            stdin.as_raw_fd(),
            stdout_end.as_raw_fd(),
            stderr_end.as_raw_fd(),
            status_end.as_raw_fd(),
        ],
        pipes: pipes
            .as_ref()
            .map(|((payload, _), (_, proof))| [payload.as_raw_fd(), proof.as_raw_fd()]),
    };
    if child.argv.is_empty() {
        return Err(SandboxError::Job("no program is named"));
    }
    let begun = Instant::now();
    let pid = child.spawn().map_err(setup("new namespaces"))?;
    drop((stdout_end, stderr_end, status_end));
    let mut proof = pipes.map(|((_, to_program), (proof, _))| {
        if let Some(payload) = job.payload.clone() {
            // It waits where the pipe is full, and ends with the last reader. What it could not write nobody wants.
            std::thread::spawn(move || {
                let mut to_program = to_program;
                let _ = to_program.write_all(&payload);
            });
        }
        proof
    });
    let seen = watch::watch(pid, stdout, stderr, limits, group.as_ref(), begun);
    let ended_with = watch::status(status);
    let proof = proof.take().map(watch::first_page).unwrap_or_default();
    let ended = match (seen.killed, ended_with) {
        (Some(reason), _) => reason,
        (None, Some((Step::Exited, raw))) => ended(raw),
        (None, Some((step, errno))) => {
            let cause = std::io::Error::from_raw_os_error(errno);
            return Err(setup(step.words())(cause));
        }
        // Process 1 was ended from outside, or by the kernel for want of memory.
        (None, None) => Ended::Signal(libc::SIGKILL),
    };
    Ok(Ran {
        ended,
        stdout: seen.stdout,
        stderr: seen.stderr,
        proof,
        wall: begun.elapsed(),
    })
}

/// A user id for one run: limits on processes count users, so runs at the same time must not share one.
fn own_user() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let process = std::process::id().wrapping_mul(0x9e37_79b1) >> 16;
    0x4f52_0000 + ((process + NEXT.fetch_add(1, Ordering::Relaxed)) & 0xffff)
}

/// What a wait status says.
fn ended(raw: i32) -> Ended {
    if libc::WIFEXITED(raw) {
        return Ended::Exit(libc::WEXITSTATUS(raw));
    }
    match libc::WTERMSIG(raw) {
        libc::SIGXCPU => Ended::Timeout,
        signal => Ended::Signal(signal),
    }
}
