//! The verbs of `orrery sd`.

mod eval;
mod pack;
mod preview;
mod train;
mod train_lora;

use std::path::{Path, PathBuf};
use std::time::Instant;

use base::command::{
    Context, Failure, Steps, any_seed, eprint_line, is_quiet, print_line,
    use_calling_thread_as_worker,
};
use base::files::{write_bytes, write_new};
use base::media::provenance::{Encoded, check_ending, image_bytes};
use base::media::{self, png_bytes_with_alpha};
use base::system::Verbs;
use clap::{Args, Subcommand};
use engine::models::stable_diffusion::{
    ModelInfo, OpenOptions, Request, Sampling, Source, StableDiffusion,
};
use engine::nn::WeightKind;
use engine::ops::{Precision, set_precision};
use serde_json::json;

use crate::base_model::BaseModel;

use super::generation_params::{GenerationParams, Given};
use super::options::{DrawOptions, ModelOptions, share, size};
use preview::Preview;

/// Most characters of a file's name that come from the prompt.
const NAME: usize = 40;

/// Draw with Stable Diffusion: the small model inside, or weights of 1, 2 or XL that you have.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Draw what a prompt says
    #[command(after_help = "Examples:
  orrery sd generate \"elephant twemoji\" --transparent
  orrery sd generate \"a red fox in the snow\" --model sd-v1-5
  orrery sd generate \"a red fox\" --model xl.safetensors --tokenizer clip --lora style.safetensors:0.8 --seed 7
  orrery sd generate \"a red fox\" --model sd-v1-5-q8_0.gguf --tokenizer clip --weights q8_0
  orrery sd generate --again a-red-fox-7.png")]
    Generate(Generate),
    /// Draw what a prompt says, starting from a picture
    #[command(after_help = "Example:
  orrery sd img2img \"an oil painting\" --image photo.png --strength 0.6 --model sd-v1-5")]
    Img2img(Img2img),
    /// Draw part of a picture anew
    #[command(after_help = "Example:
  orrery sd inpaint \"a cat\" --image sofa.png --mask where.png --model sd-v1-5-inpainting

The mask has the picture's size and is white where it is drawn anew. Models with nine input channels see the rest while
they draw; others get it back after each step.")]
    Inpaint(Inpaint),
    /// Say what a model is, without reading its weights
    #[command(after_help = "Example:
  orrery sd info --model sd-v1-5")]
    Info(Info),
    /// Train a small model of the same shape on emoji; Ctrl-C keeps what is done
    #[command(after_help = "Examples:
  orrery sd train --stage vae --data emoji-styles-64 --bf16 --out runs/vae
  orrery sd train --stage text --data emoji-styles-64 --base runs/vae/model --out runs/text
  orrery sd train --stage unet --data emoji-styles-64 --base runs/text/model --bf16 --out runs/unet
  orrery sd train --resume runs/unet
  orrery sd generate \"elephant twemoji\" --model runs/unet/model")]
    Train(Box<train::Train>),
    /// Train a LoRA on pictures of a subject or a style; Ctrl-C keeps what is done
    #[command(after_help = "Examples:
  orrery sd train-lora --data dog --prompt \"a sks dog\" --model sd-v1-5 --out runs/dog
  orrery sd train-lora --data bears --prompt \"sks bear\" --learning-rate 0.002 --out runs/bear
  orrery sd train-lora --resume runs/dog
  orrery sd generate \"a sks dog on the moon\" --model sd-v1-5 --lora runs/dog/lora.safetensors

The folder holds pictures (the square in the middle of each is used), and may hold a
metadata.jsonl with lines of file_name and text, which then says what each shows. The LoRA
changes query, key, value and output projections of the U-Net's attentions; all else stays.")]
    TrainLora(Box<train_lora::TrainLora>),
    /// Draw pairs of subject and style that were trained and some that were held out, and measure them
    #[command(after_help = "Examples:
  orrery sd eval --data emoji-styles-64 --model runs/unet/model --out runs/eval
  orrery sd eval --data emoji-styles-64 --split test --out runs/test
  python benches/sd_perceptual.py runs/eval

The folder holds the pictures drawn and the real ones, a line for each in pictures.jsonl, the sheets trained.png and held-out.png
that show them side by side, and report.json. The same command goes on after Ctrl-C.")]
    Eval(Box<eval::Eval>),
    /// Write the folder of a model as one file, which --model takes like the folder
    #[command(after_help = "Example:
  orrery sd pack runs/unet/model --out emoji.safetensors")]
    Pack(pack::Pack),
}

/// Options of `generate`.
#[derive(Args, Debug)]
pub struct Generate {
    /// What is to be seen
    #[arg(required_unless_present = "again")]
    prompt: Option<String>,
    /// Width and height in pixels, such as 512x768 [default: the model's own]
    #[arg(long, value_parser = size)]
    size: Option<[usize; 2]>,
    /// Make a picture once more, from what its file says; --model may say where the model is now
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "prompt", "size", "negative", "steps", "guidance", "guided", "sampler", "karras", "rescale", "clip_skip", "seed",
        "count", "lora", "weights", "bf16", "transparent",
    ])]
    again: Option<PathBuf>,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    draw: DrawOptions,
}

/// Options of `img2img`.
#[derive(Args, Debug)]
pub struct Img2img {
    /// What is to be seen
    prompt: String,
    /// The picture to start from
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// How far to go away from it, above 0, at most 1
    #[arg(long, default_value_t = 0.75, value_parser = share)]
    strength: f64,
    /// Width and height in pixels [default: the picture's, rounded down to what the model can]
    #[arg(long, value_parser = size)]
    size: Option<[usize; 2]>,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    draw: DrawOptions,
}

/// Options of `inpaint`.
#[derive(Args, Debug)]
pub struct Inpaint {
    /// What is to be seen
    prompt: String,
    /// The picture
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// White where the picture is drawn anew
    #[arg(long, value_name = "FILE")]
    mask: PathBuf,
    /// How far to go away from what is under the mask, above 0, at most 1
    #[arg(long, default_value_t = 1.0, value_parser = share)]
    strength: f64,
    /// Width and height in pixels [default: the picture's, rounded down to what the model can]
    #[arg(long, value_parser = size)]
    size: Option<[usize; 2]>,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    draw: DrawOptions,
}

/// Options of `info`.
#[derive(Args, Debug)]
pub struct Info {
    #[command(flatten)]
    model: ModelOptions,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Verbs for Command {
    fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::Generate(verb) => verb.run(context),
            Self::Img2img(verb) => {
                let given = [Some(&verb.image), None];
                let job = Job::new(&verb.prompt, verb.size, &verb.model, &verb.draw, given)?;
                job.with_strength(verb.strength).run(context)
            }
            Self::Inpaint(verb) => {
                let given = [Some(&verb.image), Some(&verb.mask)];
                let job = Job::new(&verb.prompt, verb.size, &verb.model, &verb.draw, given)?;
                job.with_strength(verb.strength).run(context)
            }
            Self::Info(verb) => verb.run(),
            Self::Train(verb) => verb.run(context),
            Self::TrainLora(verb) => verb.run(context),
            Self::Eval(verb) => verb.run(context),
            Self::Pack(verb) => verb.run(),
        }
    }
}

impl Generate {
    fn run(&self, context: Context) -> Result<(), Failure> {
        match &self.again {
            Some(path) => Job::again(path, &self.model, &self.draw)?.run(context),
            None => {
                let prompt = self.prompt.as_deref().unwrap_or_default();
                Job::new(prompt, self.size, &self.model, &self.draw, [None, None])?.run(context)
            }
        }
    }
}

/// [`BaseModel::find`] for the model that a picture was made with.
fn found_again(model: &str) -> Result<BaseModel, Failure> {
    BaseModel::find(model).map_err(|_| {
        Failure::input(format!(
            "the picture was made with the model `{}`, which is not here: say where it is with `--model`",
            base::command::one_line(&model.chars().take(200).collect::<String>())
        ))
    })
}

/// What is drawn, as generation parameters whose open places the model fills.
struct Job<'a> {
    params: GenerationParams,
    size: Option<[usize; 2]>,
    sampler_open: bool,
    count: u64,
    draw: &'a DrawOptions,
}

impl<'a> Job<'a> {
    fn new(
        prompt: &str,
        size: Option<[usize; 2]>,
        model: &ModelOptions,
        draw: &'a DrawOptions,
        [image, mask]: [Option<&PathBuf>; 2],
    ) -> Result<Self, Failure> {
        let given = |path: Option<&PathBuf>| path.map(|path| Given::new(path)).transpose();
        let opening = model.opening();
        Ok(Self {
            params: GenerationParams {
                prompt: prompt.to_owned(),
                negative: draw.negative.clone(),
                seed: draw.seed.unwrap_or_else(any_seed),
                width: 0,
                height: 0,
                steps: draw.steps.map_or(0, usize::from),
                guided: draw.guided.unwrap_or(f64::NAN),
                transparent: draw.transparent,
                sampler: draw.sampler.map(|it| it.to_string()).unwrap_or_default(),
                karras: draw.karras,
                guidance: draw.guidance.unwrap_or(f64::NAN),
                rescale: draw.rescale,
                clip_skip: draw.clip_skip,
                bf16: draw.bf16,
                weights: draw.weights,
                model: model.name().to_owned(),
                vae: opening.vae,
                tokenizer: opening.tokenizer,
                prediction: opening.prediction,
                loras: opening.loras,
                vae_tiling: opening.tiling,
                image: given(image)?,
                mask: given(mask)?,
                strength: 1.0,
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            size,
            sampler_open: draw.sampler.is_none(),
            count: u64::from(draw.count),
            draw,
        })
    }

    fn again(path: &Path, model: &ModelOptions, draw: &'a DrawOptions) -> Result<Self, Failure> {
        let mut params = GenerationParams::read(path)?;
        match &model.model {
            Some(model) => params.model.clone_from(model),
            None => drop(found_again(&params.model)?),
        }
        params.vae = model.vae.clone().or(params.vae);
        params.tokenizer = model.tokenizer.clone().or(params.tokenizer);
        for given in [&params.image, &params.mask].into_iter().flatten() {
            if Given::new(&given.path)? != *given {
                eprint_line(&format!(
                    "warning: `{}` has changed since: the picture will look different",
                    given.path.display()
                ));
            }
        }
        Ok(Self {
            size: Some([params.width, params.height]),
            params,
            sampler_open: false,
            count: 1,
            draw,
        })
    }

    fn with_strength(mut self, strength: f64) -> Self {
        self.params.strength = strength;
        self
    }

    fn run(mut self, context: Context) -> Result<(), Failure> {
        let begun = Instant::now();
        use_calling_thread_as_worker();
        if let Some(out) = &self.draw.out {
            check_ending(out)?;
            let png = out
                .extension()
                .is_none_or(|it| it.eq_ignore_ascii_case("png"));
            if self.params.transparent && !png {
                return Err(Failure::input(format!(
                    "`{}` cannot hold transparency here: let the name end in .png, or leave `--transparent` out",
                    out.display()
                )));
            }
        }
        if self.params.bf16 {
            set_precision(Precision::Bf16);
        }
        let device = engine::device(&self.draw.run.device)?;
        let source = self.source()?;
        let model = BaseModel::find(&self.params.model)?;
        let model = model.open(&self.params.opening(), &device)?;
        for note in model.notes() {
            eprint_line(&format!("warning: {note}"));
        }
        let request = self.request(&model, source)?;
        model.check(&request)?;
        self.tell_chunks(&model, &request)?;
        let mut preview = Preview::new(self.draw, &model)?;
        let mut written = Vec::new();
        let quiet = self.draw.run.json;
        let mut bar = Steps::new("drawing", quiet);
        for picture in 0..self.count {
            let seed = self.params.seed.wrapping_add(picture);
            let request = Request {
                seeds: vec![seed],
                ..request.clone()
            };
            let mut watch = |done: usize, of: usize| {
                bar.at(picture as usize * of + done, self.count as usize * of);
                !context.stopped()
            };
            let drawn = model.draw_with_alpha(&request, &mut preview, &mut watch);
            let drawn = drawn.inspect_err(|_| bar.finish())?;
            let params = GenerationParams {
                seed,
                ..self.params.clone()
            };
            let like = self.draw.out.as_deref().unwrap_or(Path::new("a.png"));
            let provenance = params.provenance()?;
            for (drawn, alpha) in &drawn {
                let made = match alpha.as_ref().filter(|_| params.transparent) {
                    Some(alpha) => Encoded {
                        bytes: png_bytes_with_alpha(drawn, alpha, &provenance.texts())?,
                        left_out: None,
                    },
                    None => image_bytes(like, drawn, &provenance)?,
                };
                let path = self.write(picture, seed, &made.bytes)?;
                made.warn(&path);
                written.push(path);
            }
        }
        bar.finish();
        self.report(&written, begun.elapsed().as_secs_f64())
    }

    fn source(&self) -> Result<Option<Source>, Failure> {
        let Some(image) = &self.params.image else {
            return Ok(None);
        };
        let mask = self.params.mask.as_ref();
        Ok(Some(Source {
            picture: media::read_image(&image.path)?,
            mask: mask.map(|mask| media::read_image(&mask.path)).transpose()?,
            strength: self.params.strength,
        }))
    }

    /// The request, with what the model chooses filled in here and in the parameters.
    fn request(
        &mut self,
        model: &StableDiffusion,
        source: Option<Source>,
    ) -> Result<Request, Failure> {
        let usual = model.request();
        let factor = model.factor() as u32;
        let [width, height] = match (self.size, &source) {
            (Some(size), _) => size,
            (None, Some(source)) => [source.picture.width, source.picture.height]
                .map(|side| (side / factor * factor).max(factor) as usize),
            (None, None) => [usual.width, usual.height],
        };
        let params = &mut self.params;
        if params.transparent && !model.transparent() {
            return Err(Failure::input(
                "this model draws no transparency (its autoencoder has three channels): leave `--transparent` out",
            ));
        }
        if params.steps == 0 {
            params.steps = usual.sampling.steps;
        }
        if params.guidance.is_nan() {
            params.guidance = usual.sampling.guidance;
        }
        if params.guided.is_nan() {
            params.guided = usual.sampling.guided;
        }
        if self.sampler_open {
            params.sampler = usual.sampling.sampler.to_string();
        }
        (params.width, params.height) = (width, height);
        Ok(Request {
            prompt: params.prompt.clone(),
            negative: params.negative.clone(),
            width,
            height,
            seeds: vec![params.seed],
            sampling: Sampling {
                steps: params.steps,
                sampler: params.sampler.parse().map_err(Failure::input)?,
                karras: params.karras,
                guidance: params.guidance,
                guided: params.guided,
                rescale: params.rescale,
            },
            clip_skip: params.clip_skip,
            source,
        })
    }

    fn tell_chunks(&self, model: &StableDiffusion, request: &Request) -> Result<(), Failure> {
        let chunks = model.chunks(&request.prompt, request.negative.as_deref())?;
        if chunks > 1 {
            eprint_line(&format!(
                "warning: the prompt is longer than the text encoder reads: it is read in {chunks} chunks, as other programs do"
            ));
        }
        Ok(())
    }

    /// Where picture number `at` was written.
    fn write(&self, at: u64, seed: u64, bytes: &[u8]) -> Result<PathBuf, Failure> {
        if let Some(out) = &self.draw.out {
            let path = match at {
                0 => out.clone(),
                at => {
                    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
                    let ending = out.extension().unwrap_or_default().to_string_lossy();
                    out.with_file_name(format!("{stem}-{}.{ending}", at + 1))
                }
            };
            write_bytes(&path, bytes)?;
            return Ok(path);
        }
        let words: String = self
            .params
            .prompt
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { '-' })
            .collect();
        let mut words = words.split('-').filter(|word| !word.is_empty());
        let mut stem = words.next().unwrap_or("picture").to_lowercase();
        for word in words {
            if stem.chars().count() + word.chars().count() >= NAME {
                break;
            }
            stem = format!("{stem}-{}", word.to_lowercase());
        }
        let stem: String = stem.chars().take(NAME).collect();
        for number in 1.. {
            let name = match number {
                1 => format!("{stem}-{seed}.png"),
                number => format!("{stem}-{seed}-{number}.png"),
            };
            if write_new(&name, bytes)? {
                return Ok(name.into());
            }
        }
        Err(Failure::failed("no name is free; give one with `--out`"))
    }

    fn report(&self, written: &[PathBuf], seconds: f64) -> Result<(), Failure> {
        let params = &self.params;
        if self.draw.run.json {
            let files: Vec<String> = written.iter().map(|it| it.display().to_string()).collect();
            let report = json!({
                "files": files, "seed": params.seed, "width": params.width, "height": params.height, "steps": params.steps,
                "sampler": params.sampler, "seconds": (seconds * 1000.0).round() / 1000.0,
            });
            return print_line(&report.to_string());
        }
        for (at, path) in written.iter().enumerate() {
            let seed = params.seed.wrapping_add(at as u64);
            print_line(&format!("{} (seed {seed})", path.display()))?;
        }
        match is_quiet() {
            true => Ok(()),
            false => print_line(&format!(
                "{}x{}, {} steps of {}, {seconds:.1} s",
                params.width, params.height, params.steps, params.sampler
            )),
        }
    }
}

impl Info {
    fn run(&self) -> Result<(), Failure> {
        let options: OpenOptions = self.model.opening();
        let info = BaseModel::find(self.model.name())?.info(&options)?;
        match self.json {
            true => print_line(&serde_json::to_string(&info).map_err(Failure::failed)?),
            false => print_line(&in_words(&info)?),
        }
    }
}

fn in_words(info: &ModelInfo) -> Result<String, Failure> {
    let millions = |count: usize| format!("{:.1} million", count as f64 / 1e6);
    let mut lines = vec![
        info.family.clone(),
        format!(
            "U-Net: {} parameters, reads {} channels, {:?} at its resolutions",
            millions(info.unet_parameters),
            info.in_channels,
            info.block_out_channels
        ),
    ];
    for tower in &info.text_encoders {
        lines.push(format!(
            "text encoder: {} parameters, {} layers of width {}, {} tokens of a vocabulary of {}",
            millions(tower.parameters),
            tower.layers,
            tower.width,
            tower.tokens,
            tower.vocabulary
        ));
    }
    lines.push(format!(
        "autoencoder: {} of {} parameters, {} pixels a latent, scaled by {}",
        info.autoencoder,
        millions(info.vae_parameters),
        info.factor,
        info.scaling_factor
    ));
    let sizes: Vec<String> = WeightKind::ALL
        .iter()
        .filter_map(|kind| {
            let bytes = *info.weight_bytes.get(&kind.to_string())? as f64;
            Some(match bytes < 1e9 {
                true => format!("{:.0} MB in {kind}", bytes / 1e6),
                false => format!("{:.1} GB in {kind}", bytes / 1e9),
            })
        })
        .collect();
    lines.push(format!("weights: {}", sizes.join(", ")));
    let predicts = serde_json::to_value(info.prediction).map_err(Failure::failed)?;
    lines.push(format!(
        "predicts {}, scheduler {}",
        predicts.as_str().unwrap_or_default(),
        info.scheduler.as_deref().unwrap_or("not named")
    ));
    if let Some(size) = info.size {
        lines.push(format!("draws {size}x{size}"));
    }
    Ok(lines.join("\n"))
}
