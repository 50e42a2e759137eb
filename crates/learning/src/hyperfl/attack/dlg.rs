//! Deep leakage from gradients: L-BFGS on pictures and soft labels.

use std::collections::VecDeque;

use super::invert::Reconstruction;
use super::observation::{Guess, Observation};
use crate::error::Result;
use crate::hyperfl::loss::{Targets, log_softmax};
use crate::hyperfl::vector::{add_scaled, dot64};

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DlgConfig {
    /// Steps of L-BFGS.
    pub iterations: usize,
    /// Earlier steps that shape the next one.
    pub history: usize,
    /// Labels there are.
    pub classes: usize,
}

/// Varies the pictures and the labels of `start`, whose targets are taken as logits of probabilities, until what they would
/// have sent is what was seen. A step is halved until the distance falls.
///
/// # Errors
/// Where lengths do not fit the model; what `watch` says.
pub fn dlg(
    observation: &dyn Observation,
    start: Guess,
    config: &DlgConfig,
    watch: &mut dyn FnMut(usize, &Guess) -> Result<()>,
) -> Result<Reconstruction> {
    let pixels = start.pictures.len();
    let Targets::Probabilities(logits) = &start.targets else {
        return Err(crate::hyperfl::LearningError::invalid(
            "this attack finds labels by itself: start it from probabilities",
        ));
    };
    let mut point = start.pictures.clone();
    point.extend(logits);
    let guess_at = |point: &[f32]| Guess {
        pictures: point[..pixels].to_vec(),
        targets: Targets::Probabilities(softmax(&point[pixels..], config.classes)),
        params: start.params.clone(),
    };
    let value = |point: &[f32]| -> Result<(f64, Vec<f32>)> {
        let guess = guess_at(point);
        let compared = observation.compare(&guess)?;
        let mut grad = compared.pictures;
        if let Targets::Probabilities(chances) = &guess.targets {
            let rows = chances.chunks_exact(config.classes);
            for (p, g) in rows.zip(compared.targets.chunks_exact(config.classes)) {
                let mean: f32 = p.iter().zip(g).map(|(p, g)| p * g).sum();
                grad.extend(p.iter().zip(g).map(|(p, g)| p * (g - mean)));
            }
        }
        Ok((compared.cost, grad))
    };
    let (mut cost, mut grad) = value(&point)?;
    let mut history: VecDeque<(Vec<f32>, Vec<f32>, f64)> = VecDeque::new();
    let mut trace = Vec::new();
    for at in 0..config.iterations {
        trace.push(cost);
        let mut direction = descent(&grad, &history);
        if dot64(&direction, &grad) >= 0.0 {
            history.clear();
            direction = grad.iter().map(|g| -g).collect();
        }
        let slope = dot64(&direction, &grad);
        let size = dot64(&grad, &grad).sqrt();
        let mut length = if history.is_empty() {
            (1.0 / size).min(1.0)
        } else {
            1.0
        };
        let mut next = None;
        for _ in 0..20 {
            let mut moved = point.clone();
            add_scaled(&mut moved, length as f32, &direction);
            let (there, there_grad) = value(&moved)?;
            if there.is_finite() && there <= cost + 1e-4 * length * slope {
                next = Some((moved, there, there_grad));
                break;
            }
            length /= 2.0;
        }
        let Some((moved, there, there_grad)) = next else {
            if history.is_empty() {
                break;
            }
            history.clear();
            continue;
        };
        let minus =
            |a: &[f32], b: &[f32]| -> Vec<f32> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
        let (s, y) = (minus(&moved, &point), minus(&there_grad, &grad));
        let curvature = dot64(&s, &y);
        if curvature > 1e-12 * dot64(&y, &y).max(1e-30) {
            history.push_back((s, y, 1.0 / curvature));
            if history.len() > config.history {
                history.pop_front();
            }
        }
        (point, cost, grad) = (moved, there, there_grad);
        watch(at, &guess_at(&point))?;
    }
    let guess = guess_at(&point);
    let cosine = observation.cosine(&guess)?;
    Ok(Reconstruction {
        guess,
        trace,
        cosine,
    })
}

/// The two-loop recursion: minus the inverse Hessian's estimate times the gradient.
fn descent(grad: &[f32], history: &VecDeque<(Vec<f32>, Vec<f32>, f64)>) -> Vec<f32> {
    let mut q: Vec<f32> = grad.to_vec();
    let mut factors = Vec::with_capacity(history.len());
    for (s, y, rho) in history.iter().rev() {
        let factor = rho * dot64(s, &q);
        add_scaled(&mut q, -factor as f32, y);
        factors.push(factor);
    }
    if let Some((_, y, rho)) = history.back() {
        let scale = (1.0 / (rho * dot64(y, y))) as f32;
        q.iter_mut().for_each(|value| *value *= scale);
    }
    for ((s, y, rho), factor) in history.iter().zip(factors.iter().rev()) {
        let back = rho * dot64(y, &q);
        add_scaled(&mut q, (factor - back) as f32, s);
    }
    q.iter_mut().for_each(|value| *value = -*value);
    q
}

fn softmax(logits: &[f32], classes: usize) -> Vec<f32> {
    let rows = logits.chunks_exact(classes.max(1));
    rows.flat_map(|row| log_softmax(row).into_iter().map(f32::exp))
        .collect()
}
