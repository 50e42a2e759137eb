//! A model with its tokenizer: what a user, a server or another system calls.

use std::ops::ControlFlow;

use engine::decode::{Beam, BeamConfig, BeamSession, DecodeError, Session, beam_search};
use engine::models::decoder::Decoder;
use engine::text::{ChatInput, Tokenizer};
use engine::weights::hub::{HubSettings, resolve};
use serde_json::json;

use super::{GenerateConfig, Generation, SystemError, TokenStep, generate};

/// A model with its tokenizer.
#[derive(Debug)]
pub struct HarpPipeline {
    /// The model.
    pub decoder: Decoder,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
}

impl HarpPipeline {
    /// The model called `name`: a short name such as `smollm2`, OWNER/NAME in the hub's cache, a directory or a `.gguf` file.
    ///
    /// # Errors
    /// [`SystemError`]: it is not here, broken, of an unknown family, or its tokenizer does not fit.
    pub fn open(name: &str) -> Result<Self, SystemError> {
        let path = resolve(name, &HubSettings::from_environment())?;
        let decoder = Decoder::open(&path)?;
        let tokenizer = Tokenizer::open(&path)?;
        tokenizer.check_rows(decoder.config().vocab)?;
        Ok(Self { decoder, tokenizer })
    }

    /// Tokens of a text to be completed.
    ///
    /// # Errors
    /// [`DecodeError::EmptyPrompt`], and what the tokenizer reports.
    pub fn prompt(&self, text: &str) -> Result<Vec<u32>, SystemError> {
        if text.is_empty() {
            return Err(DecodeError::EmptyPrompt.into());
        }
        Ok(self.tokenizer.encode_prompt(text)?)
    }

    /// Tokens of a question in the model's chat format, after a system message where there is one.
    ///
    /// # Errors
    /// [`DecodeError::EmptyPrompt`], and what the template reports.
    pub fn chat(&self, system: Option<&str>, text: &str) -> Result<Vec<u32>, SystemError> {
        if text.is_empty() {
            return Err(DecodeError::EmptyPrompt.into());
        }
        let message = |role: &str, content: &str| json!({"role": role, "content": content});
        let system = system.map(|text| message("system", text));
        let mut input = ChatInput::new(&[]);
        input.messages = system.into_iter().chain([message("user", text)]).collect();
        Ok(self.tokenizer.chat()?.encode(&self.tokenizer, &input)?)
    }

    /// Tokens that end an answer.
    pub fn end(&self) -> Vec<u32> {
        self.tokenizer.special().end.clone()
    }

    /// [`generate`] with this model.
    ///
    /// # Errors
    /// As [`generate`].
    pub fn generate(
        &self,
        prompts: &[Vec<u32>],
        config: &GenerateConfig,
        listen: &mut dyn FnMut(usize, &TokenStep) -> ControlFlow<()>,
    ) -> Result<Vec<Generation>, SystemError> {
        generate(
            &self.decoder,
            Some(&self.tokenizer),
            prompts,
            config,
            listen,
        )
    }

    /// Beam search with the ordinary model; the best beam and its text. A token that ended the beam is among its ids and not
    /// in its text.
    ///
    /// # Errors
    /// [`DecodeError`]: no prompt, one that is too long, a search without beams.
    pub fn beam(&self, prompt: &[u32], config: &BeamConfig) -> Result<(Beam, String), SystemError> {
        let session = Session::new(&self.decoder);
        let (tokens, room) = (prompt.len(), session.cache.limit());
        if tokens >= room {
            return Err(DecodeError::TooLong { tokens, room }.into());
        }
        let config = BeamConfig {
            max_tokens: config.max_tokens.min(room - tokens),
            ..config.clone()
        };
        let mut model = BeamSession::new(session, prompt);
        let beams = beam_search(&mut model, &config)?;
        let best = beams.into_iter().next();
        let best = best.ok_or(DecodeError::NoToken("the search found no beam"))?;
        let shown = best.ids.len() - usize::from(best.ended);
        let text = self.tokenizer.decode(&best.ids[..shown])?;
        Ok((best, text))
    }
}
