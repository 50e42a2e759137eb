//! A language model timed beside llama.cpp, which reads the same file: `orrery bench --suite language`.

use std::path::Path;
use std::time::Instant;

use rayon::ThreadPool;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::median;
use super::peer::{Peer, PeerError};
use crate::models::decoder::{
    Cache, Decoder, DecoderError, Input, Logits, Output, Request, Segment,
};
use crate::text::TextError;
use base::rng::Rng;

/// Tokens that are generated where decoding is timed.
const GENERATED: usize = 64;

/// Why nothing was timed.
#[derive(Debug, thiserror::Error)]
pub enum LanguageError {
    /// The other side.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// Our side.
    #[error(transparent)]
    Model(#[from] DecoderError),
    /// The file's tokenizer or chat template.
    #[error(transparent)]
    Text(#[from] TextError),
    /// It ended with words of its own.
    #[error("the peer cannot run `{name}`: {cause}")]
    Benchmark {
        /// The benchmark.
        name: &'static str,
        /// Its words.
        cause: String,
    },
}

/// What came out of a benchmark.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Speed {
    /// The benchmark's name.
    pub name: &'static str,
    /// What is counted.
    pub unit: &'static str,
    /// Median of ours.
    pub ours: f64,
    /// Median of the peer's.
    pub peer: Option<f64>,
    /// How many times faster we are.
    pub ratio: Option<f64>,
    /// How many times faster we must be at least.
    pub floor: Option<f64>,
}

impl Speed {
    /// Whether the peer stood beside it and we were too slow.
    pub fn missed(&self) -> bool {
        matches!((self.ratio, self.floor), (Some(ratio), Some(floor)) if ratio.is_nan() || ratio < floor)
    }
}

struct Benchmark {
    name: &'static str,
    prompts: usize,
    prompt: usize,
    tokens: usize,
    floor: Option<f64>,
}

/// Everything that is timed; floors are those that the engine was built for.
const BENCHMARKS: [Benchmark; 5] = [
    Benchmark {
        name: "decode",
        prompts: 1,
        prompt: 64,
        tokens: GENERATED,
        floor: Some(1.2),
    },
    Benchmark {
        name: "prefill-128",
        prompts: 1,
        prompt: 128,
        tokens: 1,
        floor: Some(1.5),
    },
    Benchmark {
        name: "prefill-1000",
        prompts: 1,
        prompt: 1000,
        tokens: 1,
        floor: Some(1.5),
    },
    Benchmark {
        name: "eight-sequences",
        prompts: 8,
        prompt: 16,
        tokens: GENERATED,
        floor: None,
    },
    Benchmark {
        name: "first-token",
        prompts: 1,
        prompt: 32,
        tokens: 1,
        floor: None,
    },
];

#[derive(Deserialize)]
struct Answer {
    prefill_s: Option<f64>,
    decode_s: Option<f64>,
    error: Option<String>,
}

/// Names of all benchmarks.
pub fn names() -> Vec<&'static str> {
    BENCHMARKS.iter().map(|benchmark| benchmark.name).collect()
}

/// Bytes that this process takes at most while all but 128 of `tokens` tokens are read and 128 more are generated, the mapped file
/// included; none where the system does not say. To be called before anything else is done with a model.
///
/// # Errors
/// [`LanguageError::Model`].
pub fn peak_memory(
    path: &Path,
    tokens: usize,
    pool: &ThreadPool,
) -> Result<Option<u64>, LanguageError> {
    let model = Decoder::open(path)?;
    let mut caches = [Cache::new(model.config())];
    pool.install(|| {
        let prompt = prompts(&model, 1, tokens.saturating_sub(128).max(1));
        let mut next = forward(&model, &mut caches, &prompt)?;
        for _ in 0..128 {
            next = forward(&model, &mut caches, &next)?;
        }
        Ok(base::memory::peak())
    })
}

/// Random tokens, the same each time.
fn prompts(model: &Decoder, count: usize, tokens: usize) -> Vec<Vec<u32>> {
    let mut rng = Rng::new(1);
    let limit = model.config().vocab.min(40_000) - 100;
    let mut prompt = |_| (0..tokens).map(|_| 100 + rng.below(limit) as u32).collect();
    (0..count).map(&mut prompt).collect()
}

/// Times the benchmarks with these names, or all where there is none, on the threads of `pool`, each interleaved with the peer where there
/// is one.
///
/// # Errors
/// [`LanguageError`].
pub fn speeds(
    path: &Path,
    names: &[String],
    python: Option<&Path>,
    rounds: usize,
    pool: &ThreadPool,
    mut each: impl FnMut(&Speed),
) -> Result<(Vec<Speed>, Option<String>), LanguageError> {
    let model = Decoder::open(path)?;
    let threads = pool.current_num_threads();
    let start = |python: &Path| Peer::llama(python, path, threads);
    let mut peer = python.map(start).transpose()?;
    let mut all = Vec::new();
    let asked = |benchmark: &&Benchmark| {
        names.is_empty() || names.iter().any(|name| name == benchmark.name)
    };
    for benchmark in BENCHMARKS.iter().filter(asked) {
        let prompts = prompts(&model, benchmark.prompts, benchmark.prompt);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            let mine = pool.install(|| ours_of(benchmark, &model, path, &prompts))?;
            let other = peer
                .as_mut()
                .map(|peer| peer_of(benchmark, peer, &prompts))
                .transpose()?;
            // The first round warms both up.
            if round > 0 {
                ours.push(mine);
                theirs.extend(other);
            }
        }
        let (ours, peer) = (
            median(&mut ours),
            (!theirs.is_empty()).then(|| median(&mut theirs)),
        );
        let seconds = benchmark.name == "first-token";
        let speed = Speed {
            name: benchmark.name,
            unit: if seconds { "s" } else { "tokens/s" },
            ours,
            peer,
            ratio: peer.map(|peer| if seconds { peer / ours } else { ours / peer }),
            floor: benchmark.floor,
        };
        each(&speed);
        all.push(speed);
    }
    Ok((all, peer.map(|peer| peer.version.clone())))
}

/// Tokens a second, or for the first token seconds.
fn figure(benchmark: &Benchmark, prefill: f64, decode: f64) -> f64 {
    match benchmark.name {
        "first-token" => prefill,
        "decode" => (benchmark.tokens - 1) as f64 / decode,
        "eight-sequences" => (benchmark.prompts * benchmark.tokens) as f64 / (prefill + decode),
        _ => benchmark.prompt as f64 / prefill,
    }
}

fn peer_of(
    benchmark: &Benchmark,
    peer: &mut Peer,
    prompts: &[Vec<u32>],
) -> Result<f64, LanguageError> {
    let kind = if benchmark.name == "first-token" {
        "start"
    } else {
        "generate"
    };
    let ask = json!({"work": kind, "prompts": prompts, "tokens": benchmark.tokens});
    let answer: Answer = peer.ask(&ask.to_string())?;
    match (answer.prefill_s, answer.decode_s) {
        (Some(prefill), Some(decode)) => Ok(figure(benchmark, prefill, decode)),
        _ => Err(LanguageError::Benchmark {
            name: benchmark.name,
            cause: answer.error.unwrap_or_default(),
        }),
    }
}

fn ours_of(
    benchmark: &Benchmark,
    model: &Decoder,
    path: &Path,
    prompts: &[Vec<u32>],
) -> Result<f64, LanguageError> {
    let begun = Instant::now();
    let fresh;
    let model = match benchmark.name {
        "first-token" => {
            fresh = Decoder::open(path)?;
            &fresh
        }
        _ => model,
    };
    let mut caches = vec![Cache::new(model.config()); prompts.len()];
    let mut next = forward(model, &mut caches, prompts)?;
    let prefill = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    for _ in 1..benchmark.tokens {
        next = forward(model, &mut caches, &next)?;
    }
    Ok(figure(benchmark, prefill, begun.elapsed().as_secs_f64()))
}

/// The most likely next token of each sequence.
fn forward(
    model: &Decoder,
    caches: &mut [Cache],
    tokens: &[Vec<u32>],
) -> Result<Vec<Vec<u32>>, DecoderError> {
    let mut batch: Vec<Segment<'_>> = caches
        .iter_mut()
        .zip(tokens)
        .map(|(cache, ids)| Segment::new(Input::Ids(ids), cache))
        .collect();
    let request = Request {
        logits: Logits::Last,
        ..Request::default()
    };
    let best = |output: &Output| {
        let logits = output.logits.iter().enumerate();
        let best = logits.max_by(|a, b| a.1.total_cmp(b.1));
        vec![best.map_or(0, |(id, _)| id as u32)]
    };
    Ok(model
        .forward(&mut batch, &request)?
        .iter()
        .map(best)
        .collect())
}
