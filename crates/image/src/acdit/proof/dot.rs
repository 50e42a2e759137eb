//! A world of known physics: a soft dot that moves at constant velocity and bounces off the edges.

use base::media::Image;
use base::rng::Rng;
use engine::train::TaskError;

use crate::acdit::space::{Space, Values};
use crate::acdit::train::Samples;
use crate::acdit::{AcditConfig, RopeMode};

/// Pixels along a side.
pub const SIDE: usize = 8;
/// Variance of the dot, in square pixels.
const VARIANCE: f32 = 0.6;
/// The fastest a dot moves along an axis, in pixels a frame.
const FASTEST: f32 = 1.2;

/// A model of clips of `frames` frames in blocks of `frames_of_block`, patches of 4×4 pixels.
pub fn config(frames: usize, frames_of_block: usize) -> AcditConfig {
    AcditConfig {
        latent_size: 16,
        block_size: 4 * frames_of_block,
        ar_len: frames / frames_of_block,
        temporal_len: frames,
        spatial_len: 4,
        square_block: false,
        nd_split: None,
        hidden_size: 64,
        depth: 3,
        num_heads: 2,
        mlp_ratio: 4.0,
        num_classes: 1,
        rope: RopeMode::Released,
    }
}

/// Grey pixels in patches of 4×4.
pub const SPACE: Space = Space {
    values: Values::Pixels,
    channels: 1,
    patch: 4,
};

/// Endlessly many clips.
pub struct DotWorld {
    frames: usize,
    places: Vec<usize>,
}

impl DotWorld {
    /// Clips for a model of these sizes.
    pub fn new(config: &AcditConfig) -> Self {
        Self {
            frames: config.temporal_len,
            places: SPACE.places(config, config.tokens()),
        }
    }

    /// A clip, `[frames, side, side]` in [−1, 1].
    pub fn clip(&self, rng: &mut Rng) -> Vec<f32> {
        let far = (SIDE - 1) as f32;
        let mut at: [f32; 2] = std::array::from_fn(|_| rng.uniform() * far);
        let mut speed: [f32; 2] = std::array::from_fn(|_| (2.0 * rng.uniform() - 1.0) * FASTEST);
        let mut pixels = Vec::with_capacity(self.frames * SIDE * SIDE);
        for _ in 0..self.frames {
            for (y, x) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (y, x))) {
                let away = [y as f32 - at[0], x as f32 - at[1]];
                let square = away[0] * away[0] + away[1] * away[1];
                pixels.push(2.0 * libm::expf(-square / (2.0 * VARIANCE)) - 1.0);
            }
            for (at, speed) in at.iter_mut().zip(&mut speed) {
                *at += *speed;
                if *at < 0.0 || *at > far {
                    *speed = -*speed;
                    *at = if *at < 0.0 { -*at } else { 2.0 * far - *at };
                }
            }
        }
        pixels
    }

    /// A clip as tokens in block order.
    pub fn tokens(&self, rng: &mut Rng) -> Vec<f32> {
        let clip = self.clip(rng);
        self.places.iter().map(|&place| clip[place]).collect()
    }

    /// Tokens in block order as a clip.
    pub fn clip_of(&self, tokens: &[f32]) -> Vec<f32> {
        let mut clip = vec![0.0; tokens.len()];
        for (&place, &value) in self.places.iter().zip(tokens) {
            clip[place] = value;
        }
        clip
    }
}

impl Samples for DotWorld {
    fn len(&self) -> usize {
        1 << 30
    }

    fn read(&self, _: usize, rng: &mut Rng, out: &mut Vec<f32>) -> Result<usize, TaskError> {
        out.extend(self.tokens(rng));
        Ok(0)
    }
}

/// Mean mass of a frame, in pixels of full brightness, and mean length of the centroid's second difference, in pixels.
pub fn physics(clip: &[f32]) -> [f64; 2] {
    let frames: Vec<[f64; 3]> = clip
        .chunks_exact(SIDE * SIDE)
        .map(|frame| {
            let mut sums = [0.0; 3];
            for (at, value) in frame.iter().enumerate() {
                let mass = f64::from((value + 1.0) / 2.0).clamp(0.0, 1.0);
                sums[0] += mass;
                sums[1] += mass * (at / SIDE) as f64;
                sums[2] += mass * (at % SIDE) as f64;
            }
            let mass = sums[0].max(1e-6);
            [sums[0], sums[1] / mass, sums[2] / mass]
        })
        .collect();
    let mass = frames.iter().map(|frame| frame[0]).sum::<f64>() / frames.len() as f64;
    let bends: Vec<f64> = frames
        .windows(3)
        .map(|three| {
            let bend = |axis: usize| three[0][axis] - 2.0 * three[1][axis] + three[2][axis];
            (bend(1).powi(2) + bend(2).powi(2)).sqrt()
        })
        .collect();
    [mass, bends.iter().sum::<f64>() / bends.len().max(1) as f64]
}

/// The frames of a clip side by side, four times as large.
pub fn strip(clip: &[f32]) -> Result<Image, base::media::MediaError> {
    let frames = clip.len() / (SIDE * SIDE);
    let mut strip = Image::filled((frames * 9) as u32, SIDE as u32, [255; 3]);
    for (at, frame) in clip.chunks_exact(SIDE * SIDE).enumerate() {
        let picture = Image::from_unit(&frame.repeat(3), SIDE as u32, SIDE as u32)?;
        strip.paste(&picture, (at * 9) as u32, 0);
    }
    Ok(strip.upscale_nearest(4))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_keeps_its_mass_and_mostly_its_velocity() {
        let config = config(8, 2);
        let world = DotWorld::new(&config);
        let mut rng = Rng::new(0);
        let all: Vec<[f64; 2]> = (0..200).map(|_| physics(&world.clip(&mut rng))).collect();
        let mean = |axis: usize| all.iter().map(|it| it[axis]).sum::<f64>() / 200.0;
        // A whole dot has 2π·0.6 = 3.77; some hang over the edge.
        assert!((3.2..3.8).contains(&mean(0)), "{}", mean(0));
        assert!(mean(1) < 0.4, "{}", mean(1));
        let tokens = world.tokens(&mut Rng::new(1));
        assert_eq!(world.clip_of(&tokens), world.clip(&mut Rng::new(1)));
    }
}
