//! Options that the verbs share.

use std::path::PathBuf;

use base::command::{Output, any_seed, is_quiet, number_in, whole};
use clap::Args;
use engine::data::pack::Style;

use super::draw::Drawing;
use crate::stiv::embedded::defaults;
use crate::stiv::generation_params::{
    GenerationParams, MAX_GUIDANCE, MAX_SAMPLES, MAX_STEPS, SCALES,
};

/// What every drawing verb takes.
#[derive(Args, Clone, Debug)]
pub struct DrawOptions {
    /// Whose drawing style
    #[arg(long, value_parser = style, help = format!(
        "Whose drawing style: noto, twemoji or fluent3d; a style named in the prompt wins [default: {}, of clips {}]",
        defaults::STYLE, defaults::CLIP_STYLE,
    ))]
    pub style: Option<Style>,
    /// How many, on one sheet with the seed below each, 1 to 64 [default: 1]
    #[arg(long, value_parser = count, allow_negative_numbers = true)]
    pub count: Option<usize>,
    /// Steps from noise to data
    #[arg(long, value_parser = steps, allow_negative_numbers = true, help = format!(
        "Steps from noise to picture, 1 to {MAX_STEPS} [default: {}, of clips {}]",
        defaults::STEPS, defaults::CLIP_STEPS,
    ))]
    pub steps: Option<usize>,
    /// Until when steps are guided
    #[arg(long, value_parser = share, allow_negative_numbers = true, value_name = "TIME", help = format!(
        "Guide the steps before this time, 0 (noise) to 1 (all steps) [default: {}, of clips 1]",
        defaults::GUIDED_UNTIL,
    ))]
    pub guided_until: Option<f32>,
    /// Strength of CFG-renorm
    #[arg(long, value_parser = share, allow_negative_numbers = true, help = format!(
        "Strength of CFG-renorm (paper section 3.3), 0 to 1 [default: {}]",
        defaults::RENORM,
    ))]
    pub renorm: Option<f32>,
    /// The same seed draws the same picture; of several the first; -1 is a random one [default: random, printed]
    #[arg(long, value_parser = seed, allow_negative_numbers = true)]
    pub seed: Option<Seed>,
    /// Side of the square that a pixel becomes
    #[arg(long, value_parser = scale, allow_negative_numbers = true, help = format!(
        "How large each pixel of the 32x32 drawing becomes: 1x, 2x, 4x, 8x or 16x [default: {}x]",
        defaults::SCALE,
    ))]
    pub size: Option<u32>,
    /// Weights written by `orrery stiv train` or `export`, in place of the embedded ones
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// The file to write; replaced when it is there; - is standard output [default: named after the prompt, numbered where
    /// that name is taken]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Device: cpu; cuda, metal, rocm or wgpu in a program built with that feature
    #[arg(long, default_value = "cpu")]
    pub device: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// A seed as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// A new one each time.
    Random,
    /// This one.
    Fixed(u64),
}

fn seed(text: &str) -> Result<Seed, String> {
    match (text.trim(), text.trim().parse()) {
        ("-1", _) => Ok(Seed::Random),
        (_, Ok(seed)) => Ok(Seed::Fixed(seed)),
        _ => Err(format!(
            "give a whole number from 0 to {}, or -1 for a random one",
            u64::MAX
        )),
    }
}

impl DrawOptions {
    /// A drawing of `prompt`, or a clip, with these options and the defaults for the rest.
    pub fn drawing(&self, prompt: &str, video: bool) -> Drawing {
        let usual = GenerationParams::usual(prompt, video);
        let params = GenerationParams {
            seed: match self.seed {
                Some(Seed::Fixed(seed)) => seed,
                Some(Seed::Random) | None => any_seed(),
            },
            style: self.style.unwrap_or(usual.style),
            steps: self.steps.unwrap_or(usual.steps),
            guided_until: self.guided_until.unwrap_or(usual.guided_until),
            renorm: self.renorm.unwrap_or(usual.renorm),
            count: self.count.unwrap_or(usual.count),
            size: self.size.unwrap_or(usual.size),
            ..usual
        };
        Drawing {
            params,
            model: self.model.clone(),
            out: self.out.clone(),
            device: self.device.clone(),
            json: self.output.json,
            quiet: is_quiet(),
        }
    }
}

/// A drawing style, for clap.
///
/// # Errors
/// When it is none.
pub fn style(text: &str) -> Result<Style, String> {
    text.parse()
        .map_err(|error: engine::data::pack::UnknownStyle| error.to_string())
}

/// A guidance scale, for clap.
///
/// # Errors
/// When it is not a number or out of range.
pub fn guidance(text: &str) -> Result<f32, String> {
    number_in(text, 0.0, MAX_GUIDANCE)
}

/// A number from 0 to 1, for clap.
///
/// # Errors
/// When it is not a number or out of range.
pub fn share(text: &str) -> Result<f32, String> {
    number_in(text, 0.0, 1.0)
}

fn count(text: &str) -> Result<usize, String> {
    whole(text, MAX_SAMPLES)
}

pub(super) fn steps(text: &str) -> Result<usize, String> {
    whole(text, MAX_STEPS)
}

fn scale(text: &str) -> Result<u32, String> {
    let number = text.trim().trim_end_matches(['x', 'X']).parse().ok();
    number
        .filter(|number| SCALES.contains(number))
        .ok_or_else(|| "give 1x, 2x, 4x, 8x or 16x".into())
}
