//! `orrery fiva generate`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use base::command::{
    Context, Failure, Output, Steps, any_seed, eprint_line, use_calling_thread_as_worker,
};
use base::media::provenance::{Provenance, check_ending, image_bytes};
use clap::Args;
use engine::models::stable_diffusion::{OpenOptions, Request, SamplerKind, Sampling};
use engine::weights::Weights;
use serde_json::json;

use super::options::{ReferenceOptions, pixels, side};
use crate::base_model::{BaseModel, EMBEDDED};
use crate::fiva::pipeline::{self, NEGATIVE};
use crate::fiva::{Adapter, Guide};

/// Key of the provenance in a picture.
const KEY: &str = "orrery fiva";

/// Options of `generate`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery fiva generate --model sdxl-base --adapter ip_adapter.bin --qformer pytorch_model_1.bin --vocab vocab.txt \\
      --ref sunset.png:color --ref stage.png:lighting:0.8 --prompt \"sailing boat\" --seed 420 --out boat.png
  orrery fiva generate --model sdxl-base --adapter ip_adapter.bin --tokens look.safetensors --prompt \"a grey cat\"")]
pub struct Generate {
    /// What is to be seen: the subject
    #[arg(long)]
    prompt: String,
    /// The model that the adapter was trained on: Stable Diffusion XL for the published one, as a diffusers folder, one
    /// .safetensors file, or OWNER/NAME in the cache of the hub; or `embedded`
    #[arg(long, value_name = "DIR|FILE", default_value = EMBEDDED)]
    model: String,
    /// The adapter (`ip_adapter.bin`, or safetensors with its names)
    #[arg(long, value_name = "FILE")]
    adapter: PathBuf,
    /// Tokens that `embed` saved, in place of references
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "references", "qformer", "qformer_config", "vocab", "uncond", "padding", "direct",
    ])]
    tokens: Option<PathBuf>,
    /// The picture, PNG, JPEG, WebP or GIF, which says how it was made; several get numbers
    #[arg(long, value_name = "FILE", default_value = "fiva.png")]
    out: PathBuf,
    /// Seed of the first picture; the next ones count on [default: drawn]
    #[arg(long)]
    seed: Option<u64>,
    /// Steps of the sampler [default: 30, of the embedded model 20]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    steps: Option<u16>,
    /// How closely to follow text and references; 1 does without a negative prompt [default: 5, of the embedded model 3]
    #[arg(long, value_parser = guidance, allow_negative_numbers = true)]
    guidance: Option<f64>,
    /// How much the references count beside the text
    #[arg(long, default_value_t = 0.6, value_parser = scale, allow_negative_numbers = true)]
    scale: f32,
    /// What is not to be seen [default: the published words, of the embedded model none]
    #[arg(long)]
    negative: Option<String>,
    /// Width and height in pixels [default: 512, of the embedded model 64]
    #[arg(long, value_name = "PIXELS", value_parser = pixels)]
    size: Option<usize>,
    /// How many pictures, a file each
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// ddim, dpm++, euler or euler-a [default: what the model's files name, else dpm++]
    #[arg(long)]
    sampler: Option<SamplerKind>,
    #[command(flatten)]
    references: ReferenceOptions,
    /// Folder of CLIP's vocab.json and merges.txt, which a single file needs
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// Device: cpu; cuda, metal, rocm or wgpu in a program built with that feature
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    output: Output,
}

fn scale(text: &str) -> Result<f32, String> {
    base::command::number_in(text, 0.0, 5.0)
}

fn guidance(text: &str) -> Result<f64, String> {
    base::command::number_in(text, 0.0, 100.0).map(f64::from)
}

impl Generate {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let begun = Instant::now();
        use_calling_thread_as_worker();
        check_ending(&self.out)?;
        let device = engine::device(&self.device)?;
        let weights = Weights::open(&self.adapter)?;
        let guide = match &self.tokens {
            Some(file) => Guide::read(&Weights::open(file)?, &device)?,
            None => self.references.guide(&weights, &device)?,
        };
        let opening = OpenOptions {
            tokenizer: self.tokenizer.clone(),
            ..OpenOptions::default()
        };
        let place = BaseModel::find(&self.model)?;
        let model = place.open(&opening, &device)?;
        for note in model.notes() {
            eprint_line(&format!("warning: {note}"));
        }
        let adapter = Adapter::read(&weights, model.unet(), &device)?;
        let usual = model.request();
        let size = self.size.unwrap_or(side(&place, &model));
        let seed = self.seed.unwrap_or_else(any_seed);
        let (negative, steps, scale) = match place {
            BaseModel::Embedded => ("", usual.sampling.steps, usual.sampling.guidance),
            BaseModel::At(_) => (NEGATIVE, 30, 5.0),
        };
        let request = Request {
            prompt: self.prompt.clone(),
            negative: Some(self.negative.as_deref().unwrap_or(negative).to_owned()),
            width: size,
            height: size,
            sampling: Sampling {
                steps: self.steps.map_or(steps, usize::from),
                sampler: self.sampler.unwrap_or(usual.sampling.sampler),
                guidance: self.guidance.unwrap_or(scale),
                ..usual.sampling.clone()
            },
            ..usual
        };
        let mut bar = Steps::new("drawing", self.output.json);
        let mut files = Vec::new();
        for number in 0..u64::from(self.count) {
            let seed = seed.wrapping_add(number);
            let request = Request {
                seeds: vec![seed],
                ..request.clone()
            };
            let mut watch = |done: usize, of: usize| {
                bar.at(number as usize * of + done, usize::from(self.count) * of);
                !context.stopped()
            };
            let drawn =
                pipeline::generate(&model, &adapter, &guide, &request, self.scale, &mut watch);
            for picture in drawn.inspect_err(|_| bar.finish())? {
                let provenance = Provenance::new(KEY, &self.settings(&guide, &request, seed))?;
                let path = numbered(&self.out, number);
                image_bytes(&path, &picture, &provenance)?.write(&path)?;
                files.push(path.display().to_string());
            }
        }
        bar.finish();
        let seconds = (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        self.output.print(
            &json!({"files": files, "seed": seed, "seconds": seconds}),
            &format!("{} (seed {seed}, {seconds:.1} s)", files.join(", ")),
        )
    }

    /// What is written into a picture so that it can be made again.
    fn settings(&self, guide: &Guide, request: &Request, seed: u64) -> serde_json::Value {
        json!({
            "prompt": request.prompt, "negative": request.negative, "model": self.model,
            "adapter": self.adapter.display().to_string(), "tags": guide.tags, "strengths": guide.strengths,
            "scale": self.scale, "steps": request.sampling.steps, "guidance": request.sampling.guidance,
            "sampler": request.sampling.sampler.to_string(), "size": request.width, "seed": seed,
            "version": env!("CARGO_PKG_VERSION"),
        })
    }
}

/// `boat.png`, `boat-2.png`…
fn numbered(out: &Path, number: u64) -> PathBuf {
    match number {
        0 => out.to_owned(),
        number => {
            let stem = out.file_stem().unwrap_or_default().to_string_lossy();
            let ending = out.extension().unwrap_or_default().to_string_lossy();
            out.with_file_name(format!("{stem}-{}.{ending}", number + 1))
        }
    }
}
