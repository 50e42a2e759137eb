//! `orrery acdit sample`, `video` and `continue`.

use std::path::{Path, PathBuf};

use base::command::{
    Context, Failure, Output, Steps, any_seed, number_in, report, use_calling_thread_as_worker,
    whole,
};
use base::media::provenance::{Provenance, clip_bytes, image_bytes};
use base::media::sheet::{Layout, clip_sheet, sheet};
use base::media::{self, Clip, Image};
use clap::Args;
use serde_json::json;

use super::model::ModelOptions;
use super::options::check;
use crate::acdit::SampleConfig;
use crate::acdit::generate::{Request, Vae};
use crate::acdit::pipeline::AcditPipeline;
use crate::acdit::space::Values;

/// The most samples of a call.
const MOST_SAMPLES: usize = 256;
/// The most values of all samples together.
const MOST_VALUES: usize = 1 << 28;
/// Key of the note in a picture or clip.
const KEY: &str = "orrery acdit";
/// Frames of a clip stand for this long.
const DELAY_MS: u32 = 125;

/// What all drawing takes.
#[derive(Args, Debug)]
pub struct DrawOptions {
    #[command(flatten)]
    model: ModelOptions,
    /// Classes by name or number, comma-separated; `none` is not a class [default: all, or the first ten]
    #[arg(long = "class", value_delimiter = ',', value_name = "CLASS")]
    classes: Vec<String>,
    /// Samples of each class, a row of the sheet
    #[arg(long, default_value_t = 1, value_parser = |text: &str| whole(text, MOST_SAMPLES))]
    count: usize,
    /// Steps from noise to a block
    #[arg(long, default_value_t = 25, value_parser = |text: &str| whole(text, 1000))]
    steps: usize,
    /// Guidance by the class; up to 1 there is none [default: 1.5, for clips 2.5]
    #[arg(long, visible_alias = "guidance", value_parser = |text: &str| number_in(text, 0.0, 100.0), allow_negative_numbers = true)]
    cfg: Option<f32>,
    /// The same seed draws the same [default: random, printed]
    #[arg(long)]
    seed: Option<u64>,
    /// Each pixel becomes a square of this side [default: so that a picture is at least 128 pixels wide]
    #[arg(long, value_parser = |text: &str| whole(text, 32))]
    scale: Option<usize>,
    /// The file to write, which says how it was made: PNG, JPEG, WebP or GIF, of clips GIF or animated PNG; replaced when it is
    /// there
    /// [default: acdit-SEED.png or .gif]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// Options of `sample`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery acdit sample
  orrery acdit sample --class sneaker,bag --count 8 --cfg 2 --seed 1 --out shoes.png
  orrery acdit sample --model ACDiT-XL-img.pt --vae DiT-XL-2-256/vae --class 207,360")]
pub struct Sample {
    #[command(flatten)]
    draw: DrawOptions,
}

/// Options of `video`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery acdit video --model runs/clips/model.safetensors --blocks 8 --window 4 --out long.gif")]
pub struct Video {
    #[command(flatten)]
    draw: DrawOptions,
    #[command(flatten)]
    length: Length,
}

/// How long a clip becomes.
#[derive(Args, Debug)]
pub struct Length {
    /// Blocks of a clip; more than in training go on beyond it [default: as in training]
    #[arg(long, value_parser = |text: &str| whole(text, 4096))]
    blocks: Option<usize>,
    /// Frames of a clip, in place of --blocks
    #[arg(long, conflicts_with = "blocks", value_parser = |text: &str| whole(text, 65_536))]
    frames: Option<usize>,
    /// Clips: a block sees this many blocks with itself, so that each costs the same however long the clip is
    #[arg(long, value_parser = |text: &str| whole(text, 4096))]
    window: Option<usize>,
}

/// Options of `continue`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery acdit continue --init shoe.png --given 2 --class sneaker --count 6 --out shoes.png
  orrery acdit continue --model runs/clips/model.safetensors --init start.gif --blocks 6 --out more.gif")]
pub struct Continue {
    /// The picture or clip to go on from: GIF, APNG, WebP, a folder of frames, or a still picture
    #[arg(long, value_name = "FILE")]
    init: PathBuf,
    /// How many of its blocks are kept: of a clip its first ones, of a picture tiles row by row [default: of a clip all whole
    /// ones, of a picture half]
    #[arg(long, value_parser = |text: &str| whole(text, 4096))]
    given: Option<usize>,
    #[command(flatten)]
    draw: DrawOptions,
    #[command(flatten)]
    length: Length,
}

impl Sample {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let pipeline = self.draw.begin()?;
        let blocks = pipeline.config.ar_len;
        self.draw.run(&pipeline, blocks, None, None, context)
    }
}

impl Video {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let pipeline = self.draw.begin()?;
        if pipeline.config.temporal_len == 1 {
            return Err(Failure::input(
                "this model draws pictures, not clips: give one of clips with `--model`, or use `orrery acdit sample`",
            ));
        }
        let blocks = self.length.blocks(&pipeline, pipeline.config.ar_len)?;
        let window = self.length.window;
        self.draw.run(&pipeline, blocks, window, None, context)
    }
}

impl Continue {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let pipeline = self.draw.begin()?;
        let vae = self.draw.model.vae(&pipeline)?;
        let config = &pipeline.config;
        let still = config.temporal_len == 1;
        let frames = match still {
            true => vec![media::read_image(&self.init)?],
            false => media::read_clip(&self.init)?.frames,
        };
        let tokens = pipeline.tokens(&frames, vae.as_ref())?;
        let there = tokens.dims()[1] / config.block_size;
        let given = self
            .given
            .unwrap_or(if still { there.div_ceil(2) } else { there });
        if given == 0 || given > there {
            let unit = config.block_size as f64 / config.spatial_len as f64;
            return Err(Failure::input(format!(
                "`{}` has {there} whole blocks, {given} are asked for (a block is {unit} frames): give another `--given` or a longer clip",
                self.init.display()
            )));
        }
        let usual = match still {
            true => config.ar_len,
            false => config.ar_len.max(given + 1),
        };
        let blocks = self.length.blocks(&pipeline, usual)?;
        if still && blocks != config.ar_len {
            return Err(Failure::input(
                "a picture has all its blocks: `--blocks` and `--frames` are for clips",
            ));
        }
        if given >= blocks {
            return Err(Failure::input(format!(
                "all {blocks} blocks are given and none is left to draw: give fewer with `--given`, or for clips more `--blocks`"
            )));
        }
        let shown = pipeline.pictures(tokens.clone(), vae.as_ref())?;
        let start = Start {
            tokens,
            given,
            shown: shown.into_iter().next().unwrap_or_default(),
        };
        let window = self.length.window;
        self.draw
            .run(&pipeline, blocks, window, Some(start), context)
    }
}

/// What a drawing goes on from.
struct Start {
    tokens: burn::tensor::Tensor<3>,
    given: usize,
    shown: Vec<Image>,
}

impl Length {
    fn blocks(&self, pipeline: &AcditPipeline, usual: usize) -> Result<usize, Failure> {
        let config = &pipeline.config;
        match (self.blocks, self.frames) {
            (Some(blocks), _) => Ok(blocks),
            (None, Some(frames)) => {
                let tokens = frames * config.spatial_len;
                match tokens.is_multiple_of(config.block_size) {
                    true => Ok(tokens / config.block_size),
                    false => Err(Failure::input(format!(
                        "{frames} frames are not whole blocks: a block has {} frames",
                        config.block_size / config.spatial_len
                    ))),
                }
            }
            (None, None) => Ok(usual),
        }
    }
}

impl DrawOptions {
    /// The model; threads are set before anything is computed.
    fn begin(&self) -> Result<AcditPipeline, Failure> {
        use_calling_thread_as_worker();
        self.model.open()
    }

    fn labels(&self, pipeline: &AcditPipeline) -> Result<Vec<usize>, Failure> {
        let named: Result<Vec<usize>, String> = match self.classes.is_empty() {
            true => Ok((0..pipeline.config.num_classes.min(10)).collect()),
            false => self
                .classes
                .iter()
                .map(|text| pipeline.about.label(text, &pipeline.config))
                .collect(),
        };
        let named = named.map_err(Failure::input)?;
        match named.len() * self.count {
            samples if samples > MOST_SAMPLES => Err(Failure::input(format!(
                "{samples} samples are more than {MOST_SAMPLES}: give fewer classes or a smaller `--count`"
            ))),
            _ => Ok(named
                .into_iter()
                .flat_map(|label| vec![label; self.count])
                .collect()),
        }
    }

    fn run(
        &self,
        pipeline: &AcditPipeline,
        blocks: usize,
        window: Option<usize>,
        start: Option<Start>,
        context: Context,
    ) -> Result<(), Failure> {
        let begun = std::time::Instant::now();
        let config = &pipeline.config;
        let moving = config.temporal_len > 1;
        let labels = self.labels(pipeline)?;
        let values = labels.len() * blocks * config.block_size * config.latent_size;
        if values > MOST_VALUES {
            return Err(Failure::input(format!(
                "{} samples of {blocks} blocks are too much for one call: ask for fewer or shorter ones",
                labels.len()
            )));
        }
        let vae = self.model.vae(pipeline)?;
        let seed = self.seed.unwrap_or_else(any_seed);
        let ending = if moving { "gif" } else { "png" };
        let out = self
            .out
            .clone()
            .unwrap_or_else(|| PathBuf::from(format!("acdit-{seed}.{ending}")));
        check(&out, moving)?;
        let request = Request {
            labels,
            blocks,
            sampling: SampleConfig {
                steps: self.steps,
                guidance: self.cfg.unwrap_or(if moving { 2.5 } else { 1.5 }),
                clip: (pipeline.about.space.values == Values::Pixels).then_some(1.0),
                window,
            },
            seed,
        };
        let given = start.as_ref().map_or(0, |start| start.given);
        let frames = self.draw(pipeline, &request, start.as_ref(), vae.as_ref(), context)?;
        self.write(pipeline, &request, start, frames, &out)?;
        let names: Vec<String> = request
            .labels
            .iter()
            .map(|label| name(pipeline, *label))
            .collect();
        report(self.output.json, &match self.output.json {
            true => json!({
                "out": out.display().to_string(), "seed": seed, "classes": names, "steps": self.steps,
                "guidance": request.sampling.guidance, "blocks": blocks, "given": given,
                "frames": blocks * config.block_size / config.spatial_len,
                "seconds": begun.elapsed().as_secs_f64(),
            })
            .to_string(),
            false => format!("wrote {} (seed {seed})", out.display()),
        })
    }

    fn draw(
        &self,
        pipeline: &AcditPipeline,
        request: &Request,
        start: Option<&Start>,
        vae: Option<&Vae>,
        context: Context,
    ) -> Result<Vec<Vec<Image>>, Failure> {
        let given = start.map_or_else(Vec::new, |start| {
            pipeline.blocks(&start.tokens, start.given, request.labels.len())
        });
        let total = (request.blocks - given.len()) * self.steps;
        let mut bar = Steps::new("steps", self.output.json);
        let mut done = 0;
        let frames = pipeline.draw(request, given, vae, context, &mut || {
            done += 1;
            bar.at(done, total);
        });
        bar.finish();
        frames
    }

    /// Lays the samples out, a row a class; what they go on from comes first.
    fn write(
        &self,
        pipeline: &AcditPipeline,
        request: &Request,
        start: Option<Start>,
        mut samples: Vec<Vec<Image>>,
        out: &Path,
    ) -> Result<(), Failure> {
        let side = pipeline.about.space.picture_side(&pipeline.config);
        let scale = self.scale.unwrap_or((128 / side).max(1));
        let mut captions: Vec<String> = request
            .labels
            .iter()
            .map(|label| name(pipeline, *label))
            .collect();
        let columns = match self.count {
            1 => None,
            count => Some(count),
        };
        let provenance =
            self.provenance(request, &captions, start.as_ref().map(|start| start.given))?;
        if let Some(start) = start {
            samples.insert(0, start.shown);
            captions.insert(0, "given".to_owned());
        }
        // One picture stands alone, so that `continue` and `classify` can read it.
        let alone = samples.iter().flatten().count() == 1;
        let captions: Vec<&str> = match alone {
            true => Vec::new(),
            false => captions.iter().map(String::as_str).collect(),
        };
        let layout = Layout {
            columns,
            gap: if alone { 0 } else { 4 },
            scale: scale as u32,
        };
        if pipeline.config.temporal_len == 1 {
            let pictures: Vec<Image> = samples.into_iter().flatten().collect();
            let sheet = sheet(&pictures, &captions, &layout)?;
            return Ok(image_bytes(out, &sheet, &provenance)?.write(out)?);
        }
        let clips: Result<Vec<Clip>, _> = samples
            .into_iter()
            .map(|frames| Clip::new(frames, DELAY_MS))
            .collect();
        let sheet = clip_sheet(&clips?, &captions, &layout)?;
        Ok(clip_bytes(out, &sheet, &provenance)?.write(out)?)
    }

    /// What the file says of how it was made.
    fn provenance(
        &self,
        request: &Request,
        classes: &[String],
        given: Option<usize>,
    ) -> Result<Provenance, Failure> {
        let sampling = &request.sampling;
        let model = self.model.model.as_ref();
        let model = model.map(|path| path.display().to_string());
        let made = json!({
            "model": model, "classes": classes, "seed": request.seed, "steps": sampling.steps,
            "guidance": sampling.guidance, "blocks": request.blocks, "window": sampling.window, "given": given,
            "version": env!("CARGO_PKG_VERSION"),
        });
        Ok(Provenance::new(KEY, &made)?)
    }
}

/// The name of a class, also of none.
fn name(pipeline: &AcditPipeline, label: usize) -> String {
    match label < pipeline.config.num_classes {
        true => pipeline.about.name(label),
        false => "none".to_owned(),
    }
}
