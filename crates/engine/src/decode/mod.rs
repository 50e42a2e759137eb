//! From logits to text: samplers, beam search, stop strings, grammars, and the loop that puts them together.
//!
//! [`generate`] asks a [`LanguageModel`] for logits, a [`Sampler`] for a token, and gives out whole characters. Same seed,
//! same tokens. A [`Grammar`] leaves only tokens with which the answer still fits a JSON schema, a pattern or a grammar.

mod beam;
mod error;
mod generate;
mod grammar;
mod logits;
mod sampler;
mod schema;
mod session;
mod stop;

pub use beam::{Beam, BeamConfig, BeamModel, LengthPenalty, beam_search};
pub use error::DecodeError;
pub use generate::{GenerateOptions, Generation, LanguageModel, StopReason, TokenTrace, generate};
pub use grammar::{Constraint, Grammar, GrammarKind};
pub use logits::{argmax, entropy_bits, log_probability, softmax, top_log_probabilities};
pub use sampler::{Candidate, Sampler, SamplerConfig};
pub use session::{BeamSession, Session};
pub use stop::StopStrings;

/// Calls `work` with each of `items`, several at once: the choices of the sequences of a batch, of which none depends on
/// another.
pub fn each_at_once<T: Send>(items: &mut [T], work: impl Fn(&mut T) + Send + Sync) {
    use rayon::prelude::*;
    match items.len() {
        0 | 1 => items.iter_mut().for_each(work),
        _ => items.par_iter_mut().for_each(work),
    }
}
