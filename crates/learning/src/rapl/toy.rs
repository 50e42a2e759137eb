//! Toy scenes of 32 × 32 pixels: two blocks rise towards the top while an agent moves at random; the user wants both to arrive, together.

use base::media::{Clip, Image};
use base::rng::Rng;

/// Side of a picture.
const SIDE: u32 = 32;
/// Frames of a scene.
pub const FRAMES: usize = 8;
/// Left edges of the blocks: the agent is the one thing that moves for no reason.
const COLUMNS: [f64; 2] = [0.25, 0.7];

/// What the agent looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A square: the body of the training videos.
    Square,
    /// A bar: another body.
    Bar,
}

/// How the two blocks rise: how far (0..=1) and with which power of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rise {
    /// Heights at the end.
    pub heights: [f64; 2],
    /// 1 rises evenly, more rises late.
    pub powers: [f64; 2],
}

/// A scene with what is truly wanted of it.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The pictures.
    pub clip: Clip,
    /// Minus the mean distance of the blocks from the top and from each other's height, over all frames.
    pub truth: f64,
}

impl Rise {
    /// As preferred: both arrive, together.
    pub fn expert() -> Self {
        Self {
            heights: [1.0; 2],
            powers: [1.0; 2],
        }
    }

    /// Anything.
    pub fn random(rng: &mut Rng) -> Self {
        let mut number = |low: f64, high: f64| low + (high - low) * f64::from(rng.uniform());
        Self {
            heights: [number(0.0, 1.0), number(0.0, 1.0)],
            powers: [number(0.5, 2.0), number(0.5, 2.0)],
        }
    }

    /// Both blocks' heights in a frame.
    fn at(&self, frame: usize) -> [f64; 2] {
        let time = frame as f64 / (FRAMES - 1) as f64;
        [0, 1].map(|k| self.heights[k] * libm::pow(time, self.powers[k]))
    }

    /// Draws the scene. The agent is somewhere else in each frame, as `rng` says, and behind the blocks: every frame shows heights.
    pub fn scene(&self, body: Body, rng: &mut Rng) -> Scene {
        let mut truth = 0.0;
        let frames = (0..FRAMES)
            .map(|frame| {
                let mut picture = Image::filled(SIDE, SIDE, [255; 3]);
                // The goal.
                fill(&mut picture, [0.0, 0.0], [1.0, 0.15], [255, 200, 215]);
                let heights = self.at(frame);
                truth -= heights.iter().map(|h| 1.0 - h).sum::<f64>() / 2.0;
                truth -= (heights[0] - heights[1]).abs();
                let size = match body {
                    Body::Square => [0.2, 0.2],
                    Body::Bar => [0.4, 0.1],
                };
                let agent = [rng.uniform(), rng.uniform()].map(|at| 0.8 * f64::from(at));
                fill(&mut picture, agent, size, [130, 130, 145]);
                for (x, height) in COLUMNS.into_iter().zip(heights) {
                    let y = 0.84 * (1.0 - height);
                    fill(&mut picture, [x, y], [0.16, 0.16], [240, 60, 110]);
                }
                picture
            })
            .collect();
        Scene {
            clip: Clip {
                frames,
                delay_ms: super::video::DELAY_MS,
            },
            truth: truth / FRAMES as f64,
        }
    }
}

/// A rectangle in shares of the side.
fn fill(picture: &mut Image, at: [f64; 2], size: [f64; 2], colour: [u8; 3]) {
    let pixel = |share: f64| (share * f64::from(SIDE)).clamp(0.0, f64::from(SIDE)) as u32;
    for y in pixel(at[1])..pixel(at[1] + size[1]) {
        for x in pixel(at[0])..pixel(at[0] + size[0]) {
            picture.set(x, y, colour);
        }
    }
}
