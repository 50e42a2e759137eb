//! Teacher-forced scoring of a given text: what each arm would have guessed at each position.
//!
//! Attention is causal: one mask over a whole text gives every prefix a valid reframed input. Two passes score all positions,
//! for any threshold and weight afterwards.

use engine::decode::{DecodeError, argmax, entropy_bits, softmax};
use engine::models::decoder::{Cache, Decoder, Input, Logits, Request, Segment};

use super::{HarpConfig, SystemError, Uniforms, reframe};

/// Tokens whose logits are held at once.
const CHUNK: usize = 32;

/// What one arm said of one position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guess {
    /// Whether its best token was the right one.
    pub hit: bool,
    /// `−ln p` of the right one, in nats.
    pub loss: f64,
}

/// One position of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// Entropy of the ordinary next-token distribution, in bits.
    pub entropy: f32,
    /// The ordinary model.
    pub vanilla: Guess,
    /// The mean with reframed logits, `[deltas · betas]`, betas fastest.
    pub mixed: Vec<Guess>,
}

/// Scores `ids[from..]`, each given all tokens before it, with dropout at each of `deltas` and weights `betas`. All deltas
/// share their draws. `from` is at least 1.
///
/// # Errors
/// [`SystemError`] for texts that do not fit the model and for draws that end.
pub fn score(
    decoder: &Decoder,
    ids: &[u32],
    from: usize,
    deltas: &[f32],
    betas: &[f32],
    uniforms: &mut dyn Uniforms,
) -> Result<Vec<Position>, SystemError> {
    let width = decoder.config().width;
    let inputs = ids.len().saturating_sub(1);
    let room = Cache::new(decoder.config()).limit();
    if inputs > room {
        return Err(DecodeError::TooLong {
            tokens: inputs,
            room,
        }
        .into());
    }
    let mut draws = vec![0.0; inputs * width];
    uniforms.fill(&mut draws)?;
    let mut caches: Vec<Cache> = (0..=deltas.len())
        .map(|_| Cache::new(decoder.config()))
        .collect();
    let all = Request {
        logits: Logits::All,
        ..Request::default()
    };
    let mut positions = Vec::with_capacity(inputs);
    for start in (0..inputs).step_by(CHUNK) {
        let end = inputs.min(start + CHUNK);
        let tokens = &ids[start..end];
        let embeddings = decoder.embed(tokens)?;
        let draws = &draws[start * width..end * width];
        let reframed = deltas.iter().map(|&delta| {
            let mut embeddings = embeddings.clone();
            let config = HarpConfig {
                delta,
                ..HarpConfig::default()
            };
            reframe(&mut embeddings, &config, &mut Replay(draws))?;
            Ok(embeddings)
        });
        let reframed = reframed.collect::<Result<Vec<Vec<f32>>, SystemError>>()?;
        let inputs = [Input::Ids(tokens)].into_iter();
        let inputs = inputs.chain(reframed.iter().map(|e| Input::Embeddings(e)));
        let segments = inputs
            .zip(&mut caches)
            .map(|(input, cache)| Segment::new(input, cache));
        let outputs = decoder.forward(&mut segments.collect::<Vec<_>>(), &all)?;
        let vocab = decoder.config().vocab;
        for at in (start..end).filter(|at| at + 1 >= from) {
            let row = |arm: usize| &outputs[arm].logits[(at - start) * vocab..][..vocab];
            let target = ids[at + 1];
            let mut mixed = Vec::with_capacity(deltas.len() * betas.len());
            for arm in 1..=deltas.len() {
                for beta in betas {
                    let pairs = row(0).iter().zip(row(arm));
                    let mean: Vec<f32> = pairs.map(|(z, r)| beta * z + (1.0 - beta) * r).collect();
                    mixed.push(guess(&mean, &softmax(&mean)?, target));
                }
            }
            let probabilities = softmax(row(0))?;
            positions.push(Position {
                entropy: entropy_bits(&probabilities),
                vanilla: guess(row(0), &probabilities, target),
                mixed,
            });
        }
    }
    Ok(positions)
}

fn guess(logits: &[f32], probabilities: &[f32], target: u32) -> Guess {
    let p = probabilities.get(target as usize).copied().unwrap_or(0.0);
    Guess {
        hit: argmax(logits) == Some(target),
        loss: -f64::from(p.max(f32::MIN_POSITIVE)).ln(),
    }
}

/// The same draws again.
struct Replay<'a>(&'a [f32]);

impl Uniforms for Replay<'_> {
    fn fill(&mut self, out: &mut [f32]) -> Result<(), SystemError> {
        out.copy_from_slice(self.0);
        Ok(())
    }
}
