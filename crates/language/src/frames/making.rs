//! Making all concepts of a model: from WordNet's files to a file of frames.

use std::path::{Path, PathBuf};

use super::concept_file::{ConceptDb, ConceptInfo};
use super::concepts::{Vocabulary, WordOptions, tokenise};
use super::linalg::Degenerate;
use super::model::FramesModel;
use super::unembedding::sample_fingerprint;
use super::whitening::{Offset, Whitening, WhiteningOptions};
use super::wordnet::{self, PartOfSpeech};
use super::words::{ConceptWords, Multilingual};
use engine::SystemError;

/// Where concepts come from and how they are made.
#[derive(Clone, Debug, Default)]
pub struct ConceptOptions {
    /// A file of [`ConceptDb::build`]; what else is here then serves word lists only.
    pub file: Option<PathBuf>,
    /// A directory with WordNet's files; none: where Debian has them.
    pub wordnet: Option<PathBuf>,
    /// Tab files of the Open Multilingual Wordnet, `FILE` or `LANGUAGE=FILE`.
    pub omw: Vec<String>,
    /// Languages of the words.
    pub languages: Vec<String>,
    /// Parts of speech; empty: all.
    pub parts: Vec<PartOfSpeech>,
    /// Which words.
    pub words: WordOptions,
    /// What vectors are measured from.
    pub offset: Offset,
    /// Whether vectors get unit length.
    pub unit: bool,
    /// Whether mean and covariance leave control tokens out.
    pub skip_special: bool,
    /// What becomes of missing directions.
    pub degenerate: Degenerate,
}

/// Where Debian's `wordnet-base` has its files.
const USUAL: &str = "/usr/share/wordnet";

impl ConceptOptions {
    /// All concepts, as words.
    ///
    /// # Errors
    /// [`SystemError::Input`] where WordNet or a tab file is absent or malformed.
    pub fn concept_words(&self) -> Result<Vec<ConceptWords>, SystemError> {
        let parts = match self.parts.is_empty() {
            true => &PartOfSpeech::ALL[..],
            false => &self.parts,
        };
        let folder = self.wordnet.as_deref().unwrap_or(Path::new(USUAL));
        let synsets = wordnet::read(folder, parts)?;
        let mut others = Multilingual::default();
        for file in &self.omw {
            match file.split_once('=') {
                Some((language, file)) => others.read(file.as_ref(), Some(language))?,
                None => others.read(file.as_ref(), None)?,
            }
        }
        Ok(others.concepts(&synsets, &self.languages))
    }

    /// The whitened space of a model.
    ///
    /// # Errors
    /// As [`Whitening::from_unembedding`].
    pub fn whitening(&self, model: &FramesModel) -> Result<Whitening, SystemError> {
        let control = model.tokenizer.control_tokens().map(|(id, _)| id);
        let options = WhiteningOptions {
            pad: model.pad,
            offset: self.offset,
            unit: self.unit,
            skip: if self.skip_special {
                control.collect()
            } else {
                Vec::new()
            },
            cache: cache_folder(),
        };
        Whitening::from_unembedding(&model.decoder.unembedding(), &options)
    }

    /// Vectors of a model's whole vocabulary.
    ///
    /// # Errors
    /// As [`Whitening::from_unembedding`].
    pub fn vocabulary(&self, model: &FramesModel) -> Result<Vocabulary, SystemError> {
        let whitening = self.whitening(model)?;
        Ok(Vocabulary {
            values: whitening.all(&model.decoder.unembedding())?,
            width: whitening.width(),
        })
    }

    /// What a file of these concepts says of itself.
    pub fn info(&self, model: &FramesModel) -> ConceptInfo {
        ConceptInfo {
            model: model.name.clone(),
            unembedding: format!("{:016x}", sample_fingerprint(&model.decoder.unembedding())),
            columns: self.words.max_tokens,
            offset: self.offset.name().to_owned(),
            unit: self.unit,
            complete: self.degenerate == Degenerate::Complete,
            languages: self.languages.clone(),
        }
    }

    /// Builds a file of all concepts; gives how many there are. `listen` hears how many of how many are done and may stop it.
    ///
    /// # Errors
    /// [`SystemError`] of every kind.
    pub fn build(
        &self,
        model: &FramesModel,
        out: &Path,
        listen: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<usize, SystemError> {
        let words = self.concept_words()?;
        let concepts = tokenise(&words, &model.tokenizer, &self.words)?;
        let vectors = self.vocabulary(model)?;
        let count = concepts.len();
        ConceptDb::build(out, &concepts, &vectors, &self.info(model), &mut |done| {
            listen(done, count)
        })?;
        Ok(count)
    }
}

/// `orrery` below the user's cache directory.
fn cache_folder() -> Option<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|it| !it.is_empty())
            .map(PathBuf::from)
    };
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("orrery").join("frames"))
}
