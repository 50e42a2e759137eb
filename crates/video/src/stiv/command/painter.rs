//! Clips that begin with a drawn picture.

use base::media::{Clip, MediaError};

use crate::stiv::studio::{EachStep, Order, Studio};

/// What draws the first frames of clips.
pub struct Painter {
    /// The picture model.
    pub studio: Studio,
    /// The subject that it draws.
    pub code: String,
}

/// Clips whose first frames the picture model draws: what text alone says of a subject is told better by the model that
/// saw it in every style, and the clip model then only moves it; of a subject that it does not know it is told nothing.
///
/// # Errors
/// When a network's output is no picture (damaged weights).
pub fn from_pictures(
    studio: &Studio,
    painter: &Studio,
    code: &str,
    order: &Order,
    each_step: EachStep,
) -> Result<Vec<Clip>, MediaError> {
    let steps = order.sample.steps;
    let total = 2 * order.count * steps;
    let mut clips = Vec::new();
    for i in 0..order.count {
        let done = 2 * i * steps;
        let mut step = |from: usize, at: usize| each_step(done + from + at, total);
        let one = Order {
            count: 1,
            seed: order.seed.wrapping_add(i as u64),
            ..order.clone()
        };
        let first = painter.pictures(&one, &mut |at, _| step(0, at))?;
        let prompt = match studio.tower.codes.iter().any(|known| known == code) {
            true => one.prompt.clone(),
            false => String::new(),
        };
        let moving = Order {
            prompt,
            // A style other than the real clips' is known to the clip model from stills alone.
            style: None,
            ..one
        };
        let known: Vec<_> = first.into_iter().map(|picture| (0, picture)).collect();
        clips.extend(studio.clips(&moving, &known, &mut |at, _| step(steps, at))?);
    }
    Ok(clips)
}
