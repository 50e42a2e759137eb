//! Drawing toy clips and reading them.

use std::sync::atomic::AtomicBool;

use base::command::Failure;
use base::rng::Rng;
use burn::tensor::Device;
use engine::data::shapes::{FRAMES, SIZE, Scene};

use super::draw::{Canvas, frame};
use super::toy_world::{ToyTower, toy_micro};
use crate::stiv::model::Stiv;
use crate::stiv::sample::SampleConfig;

/// `[channels, frames, height, width]` of a toy clip.
pub(super) const SHAPE: [usize; 4] = [3, FRAMES, SIZE, SIZE];
const BATCH: usize = 48;
/// Where identical frames are cut, in decibels.
const MOST_DECIBEL: f64 = 100.0;

/// Clips drawn for the 48 captions in turn.
pub(super) struct ToyDrawn {
    pub clips: Vec<Vec<f32>>,
    /// What each was asked to show.
    pub asked: Vec<Scene>,
    /// A fresh real clip of each caption; its first frame was given where one was.
    pub real: Vec<Vec<f32>>,
    /// Passes through the network for one clip.
    pub passes: usize,
}

/// Draws `each` clips for every caption; with `given`, from the first frame of a fresh real clip of that caption.
///
/// Noise and real clips depend on `seed` alone, so that arms see the same.
pub(super) fn draw(
    model: &Stiv,
    each: usize,
    given: bool,
    config: &SampleConfig,
    seed: u64,
    device: &Device,
    stop: &AtomicBool,
) -> Result<ToyDrawn, Failure> {
    let asked: Vec<Scene> = (0..each).flat_map(|_| Scene::all()).collect();
    let fresh = Rng::new(seed).child("fresh");
    let scenes = (0..).zip(&asked);
    let real: Vec<Vec<f32>> = scenes
        .map(|(i, scene)| scene.draw(&mut fresh.item(i)))
        .collect();
    let prompts: Vec<String> = asked.iter().map(Scene::caption).collect();
    let canvas = Canvas {
        model,
        tower: &ToyTower,
        shape: SHAPE,
        micro: toy_micro(),
        batch: BATCH,
        device,
        stop,
    };
    let drawn = canvas.draw(&prompts, given.then_some(&real[..]), config, seed)?;
    Ok(ToyDrawn {
        clips: drawn.samples,
        asked,
        real,
        passes: drawn.passes,
    })
}

impl ToyDrawn {
    /// How many clips show shape, colour and direction as asked.
    pub fn right(&self) -> usize {
        let pairs = self.clips.iter().zip(&self.asked);
        pairs
            .filter(|(clip, asked)| Scene::read(clip) == **asked)
            .count()
    }

    /// Mean peak signal-to-noise ratio of frame `at` to the real clip's, in decibels; identical frames count 100.
    pub fn psnr(&self, at: usize) -> f64 {
        let decibel = |(clip, real): (&Vec<f32>, &Vec<f32>)| {
            let (a, b) = (frame(clip, SHAPE, at), frame(real, SHAPE, at));
            let squares: f64 = a
                .iter()
                .zip(&b)
                .map(|(a, b)| f64::from(a - b).powi(2))
                .sum();
            let peak = 4.0 * a.len() as f64;
            (10.0 * (peak / squares).log10()).min(MOST_DECIBEL)
        };
        let sum: f64 = self.clips.iter().zip(&self.real).map(decibel).sum();
        sum / self.clips.len() as f64
    }

    /// Share of values beyond `[-1, 1]`.
    pub fn out_of_range(&self) -> f64 {
        let values = self.clips.iter().flatten();
        let out = values.filter(|value| value.abs() > 1.0).count();
        out as f64 / (self.clips.len() * SHAPE.iter().product::<usize>()) as f64
    }
}
