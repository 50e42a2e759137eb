//! Threads that stay awake between short operations.
//!
//! A language model that decodes one token runs hundreds of operations of a few microseconds each. Waking sleeping
//! threads for each of them would take longer than the work, so helpers are woken once for many operations and then
//! wait in a loop for the next one.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::parallel::Places;

/// Rounds of waiting before a thread offers its core to others.
const SPINS: u32 = 2_000;
/// Bits of [`Shared::state`] that count tasks handed out.
const NEXT: u32 = 32;

/// A thread and its helpers. Only the thread that gathered them gives them work.
pub struct Team<'a> {
    shared: &'a Shared,
    threads: usize,
    /// Not `Sync`: an operation cannot start another one.
    owner: PhantomData<*const ()>,
}

/// One operation: a closure that is called with the number of each task.
#[derive(Clone, Copy)]
struct Job {
    call: unsafe fn(*const (), usize),
    work: *const (),
}

struct Shared {
    /// Tasks of the current operation (upper half) and how many of them were handed out (lower half).
    state: AtomicU64,
    /// Tasks of the current operation that ended.
    done: AtomicUsize,
    job: UnsafeCell<Job>,
    stop: AtomicBool,
}

// SAFETY: `job` is written only while no task of an operation is out, and read only by threads that hold one.
unsafe impl Sync for Shared {}

impl Team<'_> {
    /// Calls `body` with a team of as many threads as the current rayon pool has.
    pub fn gather<R>(body: impl FnOnce(&Team<'_>) -> R) -> R {
        let threads = rayon::current_num_threads();
        let shared = Shared {
            state: AtomicU64::new(0),
            done: AtomicUsize::new(0),
            job: UnsafeCell::new(Job {
                call: call::<fn(usize)>,
                work: std::ptr::null(),
            }),
            stop: AtomicBool::new(false),
        };
        let team = Team {
            shared: &shared,
            threads,
            owner: PhantomData,
        };
        if threads == 1 {
            return body(&team);
        }
        let (helped, owner) = (&shared, AssertUnwindSafe(team));
        rayon::in_place_scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|_| helped.help());
            }
            let result = catch_unwind(AssertUnwindSafe(|| body(&owner)));
            helped.stop.store(true, Ordering::Release);
            result.unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Threads of the team.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `work` with each number below `count`, on whatever threads are free. Calls may overlap.
    pub fn run<W: Fn(usize) + Sync>(&self, count: usize, work: W) {
        if count <= 1 || self.threads == 1 || count > u32::MAX as usize {
            return (0..count).for_each(work);
        }
        let shared = self.shared;
        // SAFETY: no task is out: the last operation waited for all of its own.
        unsafe {
            *shared.job.get() = Job {
                call: call::<W>,
                work: std::ptr::from_ref(&work).cast(),
            };
        }
        shared.done.store(0, Ordering::Relaxed);
        shared
            .state
            .store((count as u64) << NEXT, Ordering::Release);
        let result = catch_unwind(AssertUnwindSafe(|| while shared.take() {}));
        // Nobody takes further tasks; those that are out end before `work` does.
        let state = shared.state.swap(0, Ordering::AcqRel);
        let taken = (state as u32 as usize).min(count);
        let mut rounds = 0;
        while shared.done.load(Ordering::Acquire) < taken {
            wait(&mut rounds);
        }
        if let Err(panic) = result {
            resume_unwind(panic);
        }
    }
}

/// Rows from which work on them is worth several threads.
const FEW: usize = 4;

impl Team<'_> {
    /// Calls `work` with the number of each row of `width` values of `out` and the row itself, several rows at once.
    pub fn rows<T: Send>(
        &self,
        out: &mut [T],
        width: usize,
        work: impl Fn(usize, &mut [T]) + Sync,
    ) {
        let width = width.max(1);
        let rows = out.len() / width;
        if rows < FEW {
            for (row, out) in out.chunks_exact_mut(width).enumerate() {
                work(row, out);
            }
            return;
        }
        let step = rows.div_ceil(4 * self.threads);
        let places = Places::new(out);
        self.run(rows.div_ceil(step), |task| {
            for row in task * step..rows.min((task + 1) * step) {
                // SAFETY: rows do not overlap, and each is given out once.
                work(row, unsafe { places.slice(row * width, width) });
            }
        });
    }
}

impl Shared {
    /// Takes tasks until the owner is done.
    fn help(&self) {
        let mut rounds = 0;
        while !self.stop.load(Ordering::Acquire) {
            if self.take() {
                rounds = 0;
            } else {
                wait(&mut rounds);
            }
        }
    }

    /// Runs one task, if one is left.
    fn take(&self) -> bool {
        let left = |state: u64| (state as u32) < (state >> NEXT) as u32;
        if !left(self.state.load(Ordering::Relaxed)) {
            return false;
        }
        let state = self.state.fetch_add(1, Ordering::AcqRel);
        if !left(state) {
            return false;
        }
        /// Counts a task as ended, also when it panics.
        struct Ended<'a>(&'a AtomicUsize);
        impl Drop for Ended<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::AcqRel);
            }
        }
        let _ended = Ended(&self.done);
        // SAFETY: while this task is out, the owner neither replaces the job nor drops what it points to.
        unsafe {
            let job = *self.job.get();
            (job.call)(job.work, state as u32 as usize);
        }
        true
    }
}

/// Calls a closure behind a pointer.
///
/// # Safety
/// `work` must point to a `W`.
unsafe fn call<W: Fn(usize)>(work: *const (), task: usize) {
    // SAFETY: promised.
    unsafe { (*work.cast::<W>())(task) }
}

fn wait(rounds: &mut u32) {
    *rounds += 1;
    if *rounds < SPINS {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on<R: Send>(threads: usize, body: impl FnOnce(&Team<'_>) -> R + Send) -> R {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build()
            .map(|pool| pool.install(|| Team::gather(body)))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn every_task_runs_once_whatever_the_threads() {
        for threads in 1..=4 {
            for count in [0, 1, 2, 3, 7, 100] {
                let counts: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                on(threads, |team| {
                    for _ in 0..50 {
                        team.run(count, |i| {
                            counts[i].fetch_add(1, Ordering::Relaxed);
                        });
                    }
                });
                assert!(counts.iter().all(|n| n.load(Ordering::Relaxed) == 50));
            }
        }
    }

    #[test]
    fn a_panic_of_a_task_reaches_the_caller() {
        let result = catch_unwind(|| {
            on(3, |team| team.run(8, |i| assert_ne!(i, 5)));
        });
        assert!(result.is_err());
    }
}
