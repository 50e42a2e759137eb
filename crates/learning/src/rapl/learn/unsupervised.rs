//! Encoders that learn from videos alone: temporal cycles, contrast in time.

use burn::module::Module;

use super::super::encoder::Vision;
use super::super::{Cycle, LearningError, Result, TimeContrast, Timed};
use super::{Fit, Watch, carry, gather, learn, on, split};

/// What trains an encoder without preferences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unsupervised {
    /// Temporal cycle consistency between videos.
    Cycle(Cycle),
    /// Neighbours in time against frames far away.
    Contrast(TimeContrast),
}

/// Trains an encoder on prepared videos without preferences.
///
/// # Errors
/// Fewer than two videos for cycles; otherwise as [`align`].
pub fn fit_unsupervised(
    vision: &mut Vision,
    videos: &[Vec<f32>],
    how: Unsupervised,
    fit: &Fit,
    watch: Watch,
) -> Result<()> {
    let (config, device) = (vision.config.clone(), vision.device.clone().autodiff());
    let frames: Vec<i64> = (0..config.frames as i64).collect();
    let encoder = on(&vision.encoder, &device);
    let encoder = learn(encoder, videos.len(), fit, watch, |model, batch, rng| {
        if batch.len() < 2 && matches!(how, Unsupervised::Cycle(_)) {
            return match videos.len() {
                0 | 1 => Err(LearningError::invalid("cycles need two or more videos")),
                _ => Ok(None),
            };
        }
        let output = model.forward(gather(videos, batch, &config, &device));
        let seen = split(&output, batch.len(), config.out())?;
        let gradient = match how {
            Unsupervised::Cycle(cycle) => {
                let timed: Vec<Timed> = seen
                    .iter()
                    .map(|embeddings| Timed {
                        embeddings,
                        frames: &frames,
                        length: config.frames as i64,
                    })
                    .collect();
                let (_, gradients) = cycle.loss(&timed)?;
                gradients.iter().flat_map(|g| g.values().to_vec()).collect()
            }
            Unsupervised::Contrast(contrast) => seen
                .iter()
                .flat_map(|video| contrast.loss(video, rng).1.values().to_vec())
                .map(|g| g / batch.len() as f64)
                .collect(),
        };
        Ok(Some(carry(output, gradient)))
    })?;
    vision.encoder = encoder.valid();
    Ok(())
}
