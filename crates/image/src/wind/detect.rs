//! Detection: which noise, if any, did a picture begin with?

use rayon::prelude::*;

use super::exhaustive::{Best, Candidate};
use super::latent::{dot, scaled};
use super::mark::{Mark, MarkConfig, Marker};
use super::reading::Reading;
use super::search::{Detection, Mode, Search, Stage};
use super::statistics::{ln_family_chance, threshold};
use super::windows::Windows;
use super::{Key, Region, Shape, SystemError, noise};

/// Told how far a long search is; an error ends it.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64) -> Result<(), SystemError>;

/// A key with its marks for latents of one shape.
#[derive(Clone, Debug)]
pub struct Detector {
    pub(super) key: Key,
    pub(super) marker: Marker,
    marks: Vec<Mark>,
}

/// Latents as they may have been before the picture was turned and enlarged.
#[derive(Clone, Debug)]
pub(super) struct View {
    angle: f32,
    scale: f32,
    /// Group, distance and how much farther the next group is.
    group: (usize, f32, f32),
    /// Without marks, of length 1; zero outside the region.
    pub(super) rest: Vec<f32>,
}

impl Detector {
    /// Derives all marks of `key`, about 0.1 ms each.
    ///
    /// # Errors
    /// [`SystemError::Input`] where latents of this shape cannot carry as many groups.
    pub fn new(key: Key, shape: Shape) -> Result<Self, SystemError> {
        Self::with_marks(key, MarkConfig::for_shape(shape)?)
    }

    /// As [`Detector::new`], with marks of another kind.
    ///
    /// # Errors
    /// As [`Detector::new`].
    pub fn with_marks(key: Key, config: MarkConfig) -> Result<Self, SystemError> {
        let marker = Marker::new(config)?;
        let marks = marker.group_marks(&key)?;
        Ok(Self { key, marker, marks })
    }

    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Shape of the latents.
    pub fn shape(&self) -> Shape {
        self.marker.config().shape
    }

    /// The initial latents of generation `index`: its noise with its group's mark.
    ///
    /// # Errors
    /// [`SystemError::Input`] where the key has no such noise.
    pub fn initial(&self, index: u64) -> Result<Vec<f32>, SystemError> {
        let mut latents = self.key.noise(index, self.shape())?;
        self.marker
            .embed(&mut latents, &self.marks[self.key.group_of(index)]);
        Ok(latents)
    }

    /// Draws the mark of a group into other latents.
    ///
    /// # Errors
    /// [`SystemError::Input`] where there is no such group.
    pub fn mark_group(&self, latents: &mut [f32], group: usize) -> Result<(), SystemError> {
        let mark = self.marks.get(group).ok_or_else(|| {
            SystemError::Input(format!(
                "group {group} of {}: give one below that",
                self.marks.len()
            ))
        })?;
        self.marker.embed(latents, mark);
        Ok(())
    }

    /// The groups by their distance from the mark in `latents`, nearest first.
    pub fn groups(&self, latents: &[f32]) -> Vec<(usize, f32)> {
        let read = self.marker.read(latents);
        let distance = |mark: &Mark| {
            let [noise, rings] = self.marker.distances(mark, &read);
            noise.min(rings)
        };
        let mut groups: Vec<_> = self.marks.iter().map(distance).enumerate().collect();
        groups.sort_by(|a, b| a.1.total_cmp(&b.1));
        groups
    }

    /// Looks for the noise in latents that were found by inverting a picture.
    ///
    /// # Errors
    /// As [`Detector::detect_all`].
    pub fn detect(
        &self,
        latents: Vec<f32>,
        search: &Search,
        progress: Progress<'_>,
    ) -> Result<Detection, SystemError> {
        let found = self.detect_all(&[vec![Reading::straight(latents)]], search, progress)?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| SystemError::input("no latents"))
    }

    /// Looks for the noises of many pictures, each given by its readings; all share the pass over all noises.
    ///
    /// # Errors
    /// [`SystemError::Input`] for latents of another shape, values that are not numbers and a search out of range; what
    /// `progress` says.
    pub fn detect_all(
        &self,
        pictures: &[Vec<Reading>],
        search: &Search,
        progress: Progress<'_>,
    ) -> Result<Vec<Detection>, SystemError> {
        search.check()?;
        pictures
            .iter()
            .try_for_each(|readings| self.check(readings, search))?;
        let views = pictures
            .par_iter()
            .map(|readings| self.views(readings, search));
        let views: Vec<Vec<View>> = views.collect();
        let mut found: Vec<Detection> = match search.region {
            Some(_) => Vec::new(),
            None => {
                let each = views.par_iter();
                each.map(|views| self.within_groups(views, search))
                    .collect()
            }
        };
        let open = |at: &usize| found.get(*at).is_none_or(|found| !found.matched);
        let open: Vec<usize> = match search.mode {
            Mode::Fast if search.region.is_none() => Vec::new(),
            _ => (0..views.len()).filter(open).collect(),
        };
        if !open.is_empty() {
            let pending: Vec<&[View]> = open.iter().map(|&at| views[at].as_slice()).collect();
            let best = self.among_all(&pending, search, progress)?;
            for (at, best) in open.into_iter().zip(best) {
                let judged = self.judge_all(&views[at], search, &best);
                match found.get_mut(at) {
                    Some(found) => *found = judged,
                    None => found.push(judged),
                }
            }
        }
        Ok(found)
    }

    fn check(&self, readings: &[Reading], search: &Search) -> Result<(), SystemError> {
        let shape = self.shape();
        let views = readings
            .iter()
            .map(|reading| reading.angles.len())
            .sum::<usize>();
        if !(1..=4096).contains(&(views * search.scales.len())) {
            return Err(SystemError::input(
                "no pair of angle and scale to try, or more than 4096: take larger steps",
            ));
        }
        for Reading {
            latents, angles, ..
        } in readings
        {
            if latents.len() != shape.len() || latents.iter().any(|v| !v.is_finite()) {
                return Err(SystemError::Input(format!(
                    "latents of {} values, or not all of them numbers: give {} of shape {shape}",
                    latents.len(),
                    shape.len(),
                )));
            }
            if angles.iter().any(|angle| !angle.is_finite()) {
                return Err(SystemError::input("an angle is not a number: give degrees"));
            }
        }
        Ok(())
    }

    fn views(&self, readings: &[Reading], search: &Search) -> Vec<View> {
        let shape = self.shape();
        let turns = readings.iter().flat_map(|reading| reading.turns(shape));
        let turns: Vec<(f32, Vec<f32>)> = turns.collect();
        let view = |(angle, latents, scale): (f32, &[f32], f32)| {
            let turned = scaled(latents, shape, 1.0 / scale);
            let groups = self.groups(&turned);
            let (group, distance) = groups[0];
            let next = groups.get(1).map_or(distance, |next| next.1);
            let mut rest = self.marker.removed(&turned);
            if let Some(region) = search.region {
                region.keep(&mut rest, shape);
            }
            let length = dot(&rest, &rest).sqrt().max(1e-30);
            rest.iter_mut().for_each(|value| *value /= length);
            View {
                angle,
                scale,
                group: (group, distance, next - distance),
                rest,
            }
        };
        let pairs = turns.par_iter().flat_map_iter(|(angle, latents)| {
            let scales = search.scales.iter();
            scales.map(|&scale| (*angle, latents.as_slice(), scale))
        });
        pairs.map(view).collect()
    }

    /// The exact score of noise `index` for a view: the cosine of what no mark touches.
    fn score(&self, noise: &[f32], rest: &[f32]) -> f32 {
        dot(noise, rest) / self.marker.removed_energy(noise).max(1e-30).sqrt()
    }

    /// Stage 2 of the fast mode.
    fn within_groups(&self, views: &[View], search: &Search) -> Detection {
        let mut groups: Vec<usize> = views.iter().map(|view| view.group.0).collect();
        groups.sort_unstable();
        groups.dedup();
        let step = self.key.groups() as u64;
        let members = |group: usize| (group as u64..self.key.noises()).step_by(step as usize);
        let members: Vec<u64> = groups.into_iter().flat_map(members).collect();
        let score = |(noise, words): &mut (Vec<f32>, noise::Words), index: u64| {
            self.key.fill(index, self.shape(), noise, words);
            let length = self.marker.removed_energy(noise).max(1e-30).sqrt();
            let of_group = |view: &&View| view.group.0 == self.key.group_of(index);
            let scores = views.iter().enumerate().filter(|(_, view)| of_group(view));
            scores
                .map(|(view, it)| Candidate {
                    score: dot(noise, &it.rest) / length,
                    index,
                    view,
                })
                .max_by(|a, b| a.score.total_cmp(&b.score))
        };
        let scratch = || (vec![0.0; self.shape().len()], noise::Words::default());
        let best = members
            .into_par_iter()
            .with_min_len(16)
            .map_init(scratch, |scratch, index| score(scratch, index))
            .flatten()
            .max_by(|a, b| a.score.total_cmp(&b.score).then(b.index.cmp(&a.index)))
            .unwrap_or_default();
        self.judge(
            views,
            search,
            (best, Stage::Group),
            self.marker.free_dimensions(),
            1.0,
        )
    }

    /// The better of the best whole and the best window.
    fn judge_all(&self, views: &[View], search: &Search, best: &Best) -> Detection {
        let shape = self.shape();
        if let Some(region) = search.region {
            let whole = best.whole.first().copied().unwrap_or_default();
            let dimension = region.dimension(shape);
            return self.judge(views, search, (whole, Stage::Region), dimension, 1.0);
        }
        let looks = if best.window.is_some() { 2.0 } else { 1.0 };
        let exact = best.whole.iter().map(|candidate| Candidate {
            score: match self.key.noise(candidate.index, shape) {
                Ok(noise) => self.score(&noise, &views[candidate.view].rest),
                Err(_) => candidate.score,
            },
            ..*candidate
        });
        let whole = exact
            .max_by(|a, b| a.score.total_cmp(&b.score))
            .unwrap_or_default();
        let dimension = self.marker.free_dimensions();
        let whole = self.judge(views, search, (whole, Stage::All), dimension, looks);
        let Some((window, windows)) = best.window.zip(Windows::usual(shape)) else {
            return whole;
        };
        let tries = (windows.count() * search.shifts.len().pow(2)) as f64;
        let stage = (window, Stage::Window);
        let window = self.judge(views, search, stage, windows.dimension(), looks * tries);
        match window.log10_p < whole.log10_p {
            true => window,
            false => whole,
        }
    }

    /// `tries`: comparisons for each noise and view.
    fn judge(
        &self,
        views: &[View],
        search: &Search,
        (best, stage): (Candidate, Stage),
        dimension: usize,
        tries: f64,
    ) -> Detection {
        let view = &views[best.view];
        let comparisons = self.key.noises() as f64 * views.len() as f64 * tries;
        let ln_p = ln_family_chance(f64::from(best.score), dimension, comparisons).min(0.0);
        Detection {
            matched: ln_p <= search.alpha.ln(),
            index: best.index,
            group: self.key.group_of(best.index),
            marked_group: view.group.0,
            group_distance: view.group.1,
            group_margin: view.group.2,
            cosine: best.score,
            threshold: threshold(search.alpha, dimension, comparisons),
            p_value: ln_p.exp(),
            log10_p: (ln_p / std::f64::consts::LN_10).max(-1e6),
            dimension,
            comparisons,
            stage,
            angle: view.angle,
            scale: view.scale,
        }
    }
}

/// A square part of latents, in places.
impl Region {
    fn dimension(self, shape: Shape) -> usize {
        shape.channels * self.height * self.width
    }

    /// Sets to zero what lies outside.
    fn keep(self, values: &mut [f32], shape: Shape) {
        for (at, value) in values.iter_mut().enumerate() {
            let place = at % shape.plane();
            if !self.holds(place / shape.width, place % shape.width) {
                *value = 0.0;
            }
        }
    }
}
