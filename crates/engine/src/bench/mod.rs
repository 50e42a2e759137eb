//! Benchmarks of fixed size, timed beside PyTorch: `orrery bench`.

#[cfg(feature = "language")]
pub mod agreement;
mod conv;
#[cfg(feature = "stable-diffusion")]
pub mod diffusion;
mod dit;
mod kernels;
#[cfg(feature = "language")]
pub mod language;
mod peer;
mod quant;
#[cfg(feature = "language")]
pub mod training;

use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use serde::Serialize;

pub use peer::{KERNELS, Peer, PeerError};

/// Seconds that a round of a benchmark takes at least.
const ROUND: f64 = 0.05;

/// A single run that takes longer than this is a round by itself, in seconds.
const LONG: f64 = 1.0;

/// Runs a benchmark once.
pub type Run = Box<dyn FnMut() + Send>;

/// What a benchmark is timed interleaved with.
#[derive(Clone, Copy)]
enum Beside {
    /// The same benchmark of the peer.
    Peer,
    /// A benchmark of our own that bounds it.
    Ours(fn() -> Run),
    /// Nothing: it has a limit of its own.
    Nothing,
}

/// Something to be timed.
pub struct Benchmark {
    /// Its name, the same in the peer's script.
    pub name: &'static str,
    /// What is computed.
    pub about: &'static str,
    /// Makes its input, and what runs once.
    make: fn() -> Run,
    beside: Beside,
    floor: Option<f64>,
    seconds: Option<f64>,
    bytes: Option<u64>,
    below_peer: bool,
}

impl Benchmark {
    /// A benchmark that the peer does as well. `make` is called on the threads of the pool that runs it.
    pub fn with_peer(name: &'static str, about: &'static str, make: fn() -> Run) -> Self {
        Self {
            name,
            about,
            make,
            beside: Beside::Peer,
            floor: None,
            seconds: None,
            bytes: None,
            below_peer: false,
        }
    }

    /// A benchmark beside nothing.
    pub fn alone(name: &'static str, about: &'static str, make: fn() -> Run) -> Self {
        Self {
            beside: Beside::Nothing,
            ..Self::with_peer(name, about, make)
        }
    }

    /// A benchmark beside another of our own, which bounds it or which it replaces.
    pub fn with_own(
        name: &'static str,
        about: &'static str,
        make: fn() -> Run,
        beside: fn() -> Run,
    ) -> Self {
        Self {
            beside: Beside::Ours(beside),
            ..Self::with_peer(name, about, make)
        }
    }

    /// The same with the largest ratio to the peer's time that is still good enough.
    pub fn at_most(self, floor: f64) -> Self {
        Self {
            floor: Some(floor),
            ..self
        }
    }

    /// The same with the most seconds that it may take.
    pub fn within(self, seconds: f64) -> Self {
        Self {
            seconds: Some(seconds),
            ..self
        }
    }

    /// The same with the most memory that the process may hold meanwhile, in bytes.
    pub fn below(self, bytes: u64) -> Self {
        Self {
            bytes: Some(bytes),
            ..self
        }
    }

    /// The same with the peer's memory as the most that the process may hold meanwhile.
    pub fn below_peer(self) -> Self {
        Self {
            below_peer: true,
            ..self
        }
    }
}

/// What came out of a benchmark.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// The benchmark's name.
    pub name: &'static str,
    /// What was computed.
    pub about: &'static str,
    /// Median of the rounds, in milliseconds.
    pub ours_ms: f64,
    /// The same of what stands beside it, the peer or a bound of our own; none where nothing does.
    pub beside_ms: Option<f64>,
    /// Whether the peer stands beside it.
    pub peer: bool,
    /// Median of the rounds' ratios, ours ÷ what stands beside; below 1 is faster.
    pub ratio: Option<f64>,
    /// Smallest and largest of these ratios.
    pub range: Option<[f64; 2]>,
    /// The largest ratio that is good enough, where one is asked for.
    pub floor: Option<f64>,
    /// The longest time that is good enough in milliseconds, where one is asked for.
    pub most_ms: Option<f64>,
    /// The most bytes that the process held meanwhile; what earlier benchmarks left to the allocator is in it. None where the
    /// system does not say.
    pub memory: Option<u64>,
    /// The same of the peer's process, which starts anew where it bounds ours.
    pub beside_memory: Option<u64>,
    /// The most of them that are good enough, where it is asked for.
    pub most_memory: Option<u64>,
}

impl Timing {
    /// Whether we were too slow, beside the peer where it stood there or by the clock, or took too much memory.
    pub fn missed(&self) -> bool {
        let above =
            |value: f64, most: Option<f64>| most.is_some_and(|most| value.is_nan() || value > most);
        let bytes = |bytes: u64| bytes as f64;
        self.ratio.is_some_and(|ratio| above(ratio, self.floor))
            || above(self.ours_ms, self.most_ms)
            || self
                .memory
                .is_some_and(|memory| above(bytes(memory), self.most_memory.map(bytes)))
    }
}

/// The benchmarks of kernels and of two networks, in the order of the report.
pub fn benchmarks() -> Vec<Benchmark> {
    kernels::benchmarks()
        .into_iter()
        .chain(conv::benchmarks())
        .chain(dit::benchmarks())
        .chain(quant::benchmarks())
        .collect()
}

/// Threads for the benchmarks.
///
/// # Errors
/// When the system gives no more threads.
pub fn pool(threads: usize) -> Result<ThreadPool, ThreadPoolBuildError> {
    ThreadPoolBuilder::new().num_threads(threads).build()
}

/// Times a benchmark on the threads of `pool`, interleaved with what stands beside it: one round of ours, one of that, and again.
///
/// # Errors
/// When the peer fails.
pub fn time(
    benchmark: &Benchmark,
    rounds: usize,
    pool: &ThreadPool,
    peer: Option<&mut Peer>,
) -> Result<Timing, PeerError> {
    let mut peer = peer;
    if let Some(peer) = peer.as_mut().filter(|_| benchmark.below_peer) {
        peer.restart()?;
    }
    base::memory::forget_peak();
    let mut run = pool.install(benchmark.make);
    let mut beside_memory = None;
    let memory = &mut beside_memory;
    let mut other: Option<Box<dyn FnMut() -> Result<f64, PeerError> + '_>> =
        match (benchmark.beside, peer) {
            (Beside::Peer, Some(peer)) => Some(Box::new(move || {
                let round = peer.round(benchmark.name)?;
                *memory = round.memory;
                Ok(round.ms)
            })),
            (Beside::Peer, None) | (Beside::Nothing, _) => None,
            (Beside::Ours(make), _) => {
                let mut run = pool.install(make);
                Some(Box::new(move || Ok(pool.install(|| round(&mut run)))))
            }
        };
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // The first round warms both up.
    for counted in (0..=rounds).map(|round| round > 0) {
        let mine = pool.install(|| round(&mut run));
        let beside = other.as_mut().map(|other| other()).transpose()?;
        if counted {
            ours.push(mine);
            theirs.extend(beside);
            ratios.extend(beside.map(|beside| mine / beside));
        }
    }
    drop(other);
    let bound = benchmark.below_peer.then_some(beside_memory).flatten();
    Ok(Timing {
        name: benchmark.name,
        about: benchmark.about,
        ours_ms: median(&mut ours),
        peer: matches!(benchmark.beside, Beside::Peer),
        beside_ms: (!theirs.is_empty()).then(|| median(&mut theirs)),
        ratio: (!ratios.is_empty()).then(|| median(&mut ratios)),
        // `median` left them sorted.
        range: ratios.first().zip(ratios.last()).map(|(a, b)| [*a, *b]),
        floor: benchmark.floor,
        most_ms: benchmark.seconds.map(|seconds| seconds * 1e3),
        memory: base::memory::peak(),
        beside_memory,
        most_memory: benchmark.bytes.or(bound),
    })
}

/// Milliseconds of one run: the median of as many as fit a round, three at least; of a long one the first.
fn round(run: &mut (dyn FnMut() + Send)) -> f64 {
    let begun = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || begun.elapsed().as_secs_f64() < ROUND {
        let start = Instant::now();
        run();
        times.push(start.elapsed().as_secs_f64() * 1e3);
        if begun.elapsed().as_secs_f64() > LONG {
            break;
        }
    }
    median(&mut times)
}

/// Sorts and takes the middle.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
