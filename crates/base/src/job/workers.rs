//! Independent jobs, several at a time; the caller receives each result as soon as it is there.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

/// Runs `work` on the numbers `0..jobs` with `workers` threads, and `done` on this thread with each result, in the order of
/// completion. No further job begins once `stop` is true or `done` returned an error; jobs under way are finished.
///
/// # Errors
/// The first error of `done`.
pub fn run<T: Send, E>(
    jobs: usize,
    workers: usize,
    stop: &AtomicBool,
    work: impl Fn(usize) -> T + Sync,
    mut done: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let halt = AtomicBool::new(false);
    let (send, receive) = mpsc::channel();
    let mut error = None;
    std::thread::scope(|scope| {
        for _ in 0..workers.clamp(1, jobs.max(1)) {
            let (send, next, halt, work) = (send.clone(), &next, &halt, &work);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) && !halt.load(Ordering::Relaxed) {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    if job >= jobs || send.send((job, work(job))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        for (job, result) in receive {
            if let Err(first) = done(job, result) {
                error.get_or_insert(first);
                halt.store(true, Ordering::Relaxed);
            }
        }
    });
    error.map_or(Ok(()), Err)
}
