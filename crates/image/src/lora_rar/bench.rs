//! Merging two SDXL adapters of rank 64, timed beside PyTorch: `orrery bench --suite diffusion`.

use std::path::Path;

use base::rng::Rng;
use base::tensor_file::{Precision, TensorFile, WeightsError};
use burn::tensor::Device;
use engine::bench::{Benchmark, Run};

use super::pipeline::{Job, fingerprint};
use super::{
    Format, HIDDEN, Hypernet, LoraFile, Merger, Method, SDXL_WIDTHS, Settings, SystemError,
};

const RANK: usize = 64;
const TEXT: usize = 2048;
/// Seconds and bytes that a merge may take.
const LIMITS: (f64, u64) = (10.0, 4_000_000_000);

/// All benchmarks of merging: files in, a file out, hashes included. PyTorch has its tensors in memory and writes nothing.
pub fn benchmarks() -> Vec<Benchmark> {
    vec![
        Benchmark::with_peer(
            "lora-rar-dense",
            "two LoRAs of SDXL merged, 560 layers of rank 64; PyTorch beside it on dense updates, as the official code",
            merging,
        )
        .at_most(0.5)
        .within(LIMITS.0)
        .below(LIMITS.1),
        Benchmark::with_peer(
            "lora-rar-factors",
            "the same; PyTorch beside it on the factors",
            merging,
        ),
    ]
}

/// Blocks of SDXL that read so many values, by their names.
fn blocks() -> Vec<(usize, String)> {
    let places = [
        (640, "down_blocks.1", 2, 2),
        (1280, "down_blocks.2", 2, 10),
        (1280, "mid_block", 1, 10),
        (1280, "up_blocks.0", 3, 10),
        (640, "up_blocks.1", 3, 2),
    ];
    let mut all = Vec::new();
    for (width, place, attentions, depth) in places {
        for attention in 0..attentions {
            for block in 0..depth {
                let name = format!("{place}.attentions.{attention}.transformer_blocks.{block}");
                all.push((width, name));
            }
        }
    }
    all
}

/// An adapter with random factors.
fn adapter(path: &Path, rng: &mut Rng) -> Result<(), WeightsError> {
    let drawn: Vec<f32> = rng.normals(1 << 20).iter().map(|v| 0.02 * v).collect();
    let mut file = TensorFile::new();
    let mut add = |name: &str, shape: [usize; 2]| {
        let from = rng.below(drawn.len() - shape[0] * shape[1]);
        let values = &drawn[from..from + shape[0] * shape[1]];
        file.floats(name, &shape, values, Precision::F32)
    };
    for (width, block) in blocks() {
        for attention in ["attn1", "attn2"] {
            for part in ["to_q", "to_k", "to_v", "to_out.0"] {
                let of_text = attention == "attn2" && ["to_k", "to_v"].contains(&part);
                let reads = if of_text { TEXT } else { width };
                let name = format!("unet.{block}.{attention}.{part}");
                add(&format!("{name}.lora_A.weight"), [RANK, reads])?;
                add(&format!("{name}.lora_B.weight"), [width, RANK])?;
            }
        }
    }
    file.write(path)
}

fn merging() -> Run {
    let merge = merger();
    Box::new(move || {
        let done = match &merge {
            Ok(merge) => merge(),
            Err(error) => Err(SystemError::Input(error.to_string())),
        };
        let layers = done.unwrap_or_default();
        assert_eq!(layers, 560, "the adapters could not be merged");
    })
}

/// What merges two files into a third, and says how many layers it has.
fn merger()
-> Result<impl Fn() -> Result<usize, SystemError> + Send, Box<dyn std::error::Error + Send + Sync>>
{
    let folder = base::files::short_folder("orrery-bench-")?;
    let mut rng = Rng::new(0).child("lora-rar bench");
    let [content, style, out] = ["content", "style", "merged"]
        .map(|name| folder.path().join(format!("{name}.safetensors")));
    adapter(&content, &mut rng)?;
    adapter(&style, &mut rng)?;
    let merger = Merger {
        network: Hypernet::new(&SDXL_WIDTHS, HIDDEN, &mut rng, &Device::flex()),
        effective: false,
    };
    Ok(move || {
        // The folder stays as long as this is called.
        let _ = folder.path();
        let files = [LoraFile::open(&content)?, LoraFile::open(&style)?];
        let job = Job {
            content: &files[0],
            style: &files[1],
            settings: Settings {
                method: Method::Rar,
                strengths: [1.0; 2],
                density: 1.0,
            },
            merger: Some(&merger),
            columns: None,
            seed: 0,
            format: Format::Peft,
            precision: Precision::F32,
        };
        let (mut file, layers) = job.run(&mut |_, _| Ok(()))?;
        for (key, path) in [("content_sha256", &content), ("style_sha256", &style)] {
            file.note(key, fingerprint(path)?);
        }
        file.write(&out)?;
        Ok(layers.len())
    })
}
