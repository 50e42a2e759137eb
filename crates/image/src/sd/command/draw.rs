//! `orrery sd generate`, `img2img`, `inpaint` and `edit`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use base::command::{
    Context, Failure, Steps, any_seed, eprint_line, is_quiet, print_line,
    use_calling_thread_as_worker,
};
use base::files::{write_bytes, write_new};
use base::media::provenance::{Encoded, check_ending, image_bytes};
use base::media::{self, png_bytes_with_alpha};
use clap::Args;
use engine::models::stable_diffusion::{Request, Sampling, Source, StableDiffusion};
use engine::ops::{Precision, set_precision};
use serde_json::json;

use super::preview::Preview;
use crate::base_model::BaseModel;
use crate::sd::generation_params::{GenerationParams, Given};
use crate::sd::options::{DrawOptions, ModelOptions, guidance, size, strength};

const NAME: usize = 40;

/// Draw with Stable Diffusion: the small model inside, or weights of 1, 2 or XL that you have.
/// Options of `generate`.
#[derive(Args, Debug)]
pub struct Generate {
    /// What is to be seen
    #[arg(required_unless_present = "again")]
    prompt: Option<String>,
    /// Width and height in pixels, such as 512x768 [default: the model's own]
    #[arg(long, value_parser = size)]
    size: Option<[usize; 2]>,
    #[command(flatten)]
    draw: DrawOptions,
    /// Make a picture once more, from what its file says; --model may say where the model is now
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "prompt", "size", "negative", "steps", "guidance", "guided", "sampler", "karras", "rescale", "clip_skip", "seed",
        "count", "lora", "weights", "bf16", "transparent",
    ])]
    again: Option<PathBuf>,
    #[command(flatten)]
    model: ModelOptions,
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
    #[arg(long, default_value_t = 0.75, value_parser = strength)]
    strength: f64,
    /// Width and height in pixels [default: the picture's, rounded down to what the model can]
    #[arg(long, value_parser = size)]
    size: Option<[usize; 2]>,
    #[command(flatten)]
    draw: DrawOptions,
    #[command(flatten)]
    model: ModelOptions,
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
    #[arg(long, default_value_t = 1.0, value_parser = strength)]
    strength: f64,
    /// Width and height in pixels [default: the picture's, rounded down to what the model can]
    #[arg(long, value_parser = size)]
    size: Option<[usize; 2]>,
    #[command(flatten)]
    draw: DrawOptions,
    #[command(flatten)]
    model: ModelOptions,
}

/// Options of `edit`.
#[derive(Args, Debug)]
pub struct Edit {
    /// What is to be changed, as an instruction
    instruction: String,
    /// The picture to change
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// How close the result keeps to the picture; 1 to 2 is usual, 1 is without
    #[arg(long, default_value_t = 1.5, value_parser = guidance, allow_negative_numbers = true)]
    image_guidance: f64,
    /// Width and height in pixels [default: the picture's, rounded down to what the model can]
    #[arg(long, value_parser = size)]
    size: Option<[usize; 2]>,
    #[command(flatten)]
    draw: DrawOptions,
    #[command(flatten)]
    model: ModelOptions,
}

impl Img2img {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let given = [Some(&self.image), None];
        Job::new(&self.prompt, self.size, &self.model, &self.draw, given)?
            .with_strength(self.strength)
            .run(context)
    }
}

impl Inpaint {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let given = [Some(&self.image), Some(&self.mask)];
        Job::new(&self.prompt, self.size, &self.model, &self.draw, given)?
            .with_strength(self.strength)
            .run(context)
    }
}

impl Edit {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let given = [Some(&self.image), None];
        Job::new(&self.instruction, self.size, &self.model, &self.draw, given)?
            .with_image_guidance(self.image_guidance)
            .run(context)
    }
}

impl Generate {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
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
                weights: draw.weights(),
                model: model.name().to_owned(),
                vae: opening.vae,
                tokenizer: opening.tokenizer,
                prediction: opening.prediction,
                loras: opening.loras,
                vae_tiling: opening.tiling,
                image: given(image)?,
                mask: given(mask)?,
                strength: 1.0,
                image_guidance: None,
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

    fn with_image_guidance(mut self, scale: f64) -> Self {
        self.params.image_guidance = Some(scale);
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
        let picture = media::read_image(&image.path)?;
        let mask = self.params.mask.as_ref();
        let mask = mask.map(|mask| media::read_image(&mask.path)).transpose()?;
        if let Some(mask) = &mask
            && [mask.width, mask.height] != [picture.width, picture.height]
        {
            return Err(Failure::input(format!(
                "the mask has {}x{} pixels and the picture {}x{}: give a mask of the picture's size",
                mask.width, mask.height, picture.width, picture.height
            )));
        }
        Ok(Some(Source {
            picture,
            mask,
            strength: self.params.strength,
            image_guidance: self.params.image_guidance,
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
