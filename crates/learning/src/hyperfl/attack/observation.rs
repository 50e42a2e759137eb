//! What was seen of a client, and how guesses compare with it.

use std::ops::Range;

use super::cost::Cost;
use crate::error::Result;
use crate::hyperfl::loss::Targets;
use crate::hyperfl::network::Model;

/// What an attacker varies.
#[derive(Clone, Debug, PartialEq)]
pub struct Guess {
    /// Pictures `[count, channels, rows, columns]`.
    pub pictures: Vec<f32>,
    /// Labels.
    pub targets: Targets,
    /// All parameters of the model; those that are known stay as they are.
    pub params: Vec<f32>,
}

/// Distance of a guess from what was seen, and its derivatives.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// The distance.
    pub cost: f64,
    /// By the pictures.
    pub pictures: Vec<f32>,
    /// By the target probabilities, `[count, classes]`.
    pub targets: Vec<f32>,
    /// By the parameters.
    pub params: Vec<f32>,
}

/// Something that a client sent.
pub trait Observation: Sync {
    /// Compares a guess with it.
    ///
    /// # Errors
    /// Where lengths do not fit the model.
    fn compare(&self, guess: &Guess) -> Result<Compared>;

    /// Cosine between what the guess would have sent and what was seen.
    ///
    /// # Errors
    /// As [`Observation::compare`].
    fn cosine(&self, guess: &Guess) -> Result<f64>;
}

/// The gradient of one step, or an update read as one.
#[derive(Debug)]
pub struct SingleGradient<'a, M> {
    /// The client's model.
    pub model: &'a M,
    /// Place of the parameters whose gradient is seen.
    pub observed: Range<usize>,
    /// Places of their tensors, counted from the start of `observed`.
    pub tensors: Vec<Range<usize>>,
    /// The gradient seen.
    pub gradient: &'a [f32],
    /// Distance.
    pub cost: Cost,
}

impl<M: Model> Observation for SingleGradient<'_, M> {
    fn compare(&self, guess: &Guess) -> Result<Compared> {
        let first = self
            .model
            .gradient(&guess.params, &guess.pictures, &guess.targets)?;
        let seen = &first.params[self.observed.clone()];
        let (cost, direction) = self.cost.compare(&self.tensors, seen, self.gradient);
        let mut moved = vec![0.0; guess.params.len()];
        moved[self.observed.clone()].copy_from_slice(&direction);
        let second = self
            .model
            .second(&guess.params, &moved, &guess.pictures, &guess.targets)?;
        Ok(Compared {
            cost,
            pictures: second.input,
            targets: second.targets,
            params: second.params,
        })
    }

    fn cosine(&self, guess: &Guess) -> Result<f64> {
        let first = self
            .model
            .gradient(&guess.params, &guess.pictures, &guess.targets)?;
        let seen = &first.params[self.observed.clone()];
        Ok(super::cost::cosine(seen, self.gradient))
    }
}
