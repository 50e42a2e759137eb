//! Many answers at once from one model.

use base::rng::Rng;
use engine::decode::{Sampler, SamplerConfig};
use engine::models::decoder::{Cache, Decoder, Input, Request, Segment};

use super::SystemError;

/// Sequences that go through the model together.
const TOGETHER: usize = 64;

/// `count` answers to each of `prompts`, one prompt's after the other, of at most `longest` tokens; a token of `end` ends one
/// and is its last. Answers of a prompt share what the model makes of it. Each draws from a generator of its own.
///
/// # Errors
/// [`SystemError::Decoder`] for prompts that do not fit the model; wrong sampler settings.
pub fn answers(
    decoder: &Decoder,
    prompts: &[Vec<u32>],
    (count, longest): (usize, usize),
    (config, end): (&SamplerConfig, &[u32]),
    rng: &Rng,
) -> Result<Vec<Vec<u32>>, SystemError> {
    let mut all = Vec::with_capacity(prompts.len() * count);
    let each = (TOGETHER / count.max(1)).max(1);
    for (group, prompts) in prompts.chunks(each).enumerate() {
        let mut open = Vec::new();
        for (at, prompt) in prompts.iter().enumerate() {
            let mut cache = Cache::new(decoder.config());
            let segment = Segment::new(Input::Ids(prompt), &mut cache);
            let logits = decoder
                .forward(&mut [segment], &Request::default())?
                .remove(0)
                .logits;
            for sample in 0..count {
                let number = ((group * each + at) * count + sample) as u64;
                open.push(Open {
                    cache: cache.fork(),
                    sampler: Sampler::new(config.clone(), rng.item(number))?,
                    logits: logits.clone(),
                    ids: Vec::new(),
                    done: longest == 0,
                });
            }
        }
        while open.iter().any(|it| !it.done) {
            for it in open.iter_mut().filter(|it| !it.done) {
                let id = it.sampler.next(&it.logits, &it.ids)?;
                it.ids.push(id);
                let full = it.cache.len() + 1 >= it.cache.limit();
                it.done = end.contains(&id) || it.ids.len() >= longest || full;
            }
            let last: Vec<[u32; 1]> = open
                .iter()
                .map(|it| [it.ids.last().copied().unwrap_or_default()])
                .collect();
            let mut segments: Vec<Segment<'_>> = open
                .iter_mut()
                .zip(&last)
                .filter(|(it, _)| !it.done)
                .map(|(it, id)| Segment::new(Input::Ids(id), &mut it.cache))
                .collect();
            if segments.is_empty() {
                break;
            }
            let outputs = decoder.forward(&mut segments, &Request::default())?;
            let waiting = open.iter_mut().filter(|it| !it.done);
            waiting
                .zip(outputs)
                .for_each(|(it, output)| it.logits = output.logits);
        }
        all.extend(open.into_iter().map(|it| it.ids));
    }
    Ok(all)
}

/// An answer that grows.
struct Open {
    cache: Cache,
    sampler: Sampler,
    logits: Vec<f32>,
    ids: Vec<u32>,
    done: bool,
}
