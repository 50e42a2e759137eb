//! Ranks of words by their number of tokens.

use rayon::prelude::*;

use super::concepts::{TokenVectors, WordOptions, word_frame, written};
use super::linalg::relative_rank;
use super::model::FramesModel;
use super::words::ConceptWords;
use engine::SystemError;

/// Words of one token count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RankCount {
    /// Tokens of a word.
    pub tokens: usize,
    /// Words.
    pub words: usize,
    /// Those whose frame has full rank.
    pub full: usize,
}

/// How many words have frames of full rank, by number of tokens up to `longest`: each text counts once.
///
/// # Errors
/// [`SystemError`].
pub fn rank_counts(
    model: &FramesModel,
    vectors: &dyn TokenVectors,
    concepts: &[ConceptWords],
    options: &WordOptions,
    longest: usize,
) -> Result<Vec<RankCount>, SystemError> {
    let lemmas = concepts.iter().flat_map(|concept| &concept.lemmas);
    let mut texts: Vec<String> = lemmas
        .flat_map(|lemma| written(std::slice::from_ref(lemma), &options.variants))
        .collect();
    texts.sort_unstable();
    texts.dedup();
    let ranks: Result<Vec<(usize, bool)>, SystemError> = texts
        .par_iter()
        .map(|text| {
            let tokens = model.tokenizer.encode(text)?;
            let few = (1..=longest).contains(&tokens.len());
            let full = few && relative_rank(&word_frame(vectors, &tokens, tokens.len())) == 1.0;
            Ok((if few { tokens.len() } else { 0 }, full))
        })
        .collect();
    let mut counts: Vec<RankCount> = (0..=longest)
        .map(|tokens| RankCount {
            tokens,
            ..RankCount::default()
        })
        .collect();
    for (tokens, full) in ranks? {
        counts[tokens].words += 1;
        counts[tokens].full += usize::from(full);
    }
    // Number 0 took those that are too long.
    counts.remove(0);
    Ok(counts)
}
