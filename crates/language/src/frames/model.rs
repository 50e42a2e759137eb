//! A language model with what frames need of it.

use std::path::Path;

use base::endpoint::Message;
use engine::models::decoder::{Cache, Decoder, Input, Logits, Request, Segment};
use engine::text::{ChatInput, Tokenizer};
use engine::weights::hub::{HubSettings, resolve};

use engine::SystemError;

/// A decoder with its tokenizer.
#[derive(Debug)]
pub struct FramesModel {
    /// What the user calls it.
    pub name: String,
    /// The network.
    pub decoder: Decoder,
    /// Text to tokens.
    pub tokenizer: Tokenizer,
    /// The padding token, whose vector is zero.
    pub pad: Option<u32>,
}

impl FramesModel {
    /// Opens a model by path or by name. The padding token is `pad`, else the tokenizer's, else the one that ends texts.
    ///
    /// # Errors
    /// [`SystemError::Hub`] where it is not here, with the command that fetches it; broken files; a tokenizer that does not
    /// fit the weights.
    pub fn open(name: &str, pad: Option<u32>) -> Result<Self, SystemError> {
        let path = resolve(name, &HubSettings::from_environment())?;
        Self::read(name, &path, pad)
    }

    /// [`FramesModel::open`] from a path.
    ///
    /// # Errors
    /// As [`FramesModel::open`].
    pub fn read(name: &str, path: &Path, pad: Option<u32>) -> Result<Self, SystemError> {
        let tokenizer = Tokenizer::open(path)?;
        let decoder = Decoder::open(path)?;
        tokenizer.check_rows(decoder.config().vocab)?;
        let special = tokenizer.special();
        let pad = pad.or(special.pad).or(special.eos);
        Ok(Self {
            name: name.to_owned(),
            decoder,
            pad,
            tokenizer,
        })
    }

    /// Tokens of a prompt: as a completion, or as what a user says in a chat.
    ///
    /// # Errors
    /// [`SystemError::Input`] for an empty text, [`SystemError::Text`] where the model has no chat template.
    pub fn prompt(&self, text: &str, chat: bool) -> Result<Vec<u32>, SystemError> {
        if text.is_empty() {
            return Err(SystemError::Input(
                "the text is empty: give at least a word".into(),
            ));
        }
        Ok(match chat {
            false => self.tokenizer.encode_prompt(text)?,
            true => {
                let input = ChatInput::new(&[Message::user(text)]);
                self.tokenizer.chat()?.encode(&self.tokenizer, &input)?
            }
        })
    }

    /// Hidden states after the final norm, `[tokens, width]`.
    ///
    /// # Errors
    /// [`SystemError::Decoder`] for texts longer than the model's context.
    pub fn hidden(&self, ids: &[u32]) -> Result<Vec<f32>, SystemError> {
        let mut cache = Cache::new(self.decoder.config());
        let request = Request {
            logits: Logits::None,
            hidden: true,
            ..Request::default()
        };
        let mut batch = [Segment::new(Input::Ids(ids), &mut cache)];
        let outputs = self.decoder.forward(&mut batch, &request)?;
        Ok(outputs.into_iter().next().unwrap_or_default().hidden)
    }

    /// How a token is written; bytes of a part of a character are replaced.
    pub fn piece(&self, id: u32) -> String {
        String::from_utf8_lossy(self.tokenizer.bytes_of(id).unwrap_or_default()).into_owned()
    }

    /// Tokens that end a text.
    pub fn end(&self) -> Vec<u32> {
        let special = self.tokenizer.special();
        let mut end = special.end.clone();
        end.extend(special.eos);
        end
    }
}
