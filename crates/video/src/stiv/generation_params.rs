//! Generation parameters: all that an image or clip depends on. They are written into it so that it can be made again.

use std::path::Path;

use base::command::Failure;
use base::media::MediaError;
use base::media::provenance::{self, Provenance};
use engine::data::lexicon::MAX_CHARS;
use engine::data::pack::Style;
use engine::diffusion::{Renorm, Solver};
use serde::{Deserialize, Serialize};

use super::clips::FRAMES;
use super::embedded::defaults;
use super::sample::{Guidance, SampleConfig};

mod given_frame;

pub use given_frame::GivenFrame;

/// Key of the provenance in a file.
pub const KEY: &str = "orrery";
/// Largest guidance scale.
pub const MAX_GUIDANCE: f32 = 50.0;
/// Most steps.
pub const MAX_STEPS: usize = 1000;
/// Most samples of one call.
pub const MAX_SAMPLES: usize = 64;
/// Sides of the square that a pixel may become.
pub const SCALES: [u32; 5] = [1, 2, 4, 8, 16];

/// Everything that the bytes of an image or clip depend on. Names in JSON are those of older versions where they differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerationParams {
    /// What is to be seen. May be empty where frames are given.
    pub prompt: String,
    /// What the text tower encodes: a subject that it knows, and the style that the prompt names. Absent until the
    /// prompt is analysed.
    #[serde(rename = "told", skip_serializing_if = "Option::is_none")]
    pub tower_prompt: Option<String>,
    /// Seed of the first sample; the next ones count on.
    pub seed: u64,
    /// Whose style, unless the prompt names one.
    #[serde(serialize_with = "write_style", deserialize_with = "read_style")]
    pub style: Style,
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
    /// The solver.
    pub solver: Solver,
    /// Samples; several make a sheet.
    pub count: usize,
    /// Each pixel becomes a square of this side.
    pub size: u32,
    /// A clip instead of an image.
    pub video: bool,
    /// The clip's first frame is drawn by the image model.
    #[serde(rename = "picture_first", skip_serializing_if = "std::ops::Not::not")]
    pub image_first: bool,
    /// Frames that the clip goes through.
    #[serde(rename = "known", skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<GivenFrame>,
    /// Milliseconds a frame, where it is not the model's own pace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u32>,
    /// Version of the program.
    pub version: String,
}

impl Default for GenerationParams {
    fn default() -> Self {
        Self {
            prompt: String::new(),
            tower_prompt: None,
            seed: 0,
            style: defaults::STYLE,
            model: String::new(),
            steps: defaults::CLIP_STEPS,
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
            image_first: false,
            given: Vec::new(),
            delay_ms: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl GenerationParams {
    /// What `orrery create PROMPT`, or `create PROMPT --video`, takes where no option says otherwise; the seed is 0, and
    /// a clip has no first frame yet.
    pub fn usual(prompt: &str, video: bool) -> Self {
        let (style, steps, guidance, guided_until) = match video {
            true => (
                defaults::CLIP_STYLE,
                defaults::CLIP_STEPS,
                defaults::CLIP_GUIDANCE,
                1.0,
            ),
            false => (
                defaults::STYLE,
                defaults::STEPS,
                defaults::GUIDANCE,
                defaults::GUIDED_UNTIL,
            ),
        };
        Self {
            prompt: prompt.to_owned(),
            style,
            steps,
            guidance,
            guided_until,
            video,
            ..Self::default()
        }
    }

    /// The same with the scale of the style that is asked for, or for images the usual multiple of that of the text. None
    /// where they are the same, or the text is not guided: two passes a step, or one, are enough there.
    pub fn with_style_scale(self, asked: Option<f32>) -> Self {
        let usual = match self.guidance > 1.0 && !self.video {
            true => defaults::STYLE_EMPHASIS,
            false => 1.0,
        };
        let scale = asked.unwrap_or((usual * self.guidance).min(MAX_GUIDANCE));
        Self {
            guidance_style: (scale != self.guidance).then_some(scale),
            ..self
        }
    }

    /// Those in an image or clip that Orrery made.
    ///
    /// # Errors
    /// When there are none, or some that cannot be followed.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let mut params: Self = provenance::read(path, KEY, "`orrery create`")?;
        // Older files were drawn from the prompt itself.
        params
            .tower_prompt
            .get_or_insert_with(|| params.prompt.clone());
        match params.check() {
            Err(problem) => Err(Failure::input(format!(
                "`{}` cannot be made again: {problem}",
                path.display()
            ))),
            Ok(()) => Ok(params),
        }
    }

    /// As they are written into a file.
    ///
    /// # Errors
    /// When a given frame cannot be encoded.
    pub fn provenance(&self) -> Result<Provenance, MediaError> {
        Provenance::new(KEY, self)
    }

    /// Those of sample `i` alone.
    pub fn of_sample(&self, i: usize) -> Self {
        Self {
            seed: self.seed.wrapping_add(i as u64),
            count: 1,
            ..self.clone()
        }
    }

    /// Whether it was made with other weights than `now`. Names may differ, fingerprints may not.
    pub fn made_with_others(&self, now: &str) -> bool {
        let ids = |name: &str| -> Vec<String> {
            let is_id =
                |word: &&str| word.len() == 16 && word.bytes().all(|b| b.is_ascii_hexdigit());
            name.split(' ').filter(is_id).map(str::to_owned).collect()
        };
        !self.model.is_empty() && ids(&self.model) != ids(now)
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

    /// Looks whether all is in range.
    ///
    /// # Errors
    /// [`Failure::Input`] that names the first that is not.
    pub fn check(&self) -> Result<(), Failure> {
        check_prompt(&self.prompt, self.given.is_empty())?;
        check_prompt(self.tower_prompt.as_deref().unwrap_or_default(), false)?;
        let scale = 0.0..=MAX_GUIDANCE;
        let image = self.guidance_image.unwrap_or(0.0);
        let style = self.guidance_style.unwrap_or(0.0);
        let scales = [self.guidance, image, style];
        Err(Failure::input(if !(1..=MAX_STEPS).contains(&self.steps) {
            format!("{} steps are not in 1 to {MAX_STEPS}", self.steps)
        } else if !scales.iter().all(|s| scale.contains(s)) {
            format!("the guidance is not in 0 to {MAX_GUIDANCE}")
        } else if !(0.0..=1.0).contains(&self.guided_until) {
            "the time until which it is guided is not in 0 to 1".into()
        } else if !(0.0..=1.0).contains(&self.renorm) {
            "the renorm is not in 0 to 1".into()
        } else if !(1..=MAX_SAMPLES).contains(&self.count) {
            format!("{} pictures are not 1 to {MAX_SAMPLES}", self.count)
        } else if !SCALES.contains(&self.size) {
            format!("the size {}x is not one of {SCALES:?}", self.size)
        } else if self.given.len() > FRAMES {
            format!("more than {FRAMES} frames are given in it")
        } else if self.too_large() {
            format!(
                "a sheet of {} at {}x is too large: use a smaller `--size` or `--count`",
                self.count, self.size
            )
        } else {
            return Ok(());
        }))
    }

    /// Whether the whole sheet would be too large.
    fn too_large(&self) -> bool {
        let columns = (self.count as f64).sqrt().ceil() as u64;
        let side = columns * u64::from(self.size) * 40;
        let frames = if self.video { FRAMES as u64 } else { 1 };
        side * side * frames > 1 << 27
    }
}

/// Looks at the bare text.
///
/// # Errors
/// For a prompt that is too long, or empty where one is needed.
pub fn check_prompt(prompt: &str, needed: bool) -> Result<(), Failure> {
    let length = prompt.chars().count();
    if length > MAX_CHARS {
        return Err(Failure::input(format!(
            "the prompt has {length} characters, at most {MAX_CHARS} are read: say it shorter"
        )));
    }
    if needed && prompt.trim().is_empty() {
        return Err(Failure::input(
            "the prompt is empty: say what to draw, such as \"red apple\"",
        ));
    }
    Ok(())
}

fn write_style<S: serde::Serializer>(style: &Style, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(style.name())
}

fn read_style<'a, D: serde::Deserializer<'a>>(from: D) -> Result<Style, D::Error> {
    let name = String::deserialize(from)?;
    name.parse().map_err(serde::de::Error::custom)
}
