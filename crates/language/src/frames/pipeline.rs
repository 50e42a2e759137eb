//! From a name to a frame: concepts of a file, of WordNet, and of word lists, for one model.

use std::cell::OnceCell;
use std::collections::HashMap;

use super::concept_file::{ConceptDb, unknown};
use super::concepts::{ConceptTokens, TokenVectors, WordOptions, combine, concept_frame, tokenise};
use super::frame::Frame;
use super::making::ConceptOptions;
use super::model::FramesModel;
use super::probe::summed;
use super::whitening::Whitening;
use super::words::{ConceptWords, word_list};
use engine::SystemError;

/// Concepts of one model by name.
#[derive(Debug)]
pub struct Concepts<'a> {
    model: &'a FramesModel,
    options: &'a ConceptOptions,
    file: Option<ConceptDb>,
    words: OnceCell<HashMap<String, ConceptWords>>,
    whitening: OnceCell<Whitening>,
}

impl<'a> Concepts<'a> {
    /// Opens what `options` name.
    ///
    /// # Errors
    /// A file that is broken or belongs to another model.
    pub fn open(model: &'a FramesModel, options: &'a ConceptOptions) -> Result<Self, SystemError> {
        let file = options.file.as_deref().map(ConceptDb::open).transpose()?;
        if let (Some(file), Some(path)) = (&file, &options.file) {
            let here = options.info(model);
            if file.width() != model.decoder.config().width
                || file.info().unembedding != here.unembedding
            {
                return Err(SystemError::Input(format!(
                    "`{}` was made for the model `{}`, not for `{}`: make one with `orrery frames build --model {}`",
                    path.display(),
                    file.info().model,
                    model.name,
                    model.name
                )));
            }
        }
        Ok(Self {
            model,
            options,
            file,
            words: OnceCell::new(),
            whitening: OnceCell::new(),
        })
    }

    /// The file, if one was named.
    pub fn file(&self) -> Option<&ConceptDb> {
        self.file.as_ref()
    }

    /// Columns of every frame.
    pub fn columns(&self) -> usize {
        self.file
            .as_ref()
            .map_or(self.options.words.max_tokens, |file| file.info().columns)
    }

    /// The frame that `text` names: a synset (`woman.n.01`), a difference (`woman.n.01-man.n.01`: from the second to the
    /// first) or a word list (`@FILE`).
    ///
    /// # Errors
    /// [`SystemError::Input`] for unknown names, with the nearest one.
    pub fn frame(&self, text: &str) -> Result<Frame, SystemError> {
        match difference(text) {
            Some((towards, away)) => self.direction(towards, Some(away)),
            None => self.single(text),
        }
    }

    /// The frame of `towards`, less that of `away` where there is one.
    ///
    /// # Errors
    /// As [`Concepts::frame`].
    pub fn direction(&self, towards: &str, away: Option<&str>) -> Result<Frame, SystemError> {
        let towards = self.frame(towards)?;
        match away {
            None => Ok(towards),
            Some(away) => Ok(combine(
                &towards,
                &self.frame(away)?,
                self.options.degenerate,
            )),
        }
    }

    fn single(&self, name: &str) -> Result<Frame, SystemError> {
        if let Some(path) = name.strip_prefix('@') {
            return self.of_words(&word_list(path.as_ref())?, 1);
        }
        if let Some(file) = &self.file {
            return file.concept(name);
        }
        let words = match self.words.get() {
            Some(words) => words,
            None => {
                let all = self.options.concept_words()?;
                let named = all
                    .into_iter()
                    .map(|concept| (concept.name.clone(), concept));
                self.words.get_or_init(|| named.collect())
            }
        };
        match words.get(name) {
            Some(concept) => self.of_words(concept, self.options.words.min_words),
            None => Err(unknown(name, words.keys().map(String::as_str))),
        }
    }

    /// The frame of words of one's own.
    ///
    /// # Errors
    /// [`SystemError::Input`] for fewer than `min_words` words that the vocabulary can write.
    pub fn of_words(&self, words: &ConceptWords, min_words: usize) -> Result<Frame, SystemError> {
        let columns = self.columns();
        let options = WordOptions {
            max_tokens: columns,
            min_words,
            ..self.options.words.clone()
        };
        let tokens = tokenise(std::slice::from_ref(words), &self.model.tokenizer, &options)?;
        let Some(ConceptTokens { words: tokens, .. }) = tokens.first() else {
            return Err(SystemError::Input(format!(
                "`{}` has fewer than {min_words} words of up to {columns} tokens: lower `--min-lemmas` or raise `--max-tokens`",
                words.name
            )));
        };
        let whitening = match self.whitening.get() {
            Some(whitening) => whitening,
            None => {
                let whitening = self.options.whitening(self.model)?;
                self.whitening.get_or_init(|| whitening)
            }
        };
        let some = SomeTokens::new(self.model, whitening, tokens)?;
        Ok(concept_frame(
            &some,
            tokens,
            columns,
            self.options.degenerate,
        ))
    }

    /// The `count` concepts of the file that a text expresses most: their numbers and cumulative probes, the largest first.
    ///
    /// # Errors
    /// [`SystemError::Input`] without a file, [`SystemError::Decoder`] for a text that is too long.
    pub fn top(&self, ids: &[u32], count: usize) -> Result<Vec<(usize, f64)>, SystemError> {
        let file = self.file.as_ref().ok_or_else(|| {
            SystemError::Input(
                "all concepts are looked through in a file: make one with `orrery frames build`, and give `--concepts FILE`".into(),
            )
        })?;
        let hidden = self.model.hidden(ids)?;
        let totals = file.totals(&summed(&hidden, file.width(), self.columns()));
        let mut order: Vec<usize> = (0..totals.len())
            .filter(|at| !totals[*at].is_nan())
            .collect();
        order.sort_by(|a, b| totals[*b].total_cmp(&totals[*a]));
        order.truncate(count);
        Ok(order.into_iter().map(|at| (at, totals[at])).collect())
    }
}

/// `A-B` where both are names of synsets, whose lemmas may have hyphens.
fn difference(text: &str) -> Option<(&str, &str)> {
    let synset = |name: &str| {
        let mut parts = name.rsplitn(3, '.');
        let (sense, kind) = (parts.next(), parts.next());
        let number =
            sense.is_some_and(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit()));
        number && matches!(kind, Some("n" | "v" | "a" | "s" | "r")) && parts.next().is_some()
    };
    let hyphens = text
        .match_indices('-')
        .map(|(at, _)| (&text[..at], &text[at + 1..]));
    hyphens.into_iter().find(|(a, b)| synset(a) && synset(b))
}

/// Vectors of a few tokens.
struct SomeTokens {
    rows: HashMap<u32, usize>,
    values: Vec<f32>,
    zero: Vec<f32>,
}

impl SomeTokens {
    fn new(
        model: &FramesModel,
        whitening: &Whitening,
        words: &[Vec<u32>],
    ) -> Result<Self, SystemError> {
        let mut tokens: Vec<u32> = words.iter().flatten().copied().collect();
        tokens.sort_unstable();
        tokens.dedup();
        Ok(Self {
            values: whitening.vectors(&model.decoder.unembedding(), &tokens)?,
            rows: tokens.into_iter().zip(0..).collect(),
            zero: vec![0.0; whitening.width()],
        })
    }
}

impl TokenVectors for SomeTokens {
    fn width(&self) -> usize {
        self.zero.len()
    }

    fn vector(&self, token: u32) -> &[f32] {
        let width = self.width();
        let row = self
            .rows
            .get(&token)
            .map(|row| &self.values[row * width..][..width]);
        row.unwrap_or(&self.zero)
    }
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn hyphens_within_names_do_not_split_them() {
        assert_eq!(
            difference("woman.n.01-man.n.01"),
            Some(("woman.n.01", "man.n.01"))
        );
        assert_eq!(difference("mother-in-law.n.01"), None);
        assert_eq!(
            difference("mother-in-law.n.01-by-law.n.02"),
            Some(("mother-in-law.n.01", "by-law.n.02"))
        );
        assert_eq!(difference("safe.n.01-"), None);
    }
}
