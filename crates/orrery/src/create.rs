//! `orrery create`: from a prompt to a picture.

use std::path::PathBuf;

use base::command::{Context, Failure};
use clap::Args;
use video::stiv::command::draw::{Drawing, draw, report};
use video::stiv::command::generate::first_frame;
use video::stiv::command::options::{DrawOptions, guidance};
use video::stiv::embedded::defaults;
use video::stiv::generation_params::{GenerationParams, MAX_GUIDANCE};

use crate::preview;

/// Options of `create`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery create \"red apple\"                     a picture
  orrery create \"빨간 사과\" --style twemoji        in any of twelve languages
  orrery create 🍎 --count 6                     six on one sheet
  orrery create fox --video                     sixteen frames that move
  orrery create octopus --video --from my.png   starting from your picture
  echo fox | orrery create - --out - > fox.png  in a pipe
  orrery create --again red-apple.png           the same picture once more")]
pub struct Create {
    /// What is to be seen, in words or emoji; - reads it from standard input
    #[arg(required_unless_present = "again")]
    prompt: Option<String>,
    #[arg(long, value_parser = guidance, allow_negative_numbers = true, help = format!(
        "How closely to follow the prompt, 0 to {MAX_GUIDANCE}; 1 and less are fastest [default: {}, of clips {}]",
        defaults::GUIDANCE, defaults::CLIP_GUIDANCE,
    ))]
    guidance: Option<f32>,
    #[arg(long, value_parser = guidance, allow_negative_numbers = true, conflicts_with = "video", help = format!(
        "How closely a picture follows the style, 0 to {MAX_GUIDANCE}: more than --guidance gives up some of the subject, the \
         same takes two thirds of the time [default: {:.2} times --guidance]",
        defaults::STYLE_EMPHASIS,
    ))]
    style_guidance: Option<f32>,
    /// Draw a clip of 16 frames: GIF, or APNG where --out ends in .png or .apng
    #[arg(long)]
    video: bool,
    /// Start the clip from this picture
    #[arg(long, value_name = "PICTURE", requires = "video")]
    from: Option<PathBuf>,
    /// Make a picture once more, from what its file says
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "prompt", "guidance", "style_guidance", "guided_until", "video", "from", "style", "count", "steps", "renorm", "seed",
        "size",
    ])]
    again: Option<PathBuf>,
    /// Do not show the picture in the terminal
    #[arg(long)]
    no_preview: bool,
    #[command(flatten)]
    draw: DrawOptions,
}

impl Create {
    /// Draws, writes, shows and says so.
    pub fn run(&self, context: Context) -> Result<(), Failure> {
        let drawing = self.drawing()?;
        let drawn = draw(&drawing, context)?;
        if !self.no_preview && !drawing.json && !drawing.quiet {
            preview::show(&drawn.first);
        }
        report(&drawn, &drawing)
    }

    fn drawing(&self) -> Result<Drawing, Failure> {
        let prompt = self.prompt.as_deref().unwrap_or_default();
        let mut drawing = self.draw.drawing(prompt, self.video);
        if let Some(path) = &self.again {
            drawing.params = GenerationParams::read(path)?;
            return Ok(drawing);
        }
        let params = &mut drawing.params;
        params.guidance = self.guidance.unwrap_or(params.guidance);
        *params = params.clone().with_style_scale(self.style_guidance);
        match &self.from {
            Some(path) => params.given.push(first_frame(path)?),
            None => params.image_first = self.video && self.draw.model.is_none(),
        }
        Ok(drawing)
    }
}
