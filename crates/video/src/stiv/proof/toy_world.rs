//! The toy world as training data, and its text tower.

use base::rng::Rng;
use engine::data::shapes::{self, Scene};

use crate::stiv::text::{TextBatch, TextTower};
use crate::stiv::train::{Example, Examples};

/// The toy world's clips with their captions.
pub struct MovingShapes;

impl Examples for MovingShapes {
    fn shape(&self) -> [usize; 4] {
        [3, shapes::FRAMES, shapes::SIZE, shapes::SIZE]
    }

    fn draw(&self, rng: &mut Rng) -> Example {
        let scenes = Scene::all();
        let scene = scenes[rng.below(scenes.len())];
        Example {
            latents: scene.draw(rng),
            prompt: scene.caption(),
            micro: toy_micro(),
        }
    }
}

/// Micro-conditions of a toy clip.
pub fn toy_micro() -> [f32; 6] {
    let size = shapes::SIZE as f32;
    [size, size, 0.0, 0.0, 1.0, shapes::FRAMES as f32]
}

/// The toy world's text tower: one-hot words, so that the transformer's own text layers are learned word embeddings.
pub struct ToyTower;

impl ToyTower {
    fn words() -> impl Iterator<Item = &'static str> {
        shapes::COLOURS
            .into_iter()
            .chain(shapes::KINDS)
            .chain(shapes::DIRECTIONS)
    }
}

impl TextTower for ToyTower {
    fn width(&self) -> usize {
        Self::words().count()
    }

    fn keys(&self) -> usize {
        3
    }

    fn encode(&self, prompts: &[&str]) -> TextBatch {
        let (keys, width) = (self.keys(), self.width());
        let mut batch = TextBatch::empty(prompts.len(), keys, width);
        for (i, prompt) in prompts.iter().enumerate() {
            let ids = prompt
                .split_whitespace()
                .filter_map(|word| Self::words().position(|known| known == word));
            for (at, id) in ids.take(keys).enumerate() {
                batch.tokens[(i * keys + at) * width + id] = 1.0;
                batch.mask[i * keys + at] = true;
                batch.pooled[i * width + id] = 1.0;
            }
        }
        batch
    }
}
