//! Training data of the embedded clip model: emoji that move.

use base::media::Image;
use base::rng::Rng;
use engine::data::pack::{ClipPack, EmojiPack, PackError, Style, Subject};

use super::data::{EmojiGrid, Pictures, SIZE, by_code, draw_shift, say, shift};
use super::train::{Example, Examples};

/// Frames of an embedded clip.
pub const FRAMES: usize = 16;
/// Share of still clips among the training clips.
const STILL_SHARE: f32 = 0.15;

/// Micro-conditions of a clip of 16 frames.
pub fn clip_micro() -> [f32; 6] {
    [SIZE as f32, SIZE as f32, 0.0, 0.0, 1.0, FRAMES as f32]
}

/// A clip of the pack as the clip model sees it.
pub struct MovingSubject {
    /// The subject, with its names.
    pub subject: Subject,
    /// `[3, 16, 32, 32]` in `[-1, 1]`.
    pub pixels: Vec<f32>,
}

/// Clips of emoji that move, and now and then a still one, which says so: its micro-condition counts one frame. Stills
/// keep the subjects alive of which there is no clip.
pub struct Clips {
    /// The clips.
    pub clips: Vec<MovingSubject>,
    /// Where stills come from.
    stills: Pictures,
}

impl Clips {
    /// The clips of the subjects of `codes`, which the picture model knows, out of the two packs.
    ///
    /// # Errors
    /// When a pack cannot be read.
    pub fn new(pack: &EmojiPack, clips: &ClipPack, codes: &[String]) -> Result<Self, PackError> {
        let mut found = Vec::new();
        for code in codes {
            let Some(index) = clips.clips.iter().position(|clip| clip.code == *code) else {
                continue;
            };
            found.push(MovingSubject {
                subject: by_code(pack, code)?.clone(),
                pixels: clip_to_unit(&clips.clip(index, SIZE as u32)?.frames),
            });
        }
        let grid = EmojiGrid::new(pack, codes)?;
        Ok(Self {
            clips: found,
            stills: Pictures { grid },
        })
    }

    /// One picture for all frames.
    fn still(&self, rng: &mut Rng) -> Example {
        let picture = self.stills.draw(rng);
        let frames = picture.latents.chunks_exact(SIZE * SIZE);
        Example {
            latents: frames.flat_map(|plane| plane.repeat(FRAMES)).collect(),
            ..picture
        }
    }
}

impl Examples for Clips {
    fn shape(&self) -> [usize; 4] {
        [3, FRAMES, SIZE, SIZE]
    }

    fn draw(&self, rng: &mut Rng) -> Example {
        if rng.chance(STILL_SHARE) {
            return self.still(rng);
        }
        let clip = &self.clips[rng.below(self.clips.len())];
        let mut prompt = say(&clip.subject, rng);
        if rng.chance(0.5) {
            prompt = format!("{prompt} {}", Style::Fluent3d);
        }
        let [top, left] = draw_shift(rng);
        let mut micro = clip_micro();
        (micro[2], micro[3]) = (top as f32, left as f32);
        Example {
            latents: shift(&clip.pixels, 3 * FRAMES, SIZE, top, left),
            prompt,
            micro,
        }
    }
}

/// Frames as `[3, frames, height, width]` in `[-1, 1]`.
pub fn clip_to_unit(frames: &[Image]) -> Vec<f32> {
    let planes: Vec<Vec<f32>> = frames.iter().map(Image::to_unit).collect();
    let Some(area) = planes.first().map(|frame| frame.len() / 3) else {
        return Vec::new();
    };
    (0..3)
        .flat_map(|channel| {
            planes
                .iter()
                .flat_map(move |frame| frame[channel * area..(channel + 1) * area].iter().copied())
        })
        .collect()
}
