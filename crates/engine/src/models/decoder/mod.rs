//! Decoder-only language models: Llama and its relatives, read from hub checkpoints or GGUF files.
//!
//! One implementation for all families; what distinguishes them is in [`DecoderConfig`], which comes from the model's
//! own files. It runs on plain slices through the CPU kernels. Weights stay as they are stored: quantised blocks are
//! repacked once, dense ones are read where the file is mapped.
//!
//! **The same request gives the same answer**: logits of a sequence are equal to the last bit alone or in a batch, from
//! a cached prefix or not, however its tokens are cut into calls, and whatever the number of threads.
//!
//! ```no_run
//! use engine::models::decoder::{Cache, Decoder, Input, Logits, Request, Segment};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = Decoder::open("smollm2.gguf".as_ref())?;
//! let mut cache = Cache::new(model.config());
//! let mut prompt = [Segment::new(Input::Ids(&[1, 2, 3]), &mut cache)];
//! let request = Request { logits: Logits::Last, ..Request::default() };
//! let logits = &model.forward(&mut prompt, &request)?[0].logits;
//! # Ok(())
//! # }
//! ```

mod cache;
mod config;
mod error;
mod experts;
mod forward;
mod gguf_config;
mod hub_config;
mod layers;
mod lora;
mod names;
mod output;
mod prefix;
mod rope;
mod values;
mod weight;

use std::path::Path;
use std::sync::Mutex;

use serde_json::Value;

pub use cache::Cache;
pub use config::{DecoderConfig, Experts, Family, Norm};
pub use error::DecoderError;
pub use kernels::InputBits;
pub use lora::{Adapters, Lora};
pub use output::{Hook, HookAction, Input, Logits, Output, Request, Segment};
pub use prefix::PrefixCache;
pub use rope::{Rope, RopeScaling};
pub use weight::Table;

use crate::weights::{Gguf, Sharded, TensorSource, Weights};
use forward::Scratch;
use layers::Layer;
use names::Names;
use weight::{Loader, Weight};

/// A decoder with its weights. Immutable; threads may share it.
pub struct Decoder {
    config: DecoderConfig,
    embedding: Weight,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// None: logits are products with the embedding table.
    head: Option<Weight>,
    /// Whether any block has quantised weights.
    quantised: bool,
    bits: InputBits,
    /// Working memory of calls that ended.
    scratch: Mutex<Vec<Scratch>>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let DecoderConfig {
            family,
            layers,
            width,
            ..
        } = self.config;
        write!(f, "Decoder({family:?}, {layers} layers of {width})")
    }
}

impl Decoder {
    /// Reads a `.gguf` file, or a directory with `config.json` and `model.safetensors`, whole or in shards.
    ///
    /// # Errors
    /// [`DecoderError`]: no model there, a family that is not supported, broken files, weights that do not fit the config.
    pub fn open(path: &Path) -> Result<Self, DecoderError> {
        let place = |reason: &str| DecoderError::Place {
            path: path.to_owned(),
            reason: reason.into(),
        };
        if path.is_dir() {
            let config = read_config(&path.join("config.json"))?;
            let index = path.join("model.safetensors.index.json");
            let single = path.join("model.safetensors");
            return if index.is_file() {
                Self::from_source(config, &Sharded::open(&index)?)
            } else if single.is_file() {
                Self::from_source(config, &Weights::open(&single)?)
            } else {
                Err(place("there is neither `model.safetensors` nor its index"))
            };
        }
        if !path.is_file() {
            return Err(place("it does not exist"));
        }
        if path.extension().is_none_or(|ext| ext != "gguf") {
            return Err(place("it is no .gguf file"));
        }
        Self::from_gguf(&Gguf::open(path)?)
    }

    /// Reads an open GGUF file.
    ///
    /// # Errors
    /// As [`Decoder::open`].
    pub fn from_gguf(file: &Gguf) -> Result<Self, DecoderError> {
        let config = DecoderConfig::from_gguf(file)?;
        Self::load(config, file, true)
    }

    /// With inputs of quantised weights rounded to so many bits: eight when it is read. Sixteen give the logits of products that
    /// round nothing to about 0.001, for 1.5 to 2 times the time.
    pub fn with_input_bits(mut self, bits: InputBits) -> Self {
        self.bits = bits;
        self
    }

    /// Reads tensors under the names that the family has on hubs. All tensors of the source must belong to the model
    /// ([`crate::weights::Within`] leaves others out).
    ///
    /// # Errors
    /// [`DecoderError::Weights`]; one error lists all names that are missing, extra or misshapen.
    pub fn from_source(
        config: DecoderConfig,
        source: &dyn TensorSource,
    ) -> Result<Self, DecoderError> {
        config.check().map_err(DecoderError::Config)?;
        Self::load(config, source, false)
    }

    fn load(
        config: DecoderConfig,
        source: &dyn TensorSource,
        gguf: bool,
    ) -> Result<Self, DecoderError> {
        let names = Names::new(&config, gguf);
        let mut loader = Loader::new(source);
        let table = [config.vocab, config.width];
        let embedding = loader.matrix(&names.embedding(), &table, None)?;
        let layers = (0..config.layers)
            .map(|layer| Layer::load(&mut loader, &config, &names, layer))
            .collect::<Result<Vec<_>, _>>()?;
        let norm = loader.vector(&names.norm(), &[config.width])?;
        let head = match config.tied {
            true => None,
            false => Some(loader.matrix(&names.head(), &table, None)?),
        };
        loader.finish(&names)?;
        let quantised = layers.iter().any(Layer::quantised);
        Ok(Self {
            quantised,
            bits: InputBits::Eight,
            config,
            embedding,
            layers,
            norm,
            head,
            scratch: Mutex::default(),
        })
    }

    /// Sizes and switches.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Rows of the embedding table `[tokens, width]`, before any scale.
    ///
    /// # Errors
    /// [`DecoderError::Token`].
    pub fn embed(&self, ids: &[u32]) -> Result<Vec<f32>, DecoderError> {
        self.check_ids(ids)?;
        let mut rows = vec![0.0; ids.len() * self.config.width];
        for (row, id) in rows.chunks_exact_mut(self.config.width).zip(ids) {
            self.embedding.row(*id as usize, row);
        }
        Ok(rows)
    }

    /// The embedding table, `[vocab, width]`.
    pub fn embedding(&self) -> Table<'_> {
        Table(&self.embedding)
    }

    /// The table whose products with the last hidden state are the logits, before any scale, `[vocab, width]`.
    pub fn unembedding(&self) -> Table<'_> {
        Table(self.head.as_ref().unwrap_or(&self.embedding))
    }

    fn check_ids(&self, ids: &[u32]) -> Result<(), DecoderError> {
        let vocab = self.config.vocab;
        match ids.iter().find(|id| **id as usize >= vocab) {
            Some(&token) => Err(DecoderError::Token { token, vocab }),
            None => Ok(()),
        }
    }
}

/// Reads `config.json`; a larger model's may keep the decoder's in `text_config`.
fn read_config(path: &Path) -> Result<DecoderConfig, DecoderError> {
    let place = |reason: String| DecoderError::Place {
        path: path.to_owned(),
        reason,
    };
    let bytes = base::files::read(path).map_err(|error| place(error.to_string()))?;
    let json: Value = serde_json::from_slice(&bytes)
        .map_err(|error| place(format!("it is not JSON ({error})")))?;
    DecoderConfig::from_config_json(&json)
}
