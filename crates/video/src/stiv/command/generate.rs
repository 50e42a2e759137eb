//! `orrery stiv t2i`, `t2v`, `ti2v`, `predict` and `interpolate`: one sampler, different given frames.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, eprint_line};
use base::media::{Clip, Image, each_frame, read_still};
use clap::{Args, ValueEnum};
use engine::diffusion::{Renorm, Solver};

use super::draw::{Drawing, draw, report};
use super::options::{DrawOptions, guidance};
use crate::stiv::clips::FRAMES;
use crate::stiv::embedded::defaults;
use crate::stiv::generation_params::{GivenFrame, MAX_GUIDANCE};

/// Frames that prediction starts from (paper section 4.4).
const LEADING: usize = 4;

/// How the guidance branches are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CfgMode {
    /// Joint: text and frames dropped together, 2 passes a step.
    Jit,
    /// Separate: a scale for each, 3 passes a step.
    Sit,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Over {
    Sample,
    Frame,
    Place,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SolverName {
    Euler,
    Sde,
}

/// Sampling as the paper names it.
#[derive(Args, Debug)]
struct Sampling {
    #[arg(long, value_parser = guidance, allow_negative_numbers = true, value_name = "SCALE", help = format!(
        "Guidance scale, 0 to {MAX_GUIDANCE}; with `--cfg-mode sit` that of the text [default: {}, of clips {}]",
        defaults::GUIDANCE, defaults::CLIP_GUIDANCE,
    ))]
    cfg: Option<f32>,
    /// jit drops text and given frames together; sit weighs them apart, at half as many passes again (paper section 3.3)
    #[arg(long, value_enum, default_value = "jit")]
    cfg_mode: CfgMode,
    /// Scale of the given frames with `--cfg-mode sit` [default: 1.5]
    #[arg(long, value_parser = guidance, allow_negative_numbers = true, value_name = "SCALE")]
    cfg_image: Option<f32>,
    /// Over what CFG-renorm takes its norms
    #[arg(long, value_enum, default_value = "sample")]
    renorm_over: Over,
    /// euler solves the deterministic flow, sde the stochastic one
    #[arg(long, value_enum, default_value = "euler")]
    solver: SolverName,
    #[command(flatten)]
    draw: DrawOptions,
}

/// Scale of the given frames that the paper found best for separate guidance (section 4.2).
const IMAGE_SCALE: f32 = 1.5;

impl Sampling {
    fn drawing(&self, prompt: &str, video: bool) -> Result<Drawing, Failure> {
        let mut drawing = self.draw.drawing(prompt, video);
        let params = &mut drawing.params;
        params.guidance = self.cfg.unwrap_or(params.guidance);
        params.guidance_image = match (self.cfg_mode, self.cfg_image) {
            (CfgMode::Sit, scale) => Some(scale.unwrap_or(IMAGE_SCALE)),
            (CfgMode::Jit, None) => None,
            (CfgMode::Jit, Some(_)) => {
                return Err(Failure::input(
                    "`--cfg-image` weighs given frames apart: add `--cfg-mode sit`, or leave it out",
                ));
            }
        };
        params.renorm_over = match self.renorm_over {
            Over::Sample => Renorm::Sample,
            Over::Frame => Renorm::Frame,
            Over::Place => Renorm::Place,
        };
        params.solver = match self.solver {
            SolverName::Euler => Solver::Euler,
            SolverName::Sde => Solver::Sde,
        };
        Ok(drawing)
    }
}

/// Options of `t2i`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery stiv t2i \"red apple\" --cfg 2 --steps 20 --seed 7 --out apple.png"
)]
pub struct TextToImage {
    /// What is to be seen
    prompt: String,
    /// Scale of the style, --cfg being that of the rest of the prompt; 3 passes a step in place of 2 [default: that of --cfg]
    #[arg(long, value_parser = guidance, allow_negative_numbers = true, value_name = "SCALE")]
    cfg_style: Option<f32>,
    #[command(flatten)]
    sampling: Sampling,
}

/// Options of `t2v`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  orrery stiv t2v fox --cfg 3 --renorm 1 --out fox.gif")]
pub struct TextToVideo {
    /// What is to be seen
    prompt: String,
    #[command(flatten)]
    sampling: Sampling,
}

/// Options of `ti2v`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  orrery stiv ti2v fox --image fox.png --out fox.gif")]
pub struct ImageToVideo {
    /// What is to be seen; may be empty
    #[arg(default_value = "")]
    prompt: String,
    /// The first frame
    #[arg(long, value_name = "PICTURE")]
    image: PathBuf,
    #[command(flatten)]
    sampling: Sampling,
}

/// Options of `predict`.
#[derive(Args, Debug)]
pub struct Predict {
    #[command(flatten)]
    clip: FromClip,
}

impl Predict {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        self.clip.predict(context)
    }
}

/// Options of `interpolate`.
#[derive(Args, Debug)]
pub struct Interpolate {
    #[command(flatten)]
    clip: FromClip,
}

impl Interpolate {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        self.clip.interpolate(context)
    }
}

/// Options of both.
#[derive(Args, Debug)]
struct FromClip {
    /// What is to be seen; may be empty
    #[arg(default_value = "")]
    prompt: String,
    /// A GIF, APNG or WebP, or a folder of frames
    #[arg(long)]
    clip: PathBuf,
    /// Which of the 16 frames are given, from 0, such as 0,3,7: the clip's own where it has so many, else its frames in
    /// order
    #[arg(long, value_delimiter = ',', value_parser = place)]
    given: Vec<usize>,
    #[command(flatten)]
    sampling: Sampling,
}

fn place(text: &str) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(place) if place < FRAMES => Ok(place),
        _ => Err(format!("give frames from 0 to {}", FRAMES - 1)),
    }
}

impl TextToImage {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let mut drawing = self.sampling.drawing(&self.prompt, false)?;
        drawing.params.guidance_style = self.cfg_style;
        finish(drawing, context)
    }
}

impl TextToVideo {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        finish(self.sampling.drawing(&self.prompt, true)?, context)
    }
}

impl ImageToVideo {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let mut drawing = self.sampling.drawing(&self.prompt, true)?;
        drawing.params.given = vec![first_frame(&self.image)?];
        finish(drawing, context)
    }
}

/// The picture at `path` as the first frame; of a moving one its first, with a warning.
///
/// # Errors
/// When it cannot be read.
pub fn first_frame(path: &Path) -> Result<GivenFrame, Failure> {
    let still = read_still(path)?;
    if still.animated {
        let path = path.display();
        eprint_line(&format!("warning: `{path}` moves: its first frame is used"));
    }
    Ok(GivenFrame::first(&still.picture))
}

/// The clip at `path`, each frame cropped to a square and shrunk to the model's size as it is read.
fn small_clip(path: &Path) -> Result<Clip, Failure> {
    let mut frames: Vec<Image> = Vec::new();
    let side = crate::stiv::data::SIZE as u32;
    let delay_ms = each_frame(path, &mut |frame| frames.push(frame.resize_square(side)))?;
    Ok(Clip::new(frames, delay_ms)?)
}

impl FromClip {
    /// The clip's first four frames, continued.
    fn predict(&self, context: Context) -> Result<(), Failure> {
        let clip = small_clip(&self.clip)?;
        let places = match self.given.as_slice() {
            [] => (0..clip.frames.len().min(LEADING)).collect(),
            given => given.to_vec(),
        };
        self.go_through(&clip, &places, clip.delay_ms, context)
    }

    /// The clip's frames, with new ones between.
    fn interpolate(&self, context: Context) -> Result<(), Failure> {
        let clip = small_clip(&self.clip)?;
        let frames = clip.frames.len();
        let places: Vec<usize> = match (self.given.as_slice(), frames) {
            ([], 1) => {
                return Err(Failure::input(format!(
                    "`{}` has one frame, and nothing lies between one: give a clip of two or more",
                    self.clip.display()
                )));
            }
            // Every second frame, or both ends: what the model was trained on.
            ([], FRAMES..) => (0..FRAMES).step_by(2).collect(),
            ([], count) if count == FRAMES / 2 => (0..FRAMES).step_by(2).collect(),
            ([], count) => (0..count).map(|i| i * (FRAMES - 1) / (count - 1)).collect(),
            (given, _) => given.to_vec(),
        };
        // The whole lasts as long as it did.
        let whole = clip.delay_ms as usize * frames.min(FRAMES);
        let delay_ms = (whole / FRAMES).max(20) as u32;
        self.go_through(&clip, &places, delay_ms, context)
    }

    fn go_through(
        &self,
        clip: &Clip,
        places: &[usize],
        delay_ms: u32,
        context: Context,
    ) -> Result<(), Failure> {
        let mut drawing = self.sampling.drawing(&self.prompt, true)?;
        let params = &mut drawing.params;
        let own = places.iter().all(|&place| place < clip.frames.len());
        for (i, &at) in places.iter().enumerate() {
            let from = if own && clip.frames.len() >= FRAMES {
                at
            } else {
                i
            };
            let Some(frame) = clip.frames.get(from) else {
                return Err(Failure::input(format!(
                    "{} frames are to be given, `{}` has {}: give fewer",
                    places.len(),
                    self.clip.display(),
                    clip.frames.len()
                )));
            };
            params.given.push(GivenFrame::new(at, frame));
        }
        params.delay_ms = Some(delay_ms);
        finish(drawing, context)
    }
}

fn finish(drawing: Drawing, context: Context) -> Result<(), Failure> {
    let drawn = draw(&drawing, context)?;
    report(&drawn, &drawing)
}
