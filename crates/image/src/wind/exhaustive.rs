//! The pass over all noises, each derived from the key when it is its turn.

use kernels::{LinearDims, Precision, linear};
use rayon::prelude::*;

use super::SystemError;
use super::detect::{Detector, Progress, View};
use super::latent::moved;
use super::noise;
use super::search::Search;
use super::windows::Windows;

/// Noises derived together.
const BLOCK: usize = 128;
/// Candidates whose exact score is looked at.
const KEPT: usize = 8;

/// A noise and how near it came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Candidate {
    pub(super) score: f32,
    pub(super) index: u64,
    pub(super) view: usize,
}

/// What a pass found for one picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Best {
    /// The nearest wholes, nearest first. The length of a noise is taken with its mark's coefficients.
    pub(super) whole: Vec<Candidate>,
    /// The nearest window.
    pub(super) window: Option<Candidate>,
}

impl Best {
    fn take(&mut self, candidate: Candidate) {
        let place = self
            .whole
            .partition_point(|other| other.score >= candidate.score);
        if place < KEPT {
            self.whole.truncate(KEPT - 1);
            self.whole.insert(place, candidate);
        }
    }
}

/// One of a picture's views, moved, with the squares of its windows.
struct Moved {
    picture: usize,
    view: usize,
    values: Vec<f32>,
    squares: Vec<f32>,
}

impl Detector {
    /// Compares every noise with every view of every picture.
    pub(super) fn among_all(
        &self,
        pictures: &[&[View]],
        search: &Search,
        progress: Progress<'_>,
    ) -> Result<Vec<Best>, SystemError> {
        let (shape, total) = (self.shape(), self.key.noises());
        let owners: Vec<(usize, usize)> = pictures
            .iter()
            .enumerate()
            .flat_map(|(picture, views)| (0..views.len()).map(move |view| (picture, view)))
            .collect();
        let rows: Vec<f32> = pictures
            .iter()
            .flat_map(|views| views.iter())
            .flat_map(|view| view.rest.iter().copied())
            .collect();
        let wanted = search.windows && search.region.is_none();
        let windows = Windows::usual(shape).filter(|_| wanted);
        let moved = windows.map_or(Vec::new(), |windows| {
            moved_views(pictures, search, windows, self)
        });
        let mut best = vec![Best::default(); pictures.len()];
        let mut block = vec![0.0; BLOCK * shape.len()];
        for first in (0..total).step_by(BLOCK) {
            progress(first, total)?;
            let count = (total - first).min(BLOCK as u64) as usize;
            let values = &mut block[..count * shape.len()];
            let lengths = self.derive(first, values, search);
            let dims = LinearDims {
                rows: owners.len(),
                input: shape.len(),
                output: count,
            };
            let products = linear(Precision::F32, &rows, values, None, dims)
                .map_err(|error| SystemError::Failed(error.to_string()))?;
            for (&(picture, view), products) in owners.iter().zip(products.chunks_exact(count)) {
                for (at, (product, length)) in products.iter().zip(&lengths).enumerate() {
                    best[picture].take(Candidate {
                        score: product / length,
                        index: first + at as u64,
                        view,
                    });
                }
            }
            if let Some(windows) = windows {
                let noises = values.par_chunks_exact(shape.len()).enumerate();
                let scores: Vec<Vec<Candidate>> = noises
                    .map(|(at, noise)| window_scores(noise, first + at as u64, &moved, windows))
                    .collect();
                for scores in scores {
                    for (moved, candidate) in moved.iter().zip(scores) {
                        let window = &mut best[moved.picture].window;
                        if window.is_none_or(|best| best.score < candidate.score) {
                            *window = Some(candidate);
                        }
                    }
                }
            }
        }
        progress(total, total)?;
        Ok(best)
    }

    /// Noises from `first` on into `values`; their lengths, within the region where one is given.
    fn derive(&self, first: u64, values: &mut [f32], search: &Search) -> Vec<f32> {
        let shape = self.shape();
        let noises = values.par_chunks_exact_mut(shape.len()).enumerate();
        let derive = |words: &mut noise::Words, (at, out): (usize, &mut [f32])| {
            self.key.fill(first + at as u64, shape, out, words);
            let inside = |at: usize| {
                let place = at % shape.plane();
                let holds =
                    |region: super::Region| region.holds(place / shape.width, place % shape.width);
                search.region.is_none_or(holds)
            };
            let square: f32 = match search.region {
                None => super::latent::dot(out, out),
                Some(_) => {
                    let values = out.iter().enumerate().filter(|(at, _)| inside(*at));
                    values.map(|(_, value)| value * value).sum()
                }
            };
            square.max(1e-30).sqrt()
        };
        noises.map_init(noise::Words::default, derive).collect()
    }
}

fn moved_views(
    pictures: &[&[View]],
    search: &Search,
    windows: Windows,
    detector: &Detector,
) -> Vec<Moved> {
    let shifts = search.shifts.iter();
    let shifts: Vec<[i32; 2]> = shifts
        .flat_map(|&y| search.shifts.iter().map(move |&x| [y, x]))
        .collect();
    let mut all = Vec::new();
    for (picture, views) in pictures.iter().enumerate() {
        for (view, it) in views.iter().enumerate() {
            for &shift in &shifts {
                let values = moved(&it.rest, detector.shape(), shift);
                let squares = windows.products(&values, &values);
                all.push(Moved {
                    picture,
                    view,
                    values,
                    squares,
                });
            }
        }
    }
    all
}

fn window_scores(noise: &[f32], index: u64, moved: &[Moved], windows: Windows) -> Vec<Candidate> {
    let squares = windows.products(noise, noise);
    moved
        .iter()
        .map(|moved| Candidate {
            score: Windows::best(
                &windows.products(noise, &moved.values),
                &squares,
                &moved.squares,
            ),
            index,
            view: moved.view,
        })
        .collect()
}
