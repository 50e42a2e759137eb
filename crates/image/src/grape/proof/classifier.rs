//! Networks that see which blocks are in a picture: one informs the planner, another one, trained apart, gives the scores.

use base::command::{Context, Failure};
use base::media::Image;
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::nn::{Conv2d, Linear, LinearConfig};
use engine::ops::{self, CrossEntropyOptions, cross_entropy};

use super::denoiser::SIDE;
use crate::fit::fit;
use crate::grape::scene::{Block, Colour, Scene, Shape};

/// Cells along a side, and pixels along a side of a cell.
const CELLS: usize = 3;
const SEEN: usize = SIDE / CELLS;
/// Pictures of a training step.
const BATCH: usize = 48;
const RATE: f64 = 2e-3;
/// What a cell may hold: nothing or a shape; a colour; small or large.
const CHOICES: [usize; 3] = [4, 4, 2];
const UNKNOWN: i64 = -1;

/// A convolutional network over each cell with a reading for each question.
#[derive(Module, Debug)]
pub(super) struct Classifier {
    conv: Vec<Conv2d>,
    inner: Linear,
    readings: Vec<Linear>,
}

/// The cells of pictures, `[9 · pictures, 3, seen, seen]`.
fn cells(pictures: &[Vec<f32>], device: &Device) -> Tensor<4> {
    let count = pictures.len();
    let mut values = Vec::with_capacity(count * CELLS * CELLS * 3 * SEEN * SEEN);
    for picture in pictures {
        for cell in 0..CELLS * CELLS {
            let [left, top] = [cell % CELLS, cell / CELLS].map(|at| at * SEEN);
            for channel in 0..3 {
                for row in 0..SEEN {
                    let from = (channel * SIDE + top + row) * SIDE + left;
                    values.extend_from_slice(&picture[from..from + SEEN]);
                }
            }
        }
    }
    let data = TensorData::new(values, [count * CELLS * CELLS, 3, SEEN, SEEN]);
    Tensor::from_data(data, device)
}

impl Classifier {
    /// Trains one on renders with noise.
    pub(super) fn train(
        width: usize,
        steps: u64,
        context: Context,
        rng: &Rng,
    ) -> Result<Self, Failure> {
        let device = Device::flex().autodiff();
        let weights = &mut rng.child("weights");
        let conv = vec![
            Conv2d::lazy(3, width, 3, weights, &device),
            Conv2d::lazy(width, width, 3, weights, &device).with_stride(2, 1),
        ];
        let flat = width * (SEEN / 2) * (SEEN / 2);
        let fresh = Self {
            conv,
            inner: LinearConfig::new(flat, 64).init(weights, &device),
            readings: CHOICES
                .iter()
                .map(|choices| LinearConfig::new(64, *choices).init(weights, &device))
                .collect(),
        };
        let of = |classifier: &Self, rng: &mut Rng| {
            let scenes: Vec<Scene> = (0..BATCH).map(|_| Scene::random(rng)).collect();
            let pictures: Vec<Vec<f32>> = scenes.iter().map(|it| disturbed(it, rng)).collect();
            let found = classifier.forward(cells(&pictures, &device));
            let options = CrossEntropyOptions {
                ignore: Some(UNKNOWN),
                ..CrossEntropyOptions::default()
            };
            let mut loss = Tensor::zeros([1], &device);
            for (question, logits) in found.into_iter().enumerate() {
                let answers: Vec<i64> =
                    scenes.iter().flat_map(|it| answers(it, question)).collect();
                let data = TensorData::new(answers, [BATCH * CELLS * CELLS]);
                let answers: Tensor<1, Int> = Tensor::from_data(data, &device);
                loss = loss + cross_entropy(logits, answers, options);
            }
            Ok(loss)
        };
        let trained = fit(fresh, (steps, RATE), context, &rng.child("steps"), of)?;
        Ok(trained.valid())
    }

    /// Logits for each question, `[cells, choices]`.
    fn forward(&self, x: Tensor<4>) -> Vec<Tensor<2>> {
        let x = self
            .conv
            .iter()
            .fold(x, |x, conv| ops::silu(conv.forward(x)));
        let x: Tensor<2> = x.flatten(1, 3);
        let x = ops::silu(self.inner.forward(x));
        self.readings
            .iter()
            .map(|it| it.forward(x.clone()))
            .collect()
    }

    /// What is in each picture.
    pub(super) fn scenes(&self, pictures: &[Image]) -> Vec<Scene> {
        let device = Device::flex();
        let mut scenes = Vec::with_capacity(pictures.len());
        for part in pictures.chunks(64) {
            let values: Vec<Vec<f32>> = part.iter().map(Image::to_unit).collect();
            let found: Vec<Vec<i64>> = self
                .forward(cells(&values, &device))
                .into_iter()
                .map(|logits| logits.argmax(1).into_data().iter::<i64>().collect())
                .collect();
            scenes.extend((0..part.len()).map(|at| {
                let block = |cell: usize| {
                    let row = at * CELLS * CELLS + cell;
                    let shape = Shape::ALL.get(usize::try_from(found[0][row] - 1).ok()?)?;
                    Some(Block {
                        shape: *shape,
                        colour: *Colour::ALL.get(found[1][row] as usize)?,
                        large: found[2][row] == 1,
                        cell,
                    })
                };
                Scene((0..CELLS * CELLS).filter_map(block).collect())
            }));
        }
        scenes
    }
}

/// The answers to a question about every cell.
fn answers(scene: &Scene, question: usize) -> Vec<i64> {
    let of = |cell: usize| match (scene.0.iter().find(|it| it.cell == cell), question) {
        (Some(block), 0) => block.shape as i64 + 1,
        (None, 0) => 0,
        (Some(block), 1) => block.colour as i64,
        (Some(block), _) => i64::from(block.large),
        (None, _) => UNKNOWN,
    };
    (0..CELLS * CELLS).map(of).collect()
}

/// A render with noise, a little brighter or darker.
fn disturbed(scene: &Scene, rng: &mut Rng) -> Vec<f32> {
    let noise = 0.25 * rng.uniform();
    let shift = 0.1 * rng.normal();
    let clean = scene.render(SIDE as u32).to_unit();
    clean
        .iter()
        .map(|it| it + shift + noise * rng.normal())
        .collect()
}
