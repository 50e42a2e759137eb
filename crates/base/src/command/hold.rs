//! What a request to stop must wait for.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many holds there are.
static HOLDS: AtomicUsize = AtomicUsize::new(0);

/// As long as one of these lives, a request to stop does not end the process: the holder sees the request itself, or is
/// done soon. Files that are full hold until they have their names, training, which writes a checkpoint before it ends, and answers that
/// run in the sandbox. Everything else, such as reading from a pipe where nothing comes, ends within two seconds.
#[derive(Debug)]
pub struct Hold(());

impl Hold {
    /// From now on a request to stop waits.
    pub fn new() -> Self {
        HOLDS.fetch_add(1, Ordering::SeqCst);
        Self(())
    }

    /// Whether anybody holds.
    pub fn any() -> bool {
        HOLDS.load(Ordering::SeqCst) > 0
    }
}

impl Default for Hold {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        HOLDS.fetch_sub(1, Ordering::SeqCst);
    }
}
