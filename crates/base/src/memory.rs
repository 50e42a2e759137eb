//! How the program's allocator deals with large buffers.

/// Asks the allocator to keep large freed buffers for the next step instead of giving them back to the system.
///
/// A training step frees and asks again for hundreds of megabytes; taken from the system each time, clearing the fresh
/// pages costs more than half as much again as the arithmetic. Call it once, first thing in `main`. It has an effect with
/// glibc on Linux only.
pub fn keep_large_buffers() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// Buffers up to this size come from the kept heap: the most that glibc allows.
        const LARGEST: i32 = 32 << 20;
        /// The heap shrinks when this much is free at its end.
        const KEPT: i32 = i32::MAX;
        /// It grows by this much at a time; pages count only once they are written.
        const GROWTH: i32 = 64 << 20;
        // SAFETY: `mallopt` only stores the numbers; an unknown one is refused by its result.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
            libc::mallopt(libc::M_TOP_PAD, GROWTH);
        }
    }
}

/// The most bytes that this process has held at a time, mapped files that were read included; none where the system does not say.
pub fn peak() -> Option<u64> {
    status("VmHWM:")
}

/// Gives freed memory back to the system; what [`peak`] says counts from now on. Both where the system can do that.
pub fn forget_peak() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` only gives back what nobody holds.
    unsafe {
        libc::malloc_trim(0);
    }
    // 5 resets the peak alone (proc(5)); elsewhere there is no such file.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// A line of this process's status on Linux, in bytes.
pub fn status(key: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}
