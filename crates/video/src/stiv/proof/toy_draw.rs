//! Drawing toy clips and reading them.

use burn::tensor::{Device, Tensor, TensorData};
use engine::data::shapes::{FRAMES, SIZE, Scene};
use engine::rng::Rng;

use crate::stiv::data::{ToyTower, toy_micro};
use crate::stiv::model::Stiv;
use crate::stiv::sample::{Given, SampleConfig, sample};
use crate::stiv::text::{TextBatch, TextTower};

/// Values of a toy clip `[3, 8, 16, 16]`.
pub const CLIP: usize = 3 * FRAMES * SIZE * SIZE;
/// Clips that walk through the network together.
const BATCH: usize = 48;

/// Clips drawn for the 48 captions in turn.
pub struct ToyDrawn {
    /// `[3, 8, 16, 16]` each.
    pub clips: Vec<Vec<f32>>,
    /// What each was asked to show.
    pub asked: Vec<Scene>,
    /// A real clip of each caption, whose first frame was given where one was.
    pub real: Vec<Vec<f32>>,
    /// Passes through the network for one clip.
    pub passes: usize,
}

impl ToyDrawn {
    /// How many clips show shape, colour and direction as asked.
    pub fn right(&self) -> usize {
        let pairs = self.clips.iter().zip(&self.asked);
        pairs
            .filter(|(clip, asked)| Scene::read(clip) == **asked)
            .count()
    }
}

/// Draws `each` clips for every caption; with `given`, from the first frame of a fresh real clip of that caption.
///
/// Noise and real clips depend on `seed` alone, so that arms see the same.
pub fn draw(
    model: &Stiv,
    each: usize,
    given: bool,
    config: &SampleConfig,
    seed: u64,
    device: &Device,
) -> ToyDrawn {
    let asked: Vec<Scene> = (0..each).flat_map(|_| Scene::all()).collect();
    let rng = Rng::new(seed);
    let (noises, fresh) = (rng.child("noise"), rng.child("fresh"));
    let items = |rng: &Rng, f: &dyn Fn(usize, Rng) -> Vec<f32>| -> Vec<Vec<f32>> {
        (0..asked.len()).map(|i| f(i, rng.item(i as u64))).collect()
    };
    let real = items(&fresh, &|i, mut rng| asked[i].draw(&mut rng));
    let noise = items(&noises, &|_, mut rng| rng.normals(CLIP));
    let mut drawn = ToyDrawn {
        clips: Vec::new(),
        asked: asked.clone(),
        real: real.clone(),
        passes: 0,
    };
    let put = |clips: &[Vec<f32>]| {
        let shape = [clips.len(), 3, FRAMES, SIZE, SIZE];
        Tensor::<5>::from_data(TensorData::new(clips.concat(), shape), device)
    };
    for (batch, noise) in noise.chunks(BATCH).enumerate() {
        let (from, count) = (batch * BATCH, noise.len());
        let prompts: Vec<String> = asked[from..from + count]
            .iter()
            .map(Scene::caption)
            .collect();
        let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        let micro = vec![toy_micro(); count];
        let text = ToyTower.encode(&prompts);
        let nothing = TextBatch::empty(count, text.keys, text.width);
        let first = given.then(|| Given {
            latents: put(&real[from..from + count]),
            frames: (0..FRAMES).map(|frame| frame == 0).collect(),
        });
        let sampled = sample(
            model,
            put(noise),
            first.as_ref(),
            &text.condition(micro.clone(), device),
            &nothing.condition(micro, device),
            config,
            &mut rng.child("solver").item(batch as u64),
            &mut |_, _| true,
        );
        let values: Vec<f32> = sampled.latents.into_data().iter::<f32>().collect();
        drawn
            .clips
            .extend(values.chunks_exact(CLIP).map(<[f32]>::to_vec));
        drawn.passes = sampled.passes;
    }
    drawn
}
