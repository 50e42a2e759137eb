//! One step: the ordinary pass, the test for hesitation, the second look, the mean (paper, algorithm 1).

use base::rng::Rng;
use engine::decode::{DecodeError, LanguageModel, argmax, entropy_bits, softmax};
use engine::models::decoder::{Cache, Decoder, Input, Logits, Request, Segment};

use super::{HarpConfig, MaskLife, Metric, SystemError, Uniforms, reframe};

/// A sequence between two steps.
pub struct Sequence {
    ids: Vec<u32>,
    /// Of the ordinary pass.
    cache: Cache,
    /// Of the second looks, where their masks persist.
    reframed: Vec<Cache>,
    uniforms: Box<dyn Uniforms>,
}

impl Sequence {
    /// An empty sequence whose second looks draw from `uniforms`.
    pub fn new(decoder: &Decoder, uniforms: Box<dyn Uniforms>) -> Self {
        Self {
            ids: Vec::new(),
            cache: Cache::new(decoder.config()),
            reframed: Vec::new(),
            uniforms,
        }
    }

    /// An empty sequence whose draws depend on `seed` alone, whatever else is in the batch.
    pub fn seeded(decoder: &Decoder, seed: u64) -> Self {
        Self::new(decoder, Box::new(Rng::new(seed).child("reframe")))
    }

    /// A sequence that goes on from `ids`, of which `cache` holds keys and values: a prefix that was computed before.
    ///
    /// # Errors
    /// [`SystemError`] where the cache does not hold exactly them.
    pub fn resume(
        cache: Cache,
        ids: Vec<u32>,
        uniforms: Box<dyn Uniforms>,
    ) -> Result<Self, SystemError> {
        if cache.len() != ids.len() {
            return Err(DecodeError::NoToken("the cache holds other tokens").into());
        }
        Ok(Self {
            ids,
            cache,
            reframed: Vec::new(),
            uniforms,
        })
    }

    /// All tokens so far.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// How many more tokens it takes.
    pub fn room(&self) -> usize {
        self.cache.limit() - self.cache.len()
    }

    /// Embeddings of a second look and the cache that they go on from.
    fn second_look(
        &mut self,
        decoder: &Decoder,
        config: &HarpConfig,
        number: usize,
    ) -> Result<(Vec<f32>, Cache), SystemError> {
        let limit = self.cache.limit();
        let fresh = || Cache::with_limit(decoder.config(), limit);
        let len = self.ids.len();
        // Positions from `from` on are read again, those from `first` on through reframed embeddings.
        let (from, first, cache) = match (config.mask, config.window) {
            (MaskLife::Persistent, _) => {
                if self.reframed.len() <= number {
                    self.reframed.push(fresh());
                }
                let cache = std::mem::replace(&mut self.reframed[number], fresh());
                (cache.len(), cache.len(), cache)
            }
            (MaskLife::Fresh, Some(window)) if window < len => {
                let first = len - window;
                let mut cache = self.cache.fork();
                // A sliding window may have dropped what is needed: then all of it is read again.
                match cache.can_truncate(first) {
                    true => {
                        cache.truncate(first)?;
                        (first, first, cache)
                    }
                    false => (0, first, fresh()),
                }
            }
            _ => (0, 0, fresh()),
        };
        let mut embeddings = decoder.embed(&self.ids[from..])?;
        let perturbed = &mut embeddings[(first - from) * decoder.config().width..];
        reframe(perturbed, config, self.uniforms.as_mut())?;
        Ok((embeddings, cache))
    }
}

/// What a step gave for one sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct HarpStep {
    /// Logits `[vocabulary]` to go on with: the ordinary ones, or the mean where the model hesitated.
    pub logits: Vec<f32>,
    /// Entropy of the ordinary next-token distribution, in bits.
    pub entropy: f32,
    /// Whether the model hesitated, and looked twice.
    pub hesitates: bool,
    /// The best token of the ordinary logits.
    pub vanilla: u32,
}

/// Entropy of the next-token distribution of `logits` `[vocabulary]`, in bits.
///
/// # Errors
/// [`DecodeError::NoToken`] for logits that are not finite.
pub fn entropy_of(logits: &[f32]) -> Result<f32, DecodeError> {
    Ok(entropy_bits(&softmax(logits)?))
}

/// Whether a model with these next-token `probabilities` and their `entropy` hesitates. Both comparisons are strict.
pub fn hesitates(config: &HarpConfig, probabilities: &[f32], entropy: f32) -> bool {
    match config.metric {
        Metric::Entropy => entropy > config.theta,
        Metric::Top2Ratio => {
            let best = probabilities
                .iter()
                .fold([0.0f32; 2], |[a, b], &p| match p {
                    p if p > a => [p, a],
                    p => [a, b.max(p)],
                });
            best[1] > config.theta * best[0]
        }
        Metric::Always => true,
        Metric::Never => false,
    }
}

/// Goes on with every sequence by its new tokens, at least one each. The ordinary pass of all of them is one batch; so is
/// the second look of those that hesitate.
///
/// A sequence's logits are the same to the last bit alone and in any batch.
///
/// # Errors
/// [`SystemError`]: settings out of range, tokens that do not fit the model, recorded draws that end.
pub fn harp_step(
    decoder: &Decoder,
    batch: &mut [(&mut Sequence, &[u32])],
    config: &HarpConfig,
) -> Result<Vec<HarpStep>, SystemError> {
    config.check()?;
    let last = Request {
        logits: Logits::Last,
        ..Request::default()
    };
    let segments = batch.iter_mut();
    let segments = segments.map(|(row, ids)| Segment::new(Input::Ids(ids), &mut row.cache));
    let outputs = decoder.forward(&mut segments.collect::<Vec<_>>(), &last)?;
    let mut steps = Vec::with_capacity(batch.len());
    for ((row, ids), output) in batch.iter_mut().zip(outputs) {
        row.ids.extend_from_slice(ids);
        let logits = output.logits;
        let probabilities = softmax(&logits)?;
        let entropy = entropy_bits(&probabilities);
        steps.push(HarpStep {
            hesitates: hesitates(config, &probabilities, entropy),
            vanilla: argmax(&logits).unwrap_or_default(),
            entropy,
            logits,
        });
    }
    let mut sums: Vec<Vec<f32>> = vec![Vec::new(); steps.len()];
    for number in 0..config.steps {
        let mut looks = Vec::new();
        for (at, (row, _)) in batch.iter_mut().enumerate() {
            if steps[at].hesitates {
                looks.push((at, row.second_look(decoder, config, number)?));
            }
        }
        if looks.is_empty() {
            break;
        }
        let segments = looks.iter_mut();
        let segments = segments.map(|(_, (e, cache))| Segment::new(Input::Embeddings(e), cache));
        let outputs = decoder.forward(&mut segments.collect::<Vec<_>>(), &last)?;
        for ((at, (_, cache)), output) in looks.into_iter().zip(outputs) {
            if config.mask == MaskLife::Persistent {
                batch[at].0.reframed[number] = cache;
            }
            let sum = &mut sums[at];
            sum.resize(output.logits.len(), 0.0);
            sum.iter_mut()
                .zip(&output.logits)
                .for_each(|(s, z)| *s += z);
        }
    }
    for (step, sum) in steps.iter_mut().zip(&sums) {
        mix(&mut step.logits, sum, config);
    }
    Ok(steps)
}

/// `β · z + (1 − β) · mean of z'`; `sum` holds the sum over the second looks, and nothing where there was none.
fn mix(logits: &mut [f32], sum: &[f32], config: &HarpConfig) {
    let share = (1.0 - config.beta) / config.steps as f32;
    for (z, reframed) in logits.iter_mut().zip(sum) {
        *z = config.beta * *z + share * reframed;
    }
}

/// A sequence as the engine's own loops ask for it: [`engine::decode::generate`] with grammars and penalties then runs on
/// HARP.
pub struct HarpSession<'a> {
    decoder: &'a Decoder,
    config: HarpConfig,
    sequence: Sequence,
}

impl<'a> HarpSession<'a> {
    /// An empty sequence.
    pub fn new(decoder: &'a Decoder, config: HarpConfig) -> Self {
        let sequence = Sequence::seeded(decoder, config.seed);
        Self {
            decoder,
            config,
            sequence,
        }
    }
}

impl LanguageModel for HarpSession<'_> {
    fn feed(&mut self, ids: &[u32]) -> Result<Vec<f32>, DecodeError> {
        let steps = harp_step(self.decoder, &mut [(&mut self.sequence, ids)], &self.config);
        let steps = steps.map_err(|error| match error {
            SystemError::Decode(error) => error,
            error => DecodeError::model(error),
        })?;
        let first = steps.into_iter().next();
        Ok(first.map(|step| step.logits).unwrap_or_default())
    }

    fn room(&self) -> usize {
        self.sequence.room()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hesitation_needs_more_than_theta() {
        let mut config = HarpConfig::default();
        assert!(!hesitates(&config, &[0.5, 0.5], 1.0));
        assert!(hesitates(&config, &[0.5, 0.5], 1.0001));
        config.metric = Metric::Top2Ratio;
        config.theta = 0.5;
        assert!(!hesitates(&config, &[0.25, 0.5, 0.25], 9.0));
        assert!(hesitates(&config, &[0.3, 0.4, 0.3], 0.0));
        config.metric = Metric::Never;
        assert!(!hesitates(&config, &[0.5, 0.5], 9.0));
    }

    #[test]
    fn beta_is_the_weight_of_the_ordinary_logits() {
        let config = HarpConfig {
            beta: 0.75,
            steps: 2,
            ..HarpConfig::default()
        };
        let mut logits = [4.0, 8.0];
        mix(&mut logits, &[8.0, 0.0], &config);
        assert_eq!(logits, [4.0, 6.0]);
        mix(&mut logits, &[], &config);
        assert_eq!(logits, [4.0, 6.0]);
    }
}
