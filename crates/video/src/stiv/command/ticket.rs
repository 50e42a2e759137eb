//! What is written into a picture so that it can be made again.

use std::path::Path;

use base::command::Failure;
use base::media::{self, Picture};
use engine::data::pack::Style;
use engine::diffusion::{Renorm, Solver};
use serde::{Deserialize, Serialize};

use super::note;
use crate::stiv::clips::FRAMES;
use crate::stiv::embedded::defaults;
use crate::stiv::sample::{Guidance, SampleConfig};

/// Key of the text in a PNG.
pub const KEY: &str = "orrery";
/// Largest guidance scale.
pub const MOST_GUIDANCE: f32 = 50.0;
/// Most steps.
pub const MOST_STEPS: usize = 1000;
/// Most samples of one call.
pub const MOST_SAMPLES: usize = 64;
/// Hexadecimal digits of a given frame that are read: a PNG of 32×32 RGB takes less, however badly it is packed.
const LONGEST_FRAME: usize = 16_384;
/// Sides of the square that a pixel may become.
pub const SCALES: [u32; 5] = [1, 2, 4, 8, 16];

/// Everything that the bytes of a picture depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ticket {
    /// What is to be seen.
    pub prompt: String,
    /// What the text tower is told of it: a subject that it knows, and the style that the prompt names. Absent until the
    /// prompt is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// Seed of the first sample; the next ones count on.
    pub seed: u64,
    /// Whose style, unless the prompt names one.
    pub style: String,
    /// Name and fingerprint of the weights.
    pub model: String,
    /// Steps from noise to data.
    pub steps: usize,
    /// Scale of the joint guidance, or of the text.
    pub guidance: f32,
    /// Scale of the given frames (separate guidance), absent for joint guidance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance_image: Option<f32>,
    /// Scale of the style, absent for joint guidance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance_style: Option<f32>,
    /// Until when a step is guided, 1 for all; older files do not say it.
    pub guided_until: f32,
    /// Strength of CFG-renorm.
    pub renorm: f32,
    /// Over what it takes its norms.
    pub renorm_over: Renorm,
    /// The walk.
    pub solver: Solver,
    /// Samples; several make a sheet.
    pub count: usize,
    /// Each pixel becomes a square of this side.
    pub size: u32,
    /// A clip instead of a picture.
    pub video: bool,
    /// The clip's first frame is drawn by the picture model.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub picture_first: bool,
    /// Frames that the clip goes through.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<KnownFrame>,
    /// Milliseconds a frame, where it is not the model's own pace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u32>,
    /// Version of the program.
    pub version: String,
}

/// One given frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownFrame {
    /// Its place in the clip, from 0.
    pub at: usize,
    /// The frame as the model sees it: a 32×32 PNG in hexadecimal digits.
    pub png: String,
}

impl Default for Ticket {
    fn default() -> Self {
        Self {
            prompt: String::new(),
            told: None,
            seed: 0,
            style: defaults::STYLE.name().to_owned(),
            model: String::new(),
            steps: defaults::STEPS,
            guidance: defaults::GUIDANCE,
            guidance_image: None,
            guidance_style: None,
            guided_until: 1.0,
            renorm: defaults::RENORM,
            renorm_over: Renorm::default(),
            solver: Solver::default(),
            count: 1,
            size: defaults::SCALE,
            video: false,
            picture_first: false,
            known: Vec::new(),
            delay_ms: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl KnownFrame {
    /// `picture` at place `at`, cropped to a square and shrunk to the model's size.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn new(at: usize, picture: &Picture) -> Result<Self, Failure> {
        let small = picture.resize_square(crate::stiv::data::SIZE as u32);
        let bytes = media::png_bytes(&small, &[])?;
        let png = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { at, png })
    }

    /// The frame, where it is one as [`Self::new`] writes it: nothing larger is unpacked.
    fn picture(&self) -> Option<(usize, Picture)> {
        let digits = self.png.as_bytes();
        if digits.len() > LONGEST_FRAME {
            return None;
        }
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Vec<u8> = digits.chunks(2).map(byte).collect::<Option<_>>()?;
        // Width and height stand at the same place of every PNG.
        let side = (crate::stiv::data::SIZE as u32).to_be_bytes();
        if bytes.get(16..24)? != [side, side].concat() {
            return None;
        }
        let still = media::decode_still(&bytes, "the given frame").ok()?;
        (self.at < FRAMES).then_some((self.at, still.picture))
    }
}

impl Ticket {
    /// The ticket in a picture or clip that Orrery made.
    ///
    /// # Errors
    /// When there is none, or one that cannot be followed.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = note::read(path)?;
        let mut ticket: Self = serde_json::from_str(&text).map_err(|cause| {
            Failure::input(format!(
                "`{}` says how it was made, but not so that it can be read ({cause}): use a file as `orrery create` wrote it",
                path.display()
            ))
        })?;
        // Older files were drawn from the prompt itself.
        ticket.told.get_or_insert_with(|| ticket.prompt.clone());
        match ticket.problem() {
            Some(problem) => Err(Failure::input(format!(
                "`{}` cannot be made again: {problem}",
                path.display()
            ))),
            None => Ok(ticket),
        }
    }

    /// The ticket as it is written.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The style, where it is a known one.
    pub fn style(&self) -> Option<Style> {
        self.style.parse().ok()
    }

    /// The given frames.
    pub fn known(&self) -> Vec<(usize, Picture)> {
        self.known.iter().filter_map(KnownFrame::picture).collect()
    }

    /// How to sample.
    pub fn sampling(&self) -> SampleConfig {
        SampleConfig {
            steps: self.steps,
            guidance: match (self.guidance_image, self.guidance_style) {
                (Some(image), _) => Guidance::Separate {
                    image,
                    text: self.guidance,
                },
                (None, Some(style)) => Guidance::Style {
                    text: self.guidance,
                    style,
                },
                (None, None) => Guidance::Joint {
                    scale: self.guidance,
                },
            },
            guided_until: self.guided_until,
            renorm_over: self.renorm_over,
            renorm: self.renorm,
            solver: self.solver,
            ..SampleConfig::default()
        }
    }

    /// What is out of range, if anything.
    pub fn problem(&self) -> Option<String> {
        let scale = 0.0..=MOST_GUIDANCE;
        let image = self.guidance_image.unwrap_or(0.0);
        let style = self.guidance_style.unwrap_or(0.0);
        if !(1..=MOST_STEPS).contains(&self.steps) {
            Some(format!("{} steps are not in 1 to {MOST_STEPS}", self.steps))
        } else if ![self.guidance, image, style]
            .iter()
            .all(|s| scale.contains(s))
        {
            Some(format!("the guidance is not in 0 to {MOST_GUIDANCE}"))
        } else if !(0.0..=1.0).contains(&self.guided_until) {
            Some("the time until which it is guided is not in 0 to 1".into())
        } else if !(0.0..=1.0).contains(&self.renorm) {
            Some("the renorm is not in 0 to 1".into())
        } else if !(1..=MOST_SAMPLES).contains(&self.count) {
            Some(format!(
                "{} pictures are not 1 to {MOST_SAMPLES}",
                self.count
            ))
        } else if !SCALES.contains(&self.size) {
            Some(format!("the size {}x is not one of {SCALES:?}", self.size))
        } else if self.style().is_none() {
            Some("its style is not `noto`, `twemoji` or `fluent3d`".into())
        } else if self.known.len() > FRAMES {
            Some(format!("more than {FRAMES} frames are given in it"))
        } else if self.known().len() != self.known.len() {
            Some("a given frame in it is damaged".into())
        } else {
            self.too_large()
        }
    }

    /// Whether the whole sheet would be too large.
    fn too_large(&self) -> Option<String> {
        let columns = (self.count as f64).sqrt().ceil() as u64;
        let side = columns * u64::from(self.size) * 40;
        let frames = if self.video { FRAMES as u64 } else { 1 };
        (side * side * frames > 1 << 27).then(|| {
            format!(
                "a sheet of {} at {}x is too large: use a smaller `--size` or `--count`",
                self.count, self.size
            )
        })
    }
}
