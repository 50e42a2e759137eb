//! Works of fixed size that are timed beside PyTorch: `orrery bench`.

mod conv;
mod dit;
mod kernels;
mod llama;
mod peer;

use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use serde::Serialize;

pub use peer::{Peer, PeerError};

/// Seconds that a round of a work takes at least.
const ROUND: f64 = 0.05;

/// Something to be timed.
pub struct Work {
    /// Its name, the same in `benches/peer.py`.
    pub name: &'static str,
    /// What is computed.
    pub about: &'static str,
    /// Makes its input, and what runs once.
    make: fn() -> Box<dyn FnMut() + Send>,
}

/// What came out of a work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// The work's name.
    pub name: &'static str,
    /// What was computed.
    pub about: &'static str,
    /// Median of the rounds, in milliseconds.
    pub ours_ms: f64,
    /// The same of the peer; none where it did not run.
    pub peer_ms: Option<f64>,
    /// Median of the rounds' ratios, ours ÷ the peer's; below 1 is faster.
    pub ratio: Option<f64>,
    /// Smallest and largest of these ratios.
    pub range: Option<[f64; 2]>,
}

/// All works, in the order of the report.
pub fn works() -> Vec<Work> {
    kernels::works()
        .into_iter()
        .chain(conv::works())
        .chain(dit::works())
        .chain(llama::works())
        .collect()
}

/// Threads for the works.
///
/// # Errors
/// When the system gives no more threads.
pub fn pool(threads: usize) -> Result<ThreadPool, ThreadPoolBuildError> {
    ThreadPoolBuilder::new().num_threads(threads).build()
}

/// Times a work on the threads of `pool`, in turn with the peer: one round of ours, one of the peer's, and again.
///
/// # Errors
/// When the peer fails.
pub fn time(
    work: &Work,
    rounds: usize,
    pool: &ThreadPool,
    mut peer: Option<&mut Peer>,
) -> Result<Timing, PeerError> {
    let mut run = (work.make)();
    pool.install(|| round(&mut run));
    if let Some(peer) = peer.as_deref_mut() {
        peer.round(work.name)?;
    }
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mine = pool.install(|| round(&mut run));
        ours.push(mine);
        if let Some(peer) = peer.as_deref_mut() {
            let other = peer.round(work.name)?;
            theirs.push(other);
            ratios.push(mine / other);
        }
    }
    Ok(Timing {
        name: work.name,
        about: work.about,
        ours_ms: median(&mut ours),
        peer_ms: (!theirs.is_empty()).then(|| median(&mut theirs)),
        ratio: (!ratios.is_empty()).then(|| median(&mut ratios)),
        // `median` left them sorted.
        range: ratios.first().zip(ratios.last()).map(|(a, b)| [*a, *b]),
    })
}

/// Milliseconds of one run: the median of as many as fit a round, three at least.
fn round(run: &mut (dyn FnMut() + Send)) -> f64 {
    let begun = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || begun.elapsed().as_secs_f64() < ROUND {
        let start = Instant::now();
        run();
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    median(&mut times)
}

/// Sorts and takes the middle.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
