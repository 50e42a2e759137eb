//! Text to tokens and back.

use std::path::Path;

use super::added::{AddedTokens, Control};
use super::bytes::TokenBytes;
use super::clip;
use super::folder;
use super::hub;
use super::sentencepiece;
use super::spm::Spm;
use super::stream::Utf8Stream;
use super::template::ChatTemplate;
use super::{GgufVocabulary, TextError};

/// Tokens with a role of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Begin of a text.
    pub bos: Option<u32>,
    /// End of a text.
    pub eos: Option<u32>,
    /// Stands for what the vocabulary cannot write.
    pub unk: Option<u32>,
    /// Fills up batches.
    pub pad: Option<u32>,
    /// Each of these ends an answer.
    pub end: Vec<u32>,
}

/// How text between added tokens becomes tokens.
pub(super) enum Model {
    /// A pipeline of the `tokenizers` crate.
    Hub(Box<tokenizers::Tokenizer>),
    /// SentencePiece's BPE.
    Spm(Spm),
}

/// A model's tokenizer. Immutable; any number of threads may use it.
pub struct Tokenizer {
    pub(super) origin: String,
    pub(super) model: Model,
    pub(super) added: AddedTokens,
    pub(super) bytes: TokenBytes,
    pub(super) special: SpecialTokens,
    /// What stands before a plain text, and after it.
    pub(super) around: (Vec<u32>, Vec<u32>),
    /// The first token's leading space is no part of the text.
    pub(super) strip_first_space: bool,
    pub(super) template: Option<ChatTemplate>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("origin", &self.origin)
            .field("tokens", &self.len())
            .field("special", &self.special)
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// The tokenizer in the folder `path` (`tokenizer.json`, else `tokenizer.model`, else CLIP's
    /// `vocab.json` and `merges.txt`) with its chat template and special
    /// tokens from `tokenizer_config.json`, `chat_template.jinja` and `generation_config.json`; or a single file of one of
    /// the two kinds, or a GGUF file, which has it all.
    ///
    /// # Errors
    /// [`TextError`] when there is none or it is not whole.
    pub fn open(path: &Path) -> Result<Self, TextError> {
        folder::open(path)
    }

    /// The tokenizer in the bytes of a `tokenizer.json`; `origin` names it in errors.
    ///
    /// # Errors
    /// [`TextError::Malformed`].
    pub fn from_json(bytes: &[u8], origin: &str) -> Result<Self, TextError> {
        hub::from_json(bytes, origin)
    }

    /// CLIP's tokenizer in the bytes of a `vocab.json` and a `merges.txt`; `origin` names them in errors.
    ///
    /// # Errors
    /// [`TextError::Malformed`].
    pub fn from_clip(vocabulary: &[u8], merges: &[u8], origin: &str) -> Result<Self, TextError> {
        hub::from_json(&clip::as_json(vocabulary, merges, origin)?, origin)
    }

    /// The tokenizer in the bytes of a SentencePiece `tokenizer.model`; `origin` names it in errors.
    ///
    /// # Errors
    /// [`TextError::Malformed`].
    pub fn from_sentencepiece(bytes: &[u8], origin: &str) -> Result<Self, TextError> {
        sentencepiece::read(bytes, origin)
    }

    /// The tokenizer that a GGUF file describes.
    ///
    /// # Errors
    /// [`TextError::Malformed`], also for kinds of vocabulary that are not known.
    pub fn from_gguf(vocabulary: &GgufVocabulary) -> Result<Self, TextError> {
        vocabulary.tokenizer()
    }

    /// Where it was read from.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Tokens of the vocabulary, added ones included: ids are below this.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the vocabulary is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens with a role of their own.
    pub fn special(&self) -> &SpecialTokens {
        &self.special
    }

    /// What stands before and after a plain text, such as the token that begins one. Not for chat templates, which say it
    /// themselves.
    pub fn around(&self) -> (&[u32], &[u32]) {
        (&self.around.0, &self.around.1)
    }

    /// The tokens of `text`, all of which is text: what looks like a control token is spelled out. Nothing is put before
    /// or after it. An empty text has no tokens.
    ///
    /// # Errors
    /// [`TextError::Encode`] when the vocabulary cannot write the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TextError> {
        self.encode_controlled(text, Control::Never)
    }

    /// The tokens of template text: control tokens that are written in it are control tokens. Never for what a user wrote.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_with_special(&self, text: &str) -> Result<Vec<u32>, TextError> {
        self.encode_controlled(text, Control::Parse)
    }

    /// [`Tokenizer::encode`] between what stands [around](Tokenizer::around) a text: the prompt of a model that completes.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>, TextError> {
        let mut ids = self.around.0.clone();
        ids.extend(self.encode(text)?);
        ids.extend(&self.around.1);
        Ok(ids)
    }

    pub(super) fn encode_controlled(
        &self,
        text: &str,
        control: Control<'_>,
    ) -> Result<Vec<u32>, TextError> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let ids = match &self.model {
            Model::Hub(model) => hub::encode(model, &self.added, text, control)?,
            Model::Spm(model) => model.encode(&self.added, text, control)?,
        };
        match ids.iter().find(|&&id| id as usize >= self.len()) {
            Some(&id) => Err(self.unknown(id)),
            None => Ok(ids),
        }
    }

    /// The text of `ids`; special tokens are left out. Bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// [`TextError::UnknownId`].
    pub fn decode(&self, ids: &[u32]) -> Result<String, TextError> {
        let mut bytes = Vec::new();
        for &id in ids {
            if !self.is_special(id) {
                bytes.extend_from_slice(self.bytes_of(id).ok_or_else(|| self.unknown(id))?);
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        Ok(match text.strip_prefix(' ') {
            Some(rest) if self.strip_first_space => rest.to_owned(),
            _ => text.into_owned(),
        })
    }

    /// A stream that makes text of tokens as they come.
    pub fn stream(&self) -> TextStream<'_> {
        TextStream {
            tokenizer: self,
            state: TextState::default(),
        }
    }

    /// The bytes that token `id` stands for, those of its marker for an added token; `None` for an unknown id.
    pub fn bytes_of(&self, id: u32) -> Option<&[u8]> {
        self.bytes.get(id)
    }

    /// The added token that is written `text`, such as `<|im_end|>`.
    pub fn added_id(&self, text: &str) -> Option<u32> {
        let mut added = self.added.iter();
        added.find(|it| it.token.content == text).map(|it| it.id)
    }

    /// The token that the vocabulary spells `piece`, such as `!` or `<|endoftext|>`.
    pub fn piece_id(&self, piece: &str) -> Option<u32> {
        let plain = match &self.model {
            Model::Hub(model) => model.token_to_id(piece),
            Model::Spm(_) => None,
        };
        plain.or_else(|| self.added_id(piece))
    }

    /// Whether `id` is a special token: it steers, and is no part of a decoded text.
    pub fn is_special(&self, id: u32) -> bool {
        self.added.is_special(id)
    }

    /// The control tokens, by id, and how they are written.
    pub fn control_tokens(&self) -> impl Iterator<Item = (u32, &str)> {
        let control = self.added.iter().filter(|it| it.control);
        control.map(|it| (it.id, it.token.content.as_str()))
    }

    /// The model's chat template.
    ///
    /// # Errors
    /// [`TextError::NoTemplate`].
    pub fn chat(&self) -> Result<&ChatTemplate, TextError> {
        self.template.as_ref().ok_or_else(|| TextError::NoTemplate {
            origin: self.origin.clone(),
        })
    }

    /// Puts `source` in the place of the model's chat template.
    ///
    /// # Errors
    /// [`TextError::Template`] when it is malformed.
    pub fn set_chat_template(&mut self, source: &str) -> Result<(), TextError> {
        let written = |id: Option<u32>| {
            let bytes = id.and_then(|id| self.bytes_of(id)).unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        };
        let template = ChatTemplate::new(
            source,
            &written(self.special.bos),
            &written(self.special.eos),
        )?;
        self.added.protect(source);
        self.template = Some(template);
        Ok(())
    }

    /// Checks that the vocabulary fits an embedding table of `rows` rows, which may have some to spare.
    ///
    /// # Errors
    /// [`TextError::WrongVocabulary`].
    pub fn check_rows(&self, rows: usize) -> Result<(), TextError> {
        let spare = rows.saturating_sub(self.len());
        // Tables are padded to a multiple of a few hundred; a different model's differs by more.
        match self.len() <= rows && spare <= 1024.max(rows / 8) {
            true => Ok(()),
            false => Err(TextError::WrongVocabulary {
                origin: self.origin.clone(),
                tokens: self.len(),
                rows,
            }),
        }
    }

    pub(super) fn unknown(&self, id: u32) -> TextError {
        TextError::UnknownId {
            id,
            size: self.len(),
        }
    }
}

/// Text of a tokenizer, token by token: only whole characters come out.
#[derive(Debug)]
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    state: TextState,
}

impl TextStream<'_> {
    /// The characters that token `id` completes; nothing for a special token.
    ///
    /// # Errors
    /// [`TextError::UnknownId`].
    pub fn push(&mut self, id: u32) -> Result<String, TextError> {
        self.state.push(self.tokenizer, id)
    }

    /// What is left at the end: U+FFFD where a character was begun.
    pub fn finish(&mut self) -> String {
        self.state.finish()
    }
}

/// The state of a [`TextStream`], for whoever keeps many and hands the tokenizer in.
#[derive(Clone, Debug, Default)]
pub struct TextState {
    utf8: Utf8Stream,
    begun: bool,
}

impl TextState {
    /// As [`TextStream::push`].
    ///
    /// # Errors
    /// [`TextError::UnknownId`].
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Result<String, TextError> {
        let bytes = tokenizer.bytes_of(id);
        let mut bytes = bytes.ok_or_else(|| tokenizer.unknown(id))?;
        if tokenizer.is_special(id) {
            return Ok(String::new());
        }
        if !self.begun && tokenizer.strip_first_space {
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        self.begun = true;
        Ok(self.utf8.push(bytes))
    }

    /// As [`TextStream::finish`].
    pub fn finish(&mut self) -> String {
        self.utf8.finish()
    }
}
