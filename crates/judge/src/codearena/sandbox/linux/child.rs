//! The two processes of a run: process 1, which furnishes the namespaces and waits, and the program.
//!
//! Between `clone` and `execve` nothing may allocate or lock, for other threads of the parent may hold locks that nobody
//! releases here. Everything is prepared in [`Child`]; below are system calls only.

use std::ffi::CString;
use std::io;
use std::os::fd::RawFd;
use std::ptr::{null, null_mut};

use libc::{c_char, c_int, c_void};
use seccompiler::BpfProgram;

use super::super::Limits;
use super::Mode;
use super::calls::{errno, fork, read_only, read_only_here, write_file};
use super::room::Furnish;
use super::step::{STATUS, Step, demand, report};

/// A run, ready to start.
pub(super) struct Child<'a> {
    pub mode: Mode,
    /// Where it becomes a member of its control group.
    pub group: Option<RawFd>,
    pub stage: CString,
    pub uid_map: Vec<u8>,
    pub gid_map: Vec<u8>,
    /// The user that the program becomes in [`Mode::Root`].
    pub user: u32,
    pub room: Vec<Furnish>,
    pub files: Vec<(CString, &'a [u8])>,
    pub argv: Vec<CString>,
    pub environment: Vec<CString>,
    /// Where this process's own command line stands, as address and length: process 1 inherits it and makes it blank.
    pub arguments: Option<(usize, usize)>,
    pub limits: Vec<(c_int, u64)>,
    pub filters: &'static [BpfProgram],
    /// Standard input, output, error, and where the end is reported.
    pub fds: [RawFd; 4],
    /// What becomes descriptors 4 and 5 of the program.
    pub pipes: Option<[RawFd; 2]>,
}

/// Descriptors of the program for its payload and its proof.
const PAYLOAD: RawFd = 4;
const PROOF: RawFd = 5;
/// Descriptors of the parent are moved up to here, out of the way of those that the program gets.
const ASIDE: c_int = 64;

/// Where the kernel finds this process's command line: fields 48 and 49 of `/proc/self/stat`.
pub(super) fn own_arguments() -> Option<(usize, usize)> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field, in brackets, may hold anything.
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(48 - 3);
    let start: usize = fields.next()?.parse().ok()?;
    let end: usize = fields.next()?.parse().ok()?;
    Some((start, end.checked_sub(start)?)).filter(|(start, _)| *start > 0)
}

/// Limits of one process, as the system counts them.
pub(super) fn resource_limits(limits: &Limits, reserves_addresses: bool) -> Vec<(c_int, u64)> {
    let mut all = vec![
        (libc::RLIMIT_CPU as c_int, limits.cpu_seconds),
        (libc::RLIMIT_FSIZE as c_int, limits.file_size),
        (libc::RLIMIT_NPROC as c_int, limits.processes),
        (libc::RLIMIT_CORE as c_int, 0),
        (libc::RLIMIT_NOFILE as c_int, 256),
        (libc::RLIMIT_MEMLOCK as c_int, 64 << 10),
        (libc::RLIMIT_MSGQUEUE as c_int, 0),
    ];
    if !reserves_addresses {
        all.push((libc::RLIMIT_AS as c_int, limits.memory));
    }
    all
}

impl Child<'_> {
    /// Starts process 1 and gives its id.
    pub(super) fn spawn(&self) -> io::Result<libc::pid_t> {
        let pointers = |texts: &[CString]| -> Vec<*const c_char> {
            texts
                .iter()
                .map(|text| text.as_ptr())
                .chain([null()])
                .collect()
        };
        let (argv, environment) = (pointers(&self.argv), pointers(&self.environment));
        let mut flags = libc::CLONE_NEWNS
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWNET
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS;
        if self.mode == Mode::User {
            flags |= libc::CLONE_NEWUSER;
        }
        // SAFETY: like `fork` with namespaces: no stack is given, so the child goes on with a copy of this one. It makes
        // only system calls on memory prepared above and ends in `_exit` or `execve`.
        match unsafe { fork(flags) } {
            0 => self.first(&argv, &environment),
            pid if pid < 0 => Err(io::Error::last_os_error()),
            pid => Ok(pid),
        }
    }

    /// Process 1.
    fn first(&self, argv: &[*const c_char], environment: &[*const c_char]) -> ! {
        // SAFETY: system calls on descriptors and memory that this process owns; it has one thread.
        unsafe {
            let aside = |fd: RawFd| libc::fcntl(fd, libc::F_DUPFD, ASIDE);
            let [stdin, stdout, stderr, status] = self.fds.map(aside);
            let pipes = self.pipes.map(|pipes| pipes.map(aside));
            let group = self.group.map(aside);
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::prctl(libc::PR_SET_NAME, c"init".as_ptr());
            if let Some((start, length)) = self.arguments {
                // This process's own copy of the page; the kernel said where it is.
                std::ptr::write_bytes(start as *mut u8, 0, length);
            }
            libc::dup2(stdin, 0);
            libc::dup2(stdout, 1);
            libc::dup2(stderr, 2);
            libc::dup2(status, STATUS);
            if let Some(group) = group {
                demand(
                    Step::Group,
                    libc::write(group, c"0".as_ptr().cast(), 1) == 1,
                );
            }
            let mut first_free = PAYLOAD;
            if let Some([payload, proof]) = pipes {
                libc::dup2(payload, PAYLOAD);
                libc::dup2(proof, PROOF);
                first_free = PROOF + 1;
            }
            // Descriptors of the parent, ends of other runs' pipes among them.
            libc::syscall(libc::SYS_close_range, first_free as u32, u32::MAX, 0_u32);
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &none, null_mut());
        }
        if self.mode == Mode::User {
            demand(
                Step::Users,
                write_file(c"/proc/self/setgroups", b"deny", false),
            );
            demand(
                Step::Users,
                write_file(c"/proc/self/uid_map", &self.uid_map, false),
            );
            demand(
                Step::Users,
                write_file(c"/proc/self/gid_map", &self.gid_map, false),
            );
        }
        demand(Step::Root, self.furnish());
        for (path, bytes) in &self.files {
            demand(Step::Files, write_file(path, bytes, true));
        }
        // SAFETY: as above; the child of this fork is `second`.
        unsafe {
            libc::prctl(libc::PR_SET_DUMPABLE, 0);
            match fork(0) {
                0 => self.second(argv, environment),
                pid if pid < 0 => demand(Step::Exec, false),
                pid => {
                    if self.pipes.is_some() {
                        libc::close(PAYLOAD);
                        libc::close(PROOF);
                    }
                    wait_for(pid);
                }
            }
        }
        // SAFETY: ends this process; the kernel ends every other one of the namespace.
        unsafe { libc::_exit(0) }
    }

    /// Makes the new root and enters it.
    fn furnish(&self) -> bool {
        // SAFETY: system calls on prepared texts.
        unsafe {
            let private = libc::MS_REC | libc::MS_PRIVATE;
            if libc::mount(null(), c"/".as_ptr(), null(), private, null()) != 0 {
                return false;
            }
            for step in &self.room {
                let done = match step {
                    Furnish::Folder(at) => {
                        libc::mkdir(at.as_ptr(), 0o755) == 0 || errno() == libc::EEXIST
                    }
                    Furnish::File(at) => write_file(at, b"", true),
                    Furnish::Link { to, at } => libc::symlink(to.as_ptr(), at.as_ptr()) == 0,
                    Furnish::Show { source, at } => {
                        let bind = libc::MS_BIND | libc::MS_REC;
                        libc::mount(source.as_ptr(), at.as_ptr(), null(), bind, null()) == 0
                            && read_only(at)
                    }
                    Furnish::Memory { at, options } => {
                        let flags = libc::MS_NOSUID | libc::MS_NODEV;
                        libc::mount(
                            c"tmpfs".as_ptr(),
                            at.as_ptr(),
                            c"tmpfs".as_ptr(),
                            flags,
                            options.as_ptr().cast(),
                        ) == 0
                    }
                    Furnish::Processes(at) => {
                        let flags =
                            libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_RDONLY;
                        libc::mount(
                            c"proc".as_ptr(),
                            at.as_ptr(),
                            c"proc".as_ptr(),
                            flags,
                            null(),
                        );
                        true
                    }
                };
                if !done {
                    return false;
                }
            }
            // The new root over the old one, then the old one away.
            let dot = c".".as_ptr();
            libc::chdir(self.stage.as_ptr()) == 0
                && libc::syscall(libc::SYS_pivot_root, dot, dot) == 0
                && libc::umount2(dot, libc::MNT_DETACH) == 0
                && libc::chdir(c"/".as_ptr()) == 0
                && read_only_here(c"/")
                && libc::chdir(c"/work".as_ptr()) == 0
        }
    }

    /// The program.
    fn second(&self, argv: &[*const c_char], environment: &[*const c_char]) -> ! {
        // SAFETY: system calls on prepared memory; `execve` replaces the process or `demand` ends it.
        unsafe {
            libc::fcntl(STATUS, libc::F_SETFD, libc::FD_CLOEXEC);
            libc::setsid();
            for &(resource, most) in &self.limits {
                // One second between the signal that can be caught and the one that cannot.
                let hard = most + u64::from(resource == libc::RLIMIT_CPU as c_int);
                let limit = libc::rlimit {
                    rlim_cur: most,
                    rlim_max: hard,
                };
                demand(Step::Limits, libc::setrlimit(resource as _, &limit) == 0);
            }
            for capability in 0..64_u64 {
                libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
            }
            if self.mode == Mode::Root {
                if self.pipes.is_some() {
                    // Runtimes that know files by name alone open `/dev/fd/4` anew.
                    libc::fchown(PAYLOAD, self.user, self.user);
                    libc::fchown(PROOF, self.user, self.user);
                }
                // The library's wrappers would speak to threads that are not in this copy of the process.
                let user = self.user;
                let none = null::<libc::gid_t>();
                let done = libc::syscall(libc::SYS_setgroups, 0_usize, none) == 0
                    && libc::syscall(libc::SYS_setresgid, user, user, user) == 0
                    && libc::syscall(libc::SYS_setresuid, user, user, user) == 0;
                demand(Step::Drop, done);
            }
            demand(
                Step::Drop,
                libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0,
            );
            for filter in self.filters {
                // Both crates declare the kernel's `sock_filter`.
                let program = libc::sock_fprog {
                    len: filter.len() as u16,
                    filter: filter.as_ptr().cast::<libc::sock_filter>().cast_mut(),
                };
                let program: *const libc::sock_fprog = &program;
                let set = libc::SECCOMP_SET_MODE_FILTER;
                demand(
                    Step::Filter,
                    libc::syscall(libc::SYS_seccomp, set, 0, program.cast::<c_void>()) == 0,
                );
            }
            if let Some(program) = argv.first() {
                libc::execve(*program, argv.as_ptr(), environment.as_ptr());
            }
        }
        demand(Step::Exec, false);
        // SAFETY: not reached; `demand` has ended the process.
        unsafe { libc::_exit(1) }
    }
}

/// Reaps whatever ends until the program does, and tells how it ended.
fn wait_for(program: libc::pid_t) {
    loop {
        let mut raw = 0;
        // SAFETY: writes the status into `raw`.
        let pid = unsafe { libc::waitpid(-1, &mut raw, 0) };
        if pid == program {
            return report(Step::Exited, raw);
        }
        if pid < 0 && errno() != libc::EINTR {
            return;
        }
    }
}
