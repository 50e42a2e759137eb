//! What ships inside the program: the trained emoji models, and the settings at which they draw best.

use burn::tensor::Device;
use engine::weights::{Weights, WeightsError};

use super::pipeline::StivPipeline;
use super::text::WordTower;
use super::tower;

/// Settings of `orrery create` and of the verbs that use the embedded models.
pub mod defaults {
    use engine::data::pack::Style;

    /// Whose style, where neither prompt nor option names one.
    pub const STYLE: Style = Style::Noto;
    /// Steps of a picture from noise to data.
    pub const STEPS: usize = 10;
    /// Steps of a clip.
    pub const CLIP_STEPS: usize = 20;
    /// Until when a picture is guided: the noisy half of the way. Guidance after that leaves dark specks on the ground.
    pub const GUIDED_UNTIL: f32 = 0.5;
    /// Scale of the text of a picture.
    pub const GUIDANCE: f32 = 3.0;
    /// Scale of the style of a picture, as a multiple of that of the text.
    pub const STYLE_EMPHASIS: f32 = 5.0 / 3.0;
    /// Scale of the text and the given frames of a clip.
    pub const CLIP_GUIDANCE: f32 = 2.0;
    /// Style of clips, where neither prompt nor option names one: the one that the real clips have.
    pub const CLIP_STYLE: Style = Style::Fluent3d;
    /// Strength of CFG-renorm.
    pub const RENORM: f32 = 1.0;
    /// Each pixel becomes a square of this side.
    pub const SCALE: u32 = 8;
}

/// Name of the image model.
pub const IMAGES: &str = "stiv-emoji-pictures";
/// Name of the clip model.
pub const CLIPS: &str = "stiv-emoji-clips";

macro_rules! model {
    ($name:literal) => {
        &include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../assets/models/",
            $name,
            ".safetensors"
        ))[..]
    };
}

/// The image model: 993 subjects in three styles, 32×32.
///
/// # Errors
/// When the program was built with a broken file.
pub fn images(device: &Device) -> Result<StivPipeline, WeightsError> {
    open(IMAGES, model!("stiv-emoji-pictures"), device)
}

/// The clip model: 16 frames, 32×32.
///
/// # Errors
/// When the program was built with a broken file.
pub fn clips(device: &Device) -> Result<StivPipeline, WeightsError> {
    open(CLIPS, model!("stiv-emoji-clips"), device)
}

/// The text tower of both.
///
/// # Errors
/// When the program was built with a broken file.
pub fn tower() -> Result<WordTower, WeightsError> {
    tower::read(&Weights::from_bytes(model!("stiv-emoji-pictures"))?)
}

/// Nothing is copied but into the model.
fn open(name: &str, bytes: &'static [u8], device: &Device) -> Result<StivPipeline, WeightsError> {
    StivPipeline::named(name, &Weights::from_bytes(bytes)?, device)
}
