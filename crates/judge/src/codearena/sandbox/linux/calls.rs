//! System calls that the library has no safe wrapper for. Nothing here allocates.

use std::ffi::CStr;

use libc::c_int;

/// Copies this process into new namespaces; 0 in the copy, −1 where it failed.
///
/// This is the system call, not the library's `fork`: that one takes the allocator's locks, which another thread of the
/// parent may have held when process 1 was copied and which nobody would ever release.
///
/// # Safety
/// The copy has one thread. It may make system calls only, on memory that was prepared before.
pub(super) unsafe fn fork(namespaces: c_int) -> libc::pid_t {
    let flags = (namespaces | libc::SIGCHLD) as u64;
    let none = 0_u64;
    // SAFETY: no stack is given, so the copy goes on with its own copy of this one.
    unsafe { libc::syscall(libc::SYS_clone, flags, none, none, none, none) as libc::pid_t }
}

pub(super) fn errno() -> i32 {
    // SAFETY: the C library gives a valid place for this thread.
    unsafe { *libc::__errno_location() }
}

/// Writes a whole file, made where `create`.
pub(super) fn write_file(path: &CStr, mut bytes: &[u8], create: bool) -> bool {
    let flags = libc::O_WRONLY
        | libc::O_CLOEXEC
        | if create {
            libc::O_CREAT | libc::O_TRUNC
        } else {
            0
        };
    // SAFETY: system calls on a prepared path and a live slice.
    unsafe {
        let file = libc::open(path.as_ptr(), flags, 0o644);
        if file < 0 {
            return false;
        }
        while !bytes.is_empty() {
            let written = libc::write(file, bytes.as_ptr().cast(), bytes.len());
            let Some(rest) = usize::try_from(written).ok().and_then(|n| bytes.get(n..)) else {
                return false;
            };
            bytes = rest;
        }
        libc::close(file) == 0
    }
}

/// `struct mount_attr` of the kernel.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    namespace: u64,
}

const RDONLY: u64 = 1;
const NOSUID: u64 = 2;
const AT_RECURSIVE: c_int = 0x8000;

/// A mount and everything below read-only.
pub(super) fn read_only(at: &CStr) -> bool {
    set_attributes(at, AT_RECURSIVE)
}

/// This mount alone read-only.
pub(super) fn read_only_here(at: &CStr) -> bool {
    set_attributes(at, 0)
}

fn set_attributes(at: &CStr, flags: c_int) -> bool {
    let attributes = MountAttributes {
        set: RDONLY | NOSUID,
        clear: 0,
        propagation: 0,
        namespace: 0,
    };
    let size = std::mem::size_of::<MountAttributes>();
    let pointer: *const MountAttributes = &attributes;
    // SAFETY: the kernel reads `size` bytes of a live struct.
    unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            at.as_ptr(),
            flags,
            pointer,
            size,
        ) == 0
    }
}
