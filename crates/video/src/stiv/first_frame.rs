//! Clips that begin with a drawn image.

use base::media::{Clip, MediaError};

use super::generation_params::GivenFrame;
use super::pipeline::{EachStep, SampleRequest, StivPipeline};

/// Clips whose first frames `images` draws: what text alone says of a subject is better known to the model that saw it in
/// every style, and the clip model then only moves it; of a subject (by its code) that it does not know it gets no condition.
///
/// # Errors
/// When a network's output is not an image (damaged weights).
pub fn clips(
    pipeline: &StivPipeline,
    images: &StivPipeline,
    code: &str,
    request: &SampleRequest,
    each_step: EachStep,
) -> Result<Vec<Clip>, MediaError> {
    let steps = request.config.steps;
    let total = 2 * request.count * steps;
    let taught = pipeline.tower.codes.iter().any(|known| known == code);
    let mut clips = Vec::new();
    for i in 0..request.count {
        let done = 2 * i * steps;
        let mut step = |from: usize, at: usize| each_step(done + from + at, total);
        let one = SampleRequest {
            count: 1,
            seed: request.seed.wrapping_add(i as u64),
            given: &[],
            ..*request
        };
        let drawn = images.samples(&one, &mut |at, _| step(0, at))?;
        let first = drawn.iter().flat_map(|image| image.frames.first());
        let given: Vec<GivenFrame> = first.map(GivenFrame::first).collect();
        let moving = SampleRequest {
            prompt: if taught { one.prompt } else { "" },
            // A style other than the real clips' is known to the clip model from stills alone.
            style: None,
            given: &given,
            ..one
        };
        clips.extend(pipeline.samples(&moving, &mut |at, _| step(steps, at))?);
    }
    Ok(clips)
}
