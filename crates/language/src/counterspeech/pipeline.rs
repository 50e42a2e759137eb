//! A model with its adapters: what a user, a server or another system calls.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use base::command::{Context, Failure};
use base::rng::Rng;
use engine::decode::{GenerateOptions, Sampler, SamplerConfig, Session, StopReason, generate};
use engine::models::decoder::{Cache, Decoder, Input, Logits, Lora, Request, Segment};
use engine::text::Tokenizer;
use engine::weights::hub::{HubSettings, resolve};
use serde::{Deserialize, Serialize};

use super::chat::{conversation, open_tokenizer};
use super::grid::BASELINE;
use super::refusal::{clean, is_refusal};
use super::store::fingerprint;
use super::{Prompt, SystemError};

/// Tokens of a summary of a user.
const SUMMARY: usize = 120;
/// Tokens of a text whose embedding is taken.
const EMBEDDED: usize = 512;

/// How replies are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drawing {
    /// Temperature; 0 takes the most probable token.
    pub temperature: f32,
    /// Nucleus.
    pub top_p: f32,
    /// Tokens at most.
    pub max_tokens: usize,
}

impl Default for Drawing {
    /// Temperature 0.7, nucleus 0.9, 160 tokens (ours; the paper's are not known).
    fn default() -> Self {
        Self {
            temperature: 0.7,
            top_p: 0.9,
            max_tokens: 160,
        }
    }
}

/// One reply. Machine text: nothing here posts it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reply {
    /// Without lead-in and quotation marks.
    pub text: String,
    /// Whether the model refused; then the text is not a reply.
    pub refused: bool,
    /// Generated tokens.
    pub tokens: usize,
    /// How long it took.
    pub seconds: f64,
}

/// An adapter that is loaded.
struct Adapter {
    lora: Arc<Lora>,
    sha: String,
}

/// A chat model with any number of adapters, of which each request names one.
pub struct Replier {
    /// The model.
    pub decoder: Decoder,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    name: String,
    sha: String,
    adapters: BTreeMap<String, Adapter>,
}

impl std::fmt::Debug for Replier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let adapters: Vec<&String> = self.adapters.keys().collect();
        write!(f, "Replier({}, adapters {adapters:?})", self.name)
    }
}

impl Replier {
    /// The model called `name` (a short name such as `smollm2`, OWNER/NAME in the hub's cache, a directory or a `.gguf` file)
    /// with adapters by their names.
    ///
    /// # Errors
    /// [`SystemError`]: it is not here, broken, or an adapter does not fit it.
    pub fn open(name: &str, adapters: &[(String, PathBuf)]) -> Result<Self, SystemError> {
        let path = resolve(name, &HubSettings::from_environment())?;
        let decoder = Decoder::open(&path)?;
        let tokenizer = open_tokenizer(&path, decoder.config().vocab)?;
        let mut replier = Self {
            sha: fingerprint(&path)?,
            name: name.to_owned(),
            decoder,
            tokenizer,
            adapters: BTreeMap::new(),
        };
        for (name, path) in adapters {
            replier.add(name, path)?;
        }
        Ok(replier)
    }

    /// Loads one more adapter; it is applied unmerged, so that weights stay as they are stored.
    ///
    /// # Errors
    /// [`SystemError`]: it does not fit, or its name is taken.
    pub fn add(&mut self, name: &str, path: &Path) -> Result<(), SystemError> {
        if name == BASELINE || self.adapters.contains_key(name) {
            return Err(SystemError::Input(format!(
                "two models are called `{name}`: give each adapter a name of its own, NAME=DIR"
            )));
        }
        let adapter = Adapter {
            lora: Arc::new(Lora::open(path, self.decoder.config())?),
            sha: fingerprint(path)?,
        };
        self.adapters.insert(name.to_owned(), adapter);
        Ok(())
    }

    /// What the model was called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A fingerprint of the model's files.
    pub fn sha(&self) -> &str {
        &self.sha
    }

    /// Names of the adapters.
    pub fn adapters(&self) -> impl Iterator<Item = &str> {
        self.adapters.keys().map(String::as_str)
    }

    /// Whether the grid's model `name` is loaded.
    pub fn has(&self, name: &str) -> bool {
        name == BASELINE || self.adapters.contains_key(name)
    }

    /// A fingerprint of an adapter; none for the baseline.
    pub fn adapter_sha(&self, name: &str) -> Option<&str> {
        self.adapters.get(name).map(|it| it.sha.as_str())
    }

    fn adapter(&self, name: &str) -> Result<Vec<(Arc<Lora>, f32)>, SystemError> {
        if name == BASELINE {
            return Ok(Vec::new());
        }
        match self.adapters.get(name) {
            Some(adapter) => Ok(vec![(adapter.lora.clone(), 1.0)]),
            None => Err(SystemError::Input(format!(
                "no adapter is called `{name}`: load it with `--adapter {name}=DIR`, or leave `--use` out"
            ))),
        }
    }

    /// Writes a reply with the adapter `model` ([`BASELINE`]: none).
    ///
    /// # Errors
    /// [`SystemError`]: no such adapter, a prompt that is too long, Ctrl-C.
    pub fn reply(
        &self,
        prompt: &Prompt,
        message: &str,
        model: &str,
        drawing: &Drawing,
        rng: Rng,
        context: Context,
    ) -> Result<Reply, Failure> {
        let begun = Instant::now();
        let (text, tokens) = self.ask(
            Some(&prompt.system),
            &prompt.user,
            model,
            drawing,
            rng,
            context,
        )?;
        let text = clean(&text);
        Ok(Reply {
            refused: is_refusal(&text, message),
            text,
            tokens,
            seconds: begun.elapsed().as_secs_f64(),
        })
    }

    /// The plain model's summary of a user, most probable tokens.
    ///
    /// # Errors
    /// As [`Replier::reply`].
    pub fn summarise(&self, request: &str, context: Context) -> Result<String, Failure> {
        let greedy = Drawing {
            temperature: 0.0,
            top_p: 1.0,
            max_tokens: SUMMARY,
        };
        let (text, _) = self.ask(None, request, BASELINE, &greedy, Rng::new(0), context)?;
        Ok(clean(&text))
    }

    fn ask(
        &self,
        system: Option<&str>,
        user: &str,
        model: &str,
        drawing: &Drawing,
        rng: Rng,
        context: Context,
    ) -> Result<(String, usize), Failure> {
        let input = conversation(system.unwrap_or_default(), user);
        let prompt = self.tokenizer.chat()?.encode(&self.tokenizer, &input)?;
        let adapters = self.adapter(model)?;
        let mut session = Session::new(&self.decoder).with_adapters(&adapters);
        let config = SamplerConfig {
            temperature: drawing.temperature,
            top_p: drawing.top_p,
            ..SamplerConfig::default()
        };
        let mut sampler = Sampler::new(config, rng)?;
        let options = GenerateOptions {
            max_tokens: drawing.max_tokens,
            end: self.tokenizer.special().end.clone(),
            ..GenerateOptions::default()
        };
        let made = generate(
            &mut session,
            &self.tokenizer,
            &prompt,
            &mut sampler,
            options,
            &mut |_| match context.stopped() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            },
        )?;
        match made.reason {
            StopReason::Cancelled => Err(Failure::interrupted(
                "stopped; the same command goes on from here",
            )),
            _ => Ok((made.text, made.ids.len())),
        }
    }

    /// The embedding of a text `[width]`: the mean of the plain model's hidden states after the final norm, without the first
    /// position, which attends to itself alone and is the same for most texts. The first 512 tokens are read. None for a text
    /// of fewer than two tokens.
    ///
    /// # Errors
    /// [`SystemError`].
    pub fn embed(&self, text: &str) -> Result<Option<Vec<f64>>, SystemError> {
        let mut ids = self.tokenizer.encode_prompt(text)?;
        ids.truncate(EMBEDDED.min(self.decoder.config().max_positions));
        if ids.len() < 2 {
            return Ok(None);
        }
        let mut cache = Cache::new(self.decoder.config());
        let request = Request {
            logits: Logits::None,
            hidden: true,
            ..Request::default()
        };
        let mut batch = [Segment::new(Input::Ids(&ids), &mut cache)];
        let outputs = self.decoder.forward(&mut batch, &request)?;
        let width = self.decoder.config().width;
        let hidden = outputs.into_iter().next().unwrap_or_default().hidden;
        let mut mean = vec![0.0; width];
        for row in hidden.chunks_exact(width).skip(1) {
            mean.iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += f64::from(*value));
        }
        mean.iter_mut()
            .for_each(|sum| *sum /= (ids.len() - 1) as f64);
        Ok(Some(mean))
    }
}
