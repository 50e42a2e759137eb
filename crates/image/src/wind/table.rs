//! The table of attacks: pictures made with marks, damaged, and asked which noise they began with.

use base::media::Image;
use base::rng::Rng;
use rayon::prelude::*;
use serde::Serialize;

use super::reading::readings;
use super::{Attack, Detector, LatentModel, Mode, Search, SystemError, TreeRing, TurnBack, cosine};

/// Marked pictures of one seed, by this method and by Tree-Ring.
#[derive(Clone, Debug)]
pub struct Gallery {
    /// Image, index of its noise, and its initial latents.
    pub wind: Vec<(Image, u64, Vec<f32>)>,
    /// Image and number of its key.
    tree_ring: Vec<(Image, usize)>,
    keys: Vec<TreeRing>,
    rng: Rng,
}

/// One row: shares of pictures whose origin was named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// The right group (RingID with as many keys as there are groups).
    pub group: f64,
    /// The right noise and a match in fast mode.
    pub fast: f64,
    /// The right noise and a match in full mode.
    pub full: f64,
    /// Mean cosine of initial and inverted latents.
    pub cosine: f64,
    /// The right key of Tree-Ring.
    pub tree_ring: f64,
}

impl Gallery {
    /// Draws `count` pictures of each kind; Tree-Ring has `keys` keys.
    ///
    /// # Errors
    /// What the model says.
    pub fn draw(
        model: &dyn LatentModel,
        detector: &Detector,
        count: usize,
        keys: usize,
        seed: u64,
    ) -> Result<Self, SystemError> {
        let rng = Rng::new(seed).child("wind gallery");
        let (key, shape) = (detector.key(), model.shape());
        let keys = (0..keys).map(|which| key.tree_ring(which, shape));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let wind = (0..count as u64).into_par_iter().map(|at| {
            let mut rng = rng.child("wind").item(at);
            let index = rng.below(key.noises() as usize) as u64;
            let latents = detector.initial(index)?;
            let picture = model.generate(&latents, &model.any_prompt(&mut rng))?;
            Ok((picture, index, latents))
        });
        let tree_ring = (0..count as u64).into_par_iter().map(|at| {
            let mut rng = rng.child("tree-ring").item(at);
            let which = rng.below(keys.len());
            let mut latents = rng.normals(shape.len());
            keys[which].embed(&mut latents);
            Ok((
                model.generate(&latents, &model.any_prompt(&mut rng))?,
                which,
            ))
        });
        Ok(Self {
            wind: wind.collect::<Result<_, SystemError>>()?,
            tree_ring: tree_ring.collect::<Result<_, SystemError>>()?,
            keys,
            rng,
        })
    }

    /// Damages every picture and asks.
    ///
    /// # Errors
    /// What model and detector say.
    pub fn row(
        &self,
        model: &dyn LatentModel,
        detector: &Detector,
        attack: Attack,
        (search, angles, turn): (&Search, &[f32], TurnBack),
    ) -> Result<Row, SystemError> {
        let damage = |picture: &Image, at: usize| {
            attack.apply(picture, &mut self.rng.child("attack").item(at as u64))
        };
        let marked = self.wind.par_iter().enumerate().map(|(at, (picture, ..))| {
            let damaged = damage(picture, at)?;
            let upright = model.invert(&damaged)?;
            Ok((upright, readings(model, &damaged, angles, turn)?))
        });
        let marked = marked.collect::<Result<Vec<_>, SystemError>>()?;
        let (upright, readings): (Vec<_>, Vec<_>) = marked.into_iter().unzip();
        let fast = Search {
            mode: Mode::Fast,
            ..search.clone()
        };
        let full = Search {
            mode: Mode::Full,
            ..search.clone()
        };
        let quiet = &mut |_, _| Ok(());
        let fast = detector.detect_all(&readings, &fast, quiet)?;
        let full = detector.detect_all(&readings, &full, quiet)?;
        let trees = self
            .tree_ring
            .par_iter()
            .enumerate()
            .map(|(at, (picture, which))| {
                let latents = model.invert(&damage(picture, at)?)?;
                let distance = |key: usize| self.keys[key].distance(&latents);
                let nearest =
                    (0..self.keys.len()).min_by(|&a, &b| distance(a).total_cmp(&distance(b)));
                Ok(nearest == Some(*which))
            });
        let trees = trees.collect::<Result<Vec<bool>, SystemError>>()?;
        let truth = self.wind.iter().map(|(_, index, _)| *index);
        let count = self.wind.len() as f64;
        let share = |hits: usize| hits as f64 / count;
        let of = |right: &dyn Fn(usize, u64) -> bool| {
            share(
                truth
                    .clone()
                    .enumerate()
                    .filter(|&(at, index)| right(at, index))
                    .count(),
            )
        };
        let cosines = upright.iter().zip(&self.wind);
        let cosines = cosines.map(|(found, (_, _, initial))| f64::from(cosine(found, initial)));
        Ok(Row {
            group: of(&|at, index| fast[at].marked_group == detector.key().group_of(index)),
            fast: of(&|at, index| fast[at].index == index && fast[at].matched),
            full: of(&|at, index| full[at].index == index && full[at].matched),
            cosine: cosines.sum::<f64>() / count,
            tree_ring: trees.iter().filter(|right| **right).count() as f64 / trees.len() as f64,
        })
    }
}
