//! Concept frames: what the words of a concept have in common.

use rayon::prelude::*;

use engine::text::Tokenizer;

use super::frame::Frame;
use super::linalg::{Degenerate, procrustes};
use super::words::{ConceptWords, Variant};
use engine::SystemError;

/// Which words make a concept.
#[derive(Clone, Debug)]
pub struct WordOptions {
    /// Words of more tokens are left out; also the columns of a frame. The paper's is 3.
    pub max_tokens: usize,
    /// Concepts of fewer words, ways of writing counted, are left out. The paper takes 3 to 11.
    pub min_words: usize,
    /// How lemmas are written.
    pub variants: Vec<Variant>,
}

impl Default for WordOptions {
    fn default() -> Self {
        Self {
            max_tokens: 3,
            min_words: 3,
            variants: Variant::ALL.to_vec(),
        }
    }
}

/// A concept as the tokens of its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConceptTokens {
    /// Its name.
    pub name: String,
    /// Its words, each `max_tokens` at most.
    pub words: Vec<Vec<u32>>,
}

/// Tokens of all words; concepts of too few words are gone.
///
/// # Errors
/// [`SystemError::Text`] for a word that the vocabulary cannot write.
pub fn tokenise(
    concepts: &[ConceptWords],
    tokenizer: &Tokenizer,
    options: &WordOptions,
) -> Result<Vec<ConceptTokens>, SystemError> {
    let all: Result<Vec<ConceptTokens>, SystemError> = concepts
        .par_iter()
        .map(|concept| {
            let mut words = Vec::new();
            for text in written(&concept.lemmas, &options.variants) {
                let tokens = tokenizer.encode(&text)?;
                if (1..=options.max_tokens).contains(&tokens.len()) {
                    words.push(tokens);
                }
            }
            Ok(ConceptTokens {
                name: concept.name.clone(),
                words,
            })
        })
        .collect();
    let mut all = all?;
    all.retain(|concept| concept.words.len() >= options.min_words.max(1));
    Ok(all)
}

/// Every way of writing every lemma, each once.
pub fn written(lemmas: &[String], variants: &[Variant]) -> Vec<String> {
    let mut texts: Vec<String> = Vec::with_capacity(lemmas.len() * variants.len());
    for text in lemmas
        .iter()
        .flat_map(|lemma| variants.iter().map(|it| it.write(lemma)))
    {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}

/// Vectors of tokens.
pub trait TokenVectors: Sync {
    /// Values of a vector.
    fn width(&self) -> usize;
    /// The vector of `token`; zeros for an unknown one.
    fn vector(&self, token: u32) -> &[f32];
}

/// Vectors of the whole vocabulary, `[vocab, width]`.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// All values.
    pub values: Vec<f32>,
    /// Values of a vector.
    pub width: usize,
}

impl TokenVectors for Vocabulary {
    fn width(&self) -> usize {
        self.width
    }

    fn vector(&self, token: u32) -> &[f32] {
        &self.values[token as usize * self.width..][..self.width]
    }
}

/// The frame of a word: a column a token, zeros up to `columns`.
pub fn word_frame(vectors: &dyn TokenVectors, tokens: &[u32], columns: usize) -> Frame {
    let mut frame = Frame::zeros(vectors.width(), columns);
    add_word(&mut frame, vectors, tokens);
    frame
}

fn add_word(sum: &mut Frame, vectors: &dyn TokenVectors, tokens: &[u32]) {
    let columns = sum.columns();
    for (column, token) in tokens.iter().take(columns).enumerate() {
        let vector = vectors.vector(*token);
        for (sum, x) in sum.column_mut(column).iter_mut().zip(vector) {
            *sum += x;
        }
    }
}

/// The frame of a concept: the Procrustes mean of the frames of its words.
pub fn concept_frame(
    vectors: &dyn TokenVectors,
    words: &[Vec<u32>],
    columns: usize,
    degenerate: Degenerate,
) -> Frame {
    let mut sum = Frame::zeros(vectors.width(), columns);
    for tokens in words {
        add_word(&mut sum, vectors, tokens);
    }
    procrustes(&sum, degenerate)
}

/// The direction from concept `a` to concept `b`: the orthogonal factor of `B − A`.
pub fn combine(b: &Frame, a: &Frame, degenerate: Degenerate) -> Frame {
    procrustes(&b.minus(a), degenerate)
}
