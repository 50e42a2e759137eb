//! Options that the verbs share.

use std::path::PathBuf;

use clap::Args;
use engine::diffusion::scheduler::Prediction;
use engine::models::stable_diffusion::{OpenOptions, SamplerKind};
use engine::nn::WeightKind;

use crate::base_model::EMBEDDED;

/// Which model.
#[derive(Args, Debug)]
pub struct ModelOptions {
    /// A diffusers folder, one .safetensors, .ckpt or .gguf file, OWNER/NAME in the cache of the hub, or `embedded` [default: embedded]
    #[arg(long, value_name = "DIR|FILE", display_order = 0)]
    pub model: Option<String>,
    /// Another autoencoder, a diffusers folder or one file; a tiny one (TAESD) is fast
    #[arg(long, value_name = "FOLDER|FILE")]
    pub vae: Option<PathBuf>,
    /// Folder of CLIP's vocab.json and merges.txt, which a single file needs [default: beside the file]
    #[arg(long, value_name = "FOLDER")]
    pub tokenizer: Option<PathBuf>,
    /// What the U-Net predicts, where the files are wrong or say nothing: epsilon, v_prediction or sample
    #[arg(long, value_parser = prediction)]
    pub prediction: Option<Prediction>,
    /// A LoRA of kohya, PEFT or diffusers, and its weight after a colon; may be given again
    #[arg(long, value_name = "FILE[:WEIGHT]", value_parser = lora)]
    pub lora: Vec<(PathBuf, f32)>,
    /// Pictures of more than 512 pixels a side through the autoencoder in overlapping tiles: less memory, slightly another
    /// picture
    #[arg(long)]
    pub vae_tiling: bool,
}

impl ModelOptions {
    /// What was named, or the embedded model.
    pub fn name(&self) -> &str {
        self.model.as_deref().unwrap_or(EMBEDDED)
    }

    /// How the model is opened.
    pub fn opening(&self) -> OpenOptions {
        OpenOptions {
            vae: self.vae.clone(),
            tokenizer: self.tokenizer.clone(),
            prediction: self.prediction,
            loras: self.lora.clone(),
            tiling: self.vae_tiling,
            ..OpenOptions::default()
        }
    }
}

/// How to draw and where to put it.
#[derive(Args, Debug)]
pub struct DrawOptions {
    /// The picture, PNG, JPEG, WebP or GIF, which says how it was made; several get numbers [default: a free name out of the
    /// prompt, PNG]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Seed of the first picture; the next ones count on [default: drawn]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Steps of the sampler [default: what the model's files say, else 25]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub steps: Option<u16>,
    /// How closely to follow the prompt; 1 is fastest and does without a negative prompt [default: what the model's files say,
    /// else 7.5]
    #[arg(long, value_parser = guidance, allow_negative_numbers = true)]
    pub guidance: Option<f64>,
    /// What is not to be seen
    #[arg(long, value_name = "TEXT")]
    pub negative: Option<String>,
    /// How many pictures, a file each
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub count: u16,
    /// ddim, dpm++, euler, euler-a, heun, plms, lcm or edm [default: what the model's files name, else dpm++]
    #[arg(long)]
    pub sampler: Option<SamplerKind>,
    /// The share of the steps, from the noisiest on, that is guided, 0 to 1; the others take half the time [default: what the
    /// model's files say, else 1]
    #[arg(long = "guided-until", value_parser = share)]
    pub guided: Option<f64>,
    /// Sigmas spaced by Karras (2022); not for ddim
    #[arg(long)]
    pub karras: bool,
    /// How much of the prompt's own contrast to take back after guidance, 0 to 1; for models that predict v
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub rescale: f64,
    /// Layers to leave out at the end of the text encoder (other programs count one more)
    #[arg(long, default_value_t = 0)]
    pub clip_skip: usize,
    /// How weights are held in memory: f32, bf16 (half as much) or q8_0 (linear layers in 8 bits, the others in bf16); the picture
    /// differs a little. Tensors that a .gguf file has in blocks stay as they are [default: f32; with --bf16, bf16]
    #[arg(long)]
    pub weights: Option<WeightKind>,
    /// Multiply in bf16, however weights are held: about twice as fast on CPUs that have it, the picture differs a little
    #[arg(long)]
    pub bf16: bool,
    /// Leave the ground clear, where the model draws transparency
    #[arg(long)]
    pub transparent: bool,
    /// While a picture is drawn, keep what it looks like so far in this PNG file
    #[arg(long, value_name = "FILE", value_parser = png)]
    pub preview: Option<PathBuf>,
    /// Steps between previews
    #[arg(long, value_name = "STEPS", default_value_t = 5, requires = "preview", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub preview_every: u16,
    /// Another autoencoder for previews, as for --vae, such as a tiny one (TAESD) [default: the model's]
    #[arg(long, value_name = "FOLDER|FILE", requires = "preview")]
    pub preview_vae: Option<PathBuf>,
    #[command(flatten)]
    pub run: RunOptions,
}

impl DrawOptions {
    /// How weights are held. Products of bf16 values round every weight, so that the picture is the same from those.
    pub fn weights(&self) -> WeightKind {
        let usual = match self.bf16 {
            true => WeightKind::Bf16,
            false => WeightKind::F32,
        };
        self.weights.unwrap_or(usual)
    }
}

/// Where to work and what to say.
#[derive(Args, Debug)]
pub struct RunOptions {
    /// Device: cpu; cuda, metal, rocm or wgpu in a program built with that feature
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

fn number(text: &str, low: f64, high: f64) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(number) if (low..=high).contains(&number) => Ok(number),
        _ => Err(format!("give a number from {low} to {high}")),
    }
}

/// The path of a PNG file.
fn png(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(ending) if ending.eq_ignore_ascii_case("png") => Ok(path),
        _ => Err("give a name that ends in .png".into()),
    }
}

/// A scale of guidance, from 0 to 100.
pub fn guidance(text: &str) -> Result<f64, String> {
    number(text, 0.0, 100.0)
}

/// A share, from 0 to 1.
pub fn share(text: &str) -> Result<f64, String> {
    number(text, 0.0, 1.0)
}

/// How far to go away from a picture: a share above 0.
pub fn strength(text: &str) -> Result<f64, String> {
    match share(text) {
        Ok(strength) if strength > 0.0 => Ok(strength),
        _ => Err("give a number above 0, at most 1; a small one, such as 0.1, changes the picture little".into()),
    }
}

fn prediction(text: &str) -> Result<Prediction, String> {
    serde_json::from_value(text.into()).map_err(|_| "give epsilon, v_prediction or sample".into())
}

fn lora(text: &str) -> Result<(PathBuf, f32), String> {
    let (path, weight) = match text.rsplit_once(':') {
        Some((path, weight)) if weight.parse::<f32>().is_ok() => {
            (path, weight.parse().unwrap_or(1.0))
        }
        _ => (text, 1.0),
    };
    match f32::is_finite(weight) && !path.is_empty() {
        true => Ok((path.into(), weight)),
        false => Err("give FILE or FILE:WEIGHT, such as `style.safetensors:0.8`".into()),
    }
}

/// Width and height, such as `512x768`.
pub fn size(text: &str) -> Result<[usize; 2], String> {
    let sides = text.split_once('x').and_then(|(width, height)| {
        Some([width.trim().parse().ok()?, height.trim().parse().ok()?])
    });
    let square = || text.trim().parse().ok().map(|side| [side, side]);
    sides
        .or_else(square)
        .ok_or_else(|| "give WIDTHxHEIGHT in pixels, such as 512x768".into())
}
