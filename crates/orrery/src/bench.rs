//! `orrery bench`: kernels and networks, timed, beside PyTorch, diffusers or llama.cpp where there is one.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, eprint_line, print_line};
use clap::{Args, ValueEnum};
use engine::bench::agreement::{Agreement, agreement};
use engine::bench::language::{self, LanguageError, Speed};
use engine::bench::{self, Benchmark, Peer, Timing, time};
use serde_json::json;

use crate::unknown;

/// Options of `bench`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery bench
  python3 -m venv peers && peers/bin/pip install torch numpy
  orrery bench --peer peers/bin/python
  orrery bench gemm-f32 dit-step-bf16 --peer peers/bin/python --json
  peers/bin/pip install diffusers transformers cryptography torchvision onnx onnxscript onnxruntime xllamacpp
  orrery bench --suite diffusion --peer peers/bin/python
  orrery bench --suite training --peer peers/bin/python
  peers/bin/pip install x-magical
  orrery bench --suite learning --peer peers/bin/python --rounds 1
  orrery bench --suite language --model smollm2.gguf --peer peers/bin/python")]
pub struct Bench {
    /// Which benchmarks [default: all; --list names them]
    benchmarks: Vec<String>,
    /// What is timed
    #[arg(long, value_enum, default_value_t)]
    suite: Suite,
    /// The GGUF file of the language suite
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Name the benchmarks and end
    #[arg(long)]
    list: bool,
    /// A Python with PyTorch, or xllamacpp for language models, timed interleaved with us
    #[arg(long, value_name = "PYTHON")]
    peer: Option<PathBuf>,
    /// Rounds of each benchmark; a round is the median of as many runs as fit 50 ms, three at least
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u64).range(1..=1000))]
    rounds: u64,
    #[command(flatten)]
    output: Output,
}

/// What is timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// Kernels and networks
    #[default]
    Kernels,
    /// A language model beside llama.cpp
    Language,
    /// The networks of Stable Diffusion beside diffusers, merging of LoRAs and retrieval of watermarks beside PyTorch and numpy
    Diffusion,
    /// A training step of a language model of 30 million parameters beside PyTorch
    Training,
    /// A federated round and an attack beside PyTorch, X-MAGICAL's physics beside the Python package
    #[cfg(all(feature = "hyperfl", feature = "rapl"))]
    Learning,
    /// EMOv2-5M and ACDiT of 130 million parameters beside PyTorch
    #[cfg(all(feature = "emov2", feature = "acdit"))]
    Vision,
}

impl Suite {
    /// Its benchmarks, and the script that runs them on the other side; a language model is timed in another way.
    fn benchmarks(self) -> (Vec<Benchmark>, &'static str) {
        match self {
            Self::Kernels | Self::Language => (bench::benchmarks(), bench::KERNELS),
            #[cfg(not(all(feature = "wind", feature = "lora-rar")))]
            Self::Diffusion => (bench::diffusion::benchmarks(), bench::diffusion::SCRIPT),
            #[cfg(all(feature = "wind", feature = "lora-rar"))]
            Self::Diffusion => {
                // What has a limit of memory comes before what needs more.
                let mut benchmarks = image_systems::lora_rar::bench::benchmarks();
                benchmarks.extend(image_systems::wind::bench::benchmarks());
                benchmarks.extend(bench::diffusion::benchmarks());
                (benchmarks, DIFFUSION_PEER)
            }
            Self::Training => (bench::training::benchmarks(), bench::training::SCRIPT),
            #[cfg(all(feature = "hyperfl", feature = "rapl"))]
            Self::Learning => (learning::bench::benchmarks(), learning::bench::SCRIPT),
            #[cfg(all(feature = "emov2", feature = "acdit"))]
            Self::Vision => {
                let mut benchmarks = vision::emov2::bench::benchmarks();
                benchmarks.extend(image_systems::acdit::bench::benchmarks());
                (benchmarks, VISION_PEER)
            }
        }
    }
}

/// What diffusers, PyTorch and numpy run for the diffusion suite.
#[cfg(all(feature = "wind", feature = "lora-rar"))]
const DIFFUSION_PEER: &str = concat!(
    include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../benches/wind_peer.py"
    )),
    include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../benches/lora_rar_peer.py"
    )),
    include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../benches/diffusion_peer.py"
    )),
);

/// What PyTorch runs for the vision suite.
#[cfg(all(feature = "emov2", feature = "acdit"))]
const VISION_PEER: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../benches/vision_peer.py"
));

impl Bench {
    /// Times what was named.
    pub fn run(&self, context: Context) -> Result<(), Failure> {
        if self.suite == Suite::Language {
            return self.language();
        }
        let (all, script) = self.suite.benchmarks();
        if self.list {
            for benchmark in &all {
                print_line(&format!("{:<24} {}", benchmark.name, benchmark.about))?;
            }
            return Ok(());
        }
        let names: Vec<&str> = all.iter().map(|benchmark| benchmark.name).collect();
        if let Some(wrong) = self
            .benchmarks
            .iter()
            .find(|benchmark| !names.contains(&benchmark.as_str()))
        {
            return Err(unknown::benchmark(wrong, &names));
        }
        let threads = base::command::threads();
        let pool = engine::bench::pool(threads).map_err(Failure::failed)?;
        let start = |path| Peer::start(path, script, threads);
        let peer = self.peer.as_deref().map(start);
        let mut peer = peer.transpose().map_err(Failure::input)?;
        let version = peer.as_ref().map(|peer| peer.version.clone());
        if !self.output.json {
            print_line(&head(threads, version.as_deref()))?;
        }
        let mut timings = Vec::new();
        for benchmark in &all {
            if !self.benchmarks.is_empty()
                && !self.benchmarks.iter().any(|name| name == benchmark.name)
            {
                continue;
            }
            if context.stopped() {
                return Err(Failure::interrupted("stopped; nothing is kept"));
            }
            let timing = time(benchmark, self.rounds as usize, &pool, peer.as_mut());
            let timing = match timing {
                Ok(timing) => timing,
                Err(error @ engine::bench::PeerError::Benchmark { .. }) => {
                    eprint_line(&format!("warning: {error}"));
                    time(benchmark, self.rounds as usize, &pool, None).map_err(Failure::failed)?
                }
                Err(error) => return Err(Failure::failed(error)),
            };
            if !self.output.json {
                print_line(&row(&timing))?;
            }
            timings.push(timing);
        }
        if self.output.json {
            let all = json!({
                "threads": threads, "rounds": self.rounds, "peer": version, "works": timings,
            });
            print_line(&all.to_string())?;
        }
        let missed = timings.iter().filter(|timing| timing.missed());
        met(missed.map(|timing| timing.name).collect())
    }
}

/// Fails where benchmarks are below their floor.
fn met(missed: Vec<&str>) -> Result<(), Failure> {
    match missed.is_empty() {
        true => Ok(()),
        false => Err(Failure::failed(format!(
            "below the floor: {}",
            missed.join(", ")
        ))),
    }
}

impl Bench {
    /// Times a language model; fails where a floor is missed.
    fn language(&self) -> Result<(), Failure> {
        let mut names = language::names();
        names.push(AGREEMENT);
        if self.list {
            return names.iter().try_for_each(|name| print_line(name));
        }
        let wrong = |name: &&String| !names.contains(&name.as_str());
        if let Some(wrong) = self.benchmarks.iter().find(wrong) {
            return Err(unknown::benchmark(wrong, &names));
        }
        let Some(model) = self.model.as_deref() else {
            return Err(Failure::input(
                "the language suite times a model: give its GGUF file with `--model` (`orrery pull smollm2` fetches one)",
            ));
        };
        let threads = base::command::threads();
        let pool = engine::bench::pool(threads).map_err(Failure::failed)?;
        let failure = |error| match error {
            LanguageError::Model(_) | LanguageError::Text(_) => Failure::input(error),
            _ => Failure::failed(error),
        };
        let file = std::fs::metadata(model).map_or(0, |file| file.len());
        let (tokens, beyond) = memory_limit(file);
        let memory = language::peak_memory(model, tokens, &pool).map_err(failure)?;
        if let (Some(memory), false) = (memory, self.output.json) {
            eprint_line(&format!(
                "{:<16} {:>9.0} MB for {tokens} tokens, {:.0} MB of them the file",
                "memory",
                memory as f64 / 1e6,
                file as f64 / 1e6
            ));
        }
        let show = |speed: &Speed| {
            if !self.output.json {
                eprint_line(&speed_row(speed));
            }
        };
        let (peer, rounds) = (self.peer.as_deref(), self.rounds as usize);
        let (speeds, version) =
            language::speeds(model, &self.benchmarks, peer, rounds, &pool, show)
                .map_err(failure)?;
        let asked = self.benchmarks.is_empty()
            || self
                .benchmarks
                .iter()
                .any(|benchmark| benchmark == AGREEMENT);
        let agreement = match peer.filter(|_| asked) {
            Some(peer) => Some(agreement(model, peer, &pool).map_err(failure)?),
            None => None,
        };
        if self.output.json {
            let all = json!({
                "threads": threads, "rounds": rounds, "peer": version, "speeds": speeds,
                "memory_bytes": memory, "file_bytes": file, "agreement": agreement,
            });
            print_line(&all.to_string())?;
        } else if let Some(found) = &agreement {
            eprint_line(&agreement_rows(found));
        }
        let mut missed: Vec<&str> = Vec::new();
        missed.extend(speeds.iter().filter(|it| it.missed()).map(|it| it.name));
        missed.extend(memory.filter(|&it| it > file + beyond).map(|_| "memory"));
        missed.extend((agreement.as_ref().filter(|it| it.failed())).map(|_| AGREEMENT));
        met(missed)
    }
}

/// The benchmark that compares answers.
const AGREEMENT: &str = "agreement";

/// Tokens of the sequence whose memory is measured, and how many bytes it may take beyond the file.
fn memory_limit(file: u64) -> (usize, u64) {
    if file > 1 << 30 {
        (2048, 1 << 30)
    } else {
        (1128, 150_000_000)
    }
}

fn agreement_rows(found: &Agreement) -> String {
    let mut rows = format!(
        "{AGREEMENT:<16} of {} chats of up to {} tokens, {} rendered texts and {} lists of token ids are equal",
        found.prompts, found.longest, found.same_text, found.same_ids,
    );
    let sides = [
        ("16-bit activations, llama.cpp in f32", &found.exact),
        ("both as they are by default", &found.rounded),
    ];
    for (name, side) in sides {
        rows += &format!("\n{name}: {} greedy continuations equal", side.same_tokens);
        for it in &side.differences {
            rows += &format!(
                "\n    after {} tokens {:?}, llama.cpp {:?}: ours ahead by {:.3} nats, with 16-bit activations by {:.3}: {}",
                it.at, it.ours, it.theirs, it.margin, it.exact, it.prompt
            );
        }
    }
    let rounding = found.rounding;
    rows + &format!("\n8-bit activations change log-probabilities by {rounding:.3} nats (RMS)")
}

fn speed_row(speed: &Speed) -> String {
    let ours = format!("{:<16} {:>9.2} {}", speed.name, speed.ours, speed.unit);
    match (speed.peer, speed.ratio, speed.floor) {
        (Some(peer), Some(ratio), Some(floor)) => {
            format!("{ours}, llama.cpp {peer:.2}: {ratio:.2} × (floor {floor})")
        }
        (Some(peer), Some(ratio), None) => format!("{ours}, llama.cpp {peer:.2}: {ratio:.2} ×"),
        _ => ours,
    }
}

fn head(threads: usize, peer: Option<&str>) -> String {
    let plural = if threads == 1 { "" } else { "s" };
    match peer {
        Some(peer) => format!(
            "{threads} thread{plural}; medians in ms; ratio: ours ÷ {peer}, below 1 is faster\n\n\
             {:<24} {:>10} {:>10}  ratio (range)",
            "", "orrery", "beside"
        ),
        None => format!(
            "{threads} thread{plural}; medians in ms\n\n{:<24} {:>10}",
            "", "orrery"
        ),
    }
}

fn row(timing: &Timing) -> String {
    let ours = format!("{:<24} {:>10.3}", timing.name, timing.ours_ms);
    let limits = limits(timing);
    let row = match (timing.beside_ms, timing.ratio, timing.range) {
        (Some(beside), Some(ratio), Some([least, most])) => {
            let own = if timing.peer { "" } else { "  beside our own" };
            let floor = timing
                .floor
                .map_or_else(String::new, |floor| format!("  at most {floor}"));
            format!("{ours} {beside:>10.3}  {ratio:.2} ({least:.2} – {most:.2}){own}{floor}")
        }
        _ => ours,
    };
    row + &limits
}

/// Time and memory that a benchmark may take, where it has such limits.
fn limits(timing: &Timing) -> String {
    let mut text = String::new();
    if let Some(most) = timing.most_ms {
        text += &format!("  at most {} s", most / 1e3);
    }
    if let (Some(memory), Some(most)) = (timing.memory, timing.most_memory) {
        let gigabytes = |bytes: u64| bytes as f64 / 1e9;
        let [memory, most] = [memory, most].map(gigabytes);
        text += &format!("  {memory:.2} GB, at most {most:.2}");
    }
    text
}
