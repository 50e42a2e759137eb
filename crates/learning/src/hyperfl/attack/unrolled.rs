//! The attack on updates of several steps: the local steps are simulated, and differentiated, inside the attack.

use std::ops::Range;

use super::cost::Cost;
use super::observation::{Compared, Guess, Observation};
use crate::error::Result;
use crate::hyperfl::hypernetwork::Step;
use crate::hyperfl::loss::Targets;
use crate::hyperfl::network::Model;
use crate::hyperfl::vector::add_scaled;

/// An update of several steps of SGD from known parameters.
#[derive(Debug)]
pub struct Unrolled<'a, M> {
    /// The client's model.
    pub model: &'a M,
    /// Place of the parameters that are seen.
    pub observed: Range<usize>,
    /// Places of their tensors, counted from the start of `observed`.
    pub tensors: Vec<Range<usize>>,
    /// What they changed by: those after the steps minus those before.
    pub update: &'a [f32],
    /// Numbers of the pictures in the batch of each step.
    pub batches: Vec<Vec<usize>>,
    /// The client's optimiser; clipping is not simulated.
    pub step: Step,
    /// Labels there are.
    pub classes: usize,
    /// Distance.
    pub cost: Cost,
}

impl<M: Model> Unrolled<'_, M> {
    /// Pictures and targets of one step.
    fn batch(&self, guess: &Guess, numbers: &[usize], count: usize) -> (Vec<f32>, Targets) {
        let size = guess.pictures.len() / count.max(1);
        let pictures = numbers
            .iter()
            .flat_map(|&at| guess.pictures[at * size..][..size].iter().copied());
        let targets = match &guess.targets {
            Targets::Labels(labels) => {
                Targets::Labels(numbers.iter().map(|&at| labels[at]).collect())
            }
            Targets::Probabilities(values) => Targets::Probabilities(
                numbers
                    .iter()
                    .flat_map(|&at| values[at * self.classes..][..self.classes].iter().copied())
                    .collect(),
            ),
        };
        (pictures.collect(), targets)
    }

    fn count(&self, guess: &Guess) -> usize {
        match &guess.targets {
            Targets::Labels(labels) => labels.len(),
            Targets::Probabilities(values) => values.len() / self.classes.max(1),
        }
    }

    /// Parameters before each step, and after the last.
    fn run(&self, guess: &Guess) -> Result<Vec<Vec<f32>>> {
        let count = self.count(guess);
        let mut params = guess.params.clone();
        let mut state = vec![0.0; params.len()];
        let mut all = Vec::with_capacity(self.batches.len() + 1);
        for numbers in &self.batches {
            let (x, targets) = self.batch(guess, numbers, count);
            let grad = self.model.gradient(&params, &x, &targets)?.params;
            all.push(params.clone());
            for ((param, state), grad) in params.iter_mut().zip(&mut state).zip(&grad) {
                self.step.apply(param, state, *grad);
            }
        }
        all.push(params);
        Ok(all)
    }

    fn update_of(&self, params: &[Vec<f32>]) -> Vec<f32> {
        let seen = self.observed.clone();
        match (params.first(), params.last()) {
            (Some(first), Some(last)) => last[seen.clone()]
                .iter()
                .zip(&first[seen])
                .map(|(after, before)| after - before)
                .collect(),
            _ => Vec::new(),
        }
    }
}

impl<M: Model> Observation for Unrolled<'_, M> {
    fn compare(&self, guess: &Guess) -> Result<Compared> {
        let count = self.count(guess);
        let size = guess.pictures.len() / count.max(1);
        let params = self.run(guess)?;
        let update = self.update_of(&params);
        let (cost, direction) = self.cost.compare(&self.tensors, &update, self.update);
        let mut compared = Compared {
            cost,
            pictures: vec![0.0; guess.pictures.len()],
            targets: vec![0.0; count * self.classes],
            params: Vec::new(),
        };
        // Adjoints of the parameters and of the momentum, from the last step to the first.
        let mut of_params = vec![0.0; guess.params.len()];
        of_params[self.observed.clone()].copy_from_slice(&direction);
        let mut of_state = vec![0.0; guess.params.len()];
        for (numbers, params) in self.batches.iter().zip(&params).rev() {
            add_scaled(&mut of_state, -self.step.lr, &of_params);
            let (x, targets) = self.batch(guess, numbers, count);
            let second = self.model.second(params, &of_state, &x, &targets)?;
            add_scaled(&mut of_params, self.step.scale, &second.params);
            add_scaled(&mut of_params, self.step.decay, &of_state);
            for (place, &at) in numbers.iter().enumerate() {
                let part = &second.input[place * size..][..size];
                add_scaled(
                    &mut compared.pictures[at * size..][..size],
                    self.step.scale,
                    part,
                );
                let part = &second.targets[place * self.classes..][..self.classes];
                let to = &mut compared.targets[at * self.classes..][..self.classes];
                add_scaled(to, self.step.scale, part);
            }
            for value in &mut of_state {
                *value *= self.step.momentum;
            }
        }
        for (value, direction) in of_params[self.observed.clone()].iter_mut().zip(&direction) {
            *value -= direction;
        }
        compared.params = of_params;
        Ok(compared)
    }

    fn cosine(&self, guess: &Guess) -> Result<f64> {
        let update = self.update_of(&self.run(guess)?);
        Ok(super::cost::cosine(&update, self.update))
    }
}
