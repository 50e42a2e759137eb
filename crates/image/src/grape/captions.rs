//! Captions of PixEdit: what T5 makes of instructions. The encoder is large and needed once for an instruction, so it is let go of
//! after each use, and captions are kept: in memory, and in files where a folder is given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base::hash::{FNV_START, fnv1a};
use base::rng::Rng;
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::models::stable_diffusion::{part_config, part_weights};
use engine::models::t5_encoder::{self, T5EncoderConfig};
use engine::nn::WeightKind;
use engine::text::Tokenizer;
use engine::weights::{Loading, Precision, ReadTensor, TensorFile, Weights, load_with};

use super::SystemError;
use super::pixedit::{Caption, TOKENS};

/// Ends a text, where the tokenizer does not say.
const END: u32 = 1;

/// See the module.
#[derive(Debug)]
pub struct Captions {
    /// Folder with `text_encoder` and `tokenizer`.
    base: PathBuf,
    /// Where captions are kept.
    kept: Option<PathBuf>,
    known: BTreeMap<String, Caption>,
    device: Device,
}

impl Captions {
    /// Of the T5 in the diffusers folder `base`, which is not opened yet; kept in the folder `kept`.
    pub fn new(base: &Path, kept: Option<&Path>, device: &Device) -> Self {
        Self {
            base: base.to_owned(),
            kept: kept.map(Path::to_owned),
            known: BTreeMap::new(),
            device: device.clone(),
        }
    }

    /// The caption of `text`.
    ///
    /// # Errors
    /// As [`Captions::prepare`].
    pub fn get(&mut self, text: &str) -> Result<Caption, SystemError> {
        self.prepare(&[text.to_owned()])?;
        let known = self.known.get(text).cloned();
        known.ok_or_else(|| SystemError::Failed("a caption is missing".into()))
    }

    /// Makes the captions of `texts` that are not known yet, all with one opening of the encoder.
    ///
    /// # Errors
    /// [`SystemError`]: the encoder cannot be read, a file cannot be written.
    pub fn prepare(&mut self, texts: &[String]) -> Result<(), SystemError> {
        let mut missing = Vec::new();
        for text in texts {
            if self.known.contains_key(text) {
                continue;
            }
            match self.read(text) {
                Some(caption) => drop(self.known.insert(text.clone(), caption)),
                None => missing.push(text),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let place = self.base.join("text_encoder");
        let config: T5EncoderConfig = part_config(&place.join("config.json"))?;
        let weights = part_weights(&place)?;
        let tokenizer = tokenizer(&self.base.join("tokenizer"))?;
        tokenizer.check_rows(config.vocab_size)?;
        let loading = Loading {
            kind: &|_| WeightKind::Bf16,
            changes: &mut |_, _| Ok(Vec::new()),
        };
        let fresh = config.init(&mut Rng::new(0), &self.device);
        let encoder = load_with(fresh, &weights, &t5_encoder::key_map(), loading)?;
        for text in missing {
            let mut ids = tokenizer.encode(text.trim())?;
            ids.truncate(TOKENS - 1);
            ids.push(tokenizer.special().eos.unwrap_or(END));
            let mask: Vec<bool> = (0..TOKENS).map(|at| at < ids.len()).collect();
            ids.resize(TOKENS, tokenizer.special().pad.unwrap_or(0));
            let ids: Vec<i64> = ids.into_iter().map(i64::from).collect();
            let ids: Tensor<2, Int> =
                Tensor::from_data(TensorData::new(ids, [1, TOKENS]), &self.device);
            let mask = Tensor::from_data(TensorData::new(mask, [1, TOKENS]), &self.device);
            let states = encoder.forward(ids, mask.clone());
            let caption = Caption { states, mask };
            self.write(text, &caption)?;
            self.known.insert(text.clone(), caption);
        }
        Ok(())
    }

    fn file(&self, text: &str) -> Option<PathBuf> {
        let hash = fnv1a(FNV_START, text.bytes());
        Some(self.kept.as_ref()?.join(format!("{hash:016x}.safetensors")))
    }

    /// A caption that was kept; none where there is none of this text.
    fn read(&self, text: &str) -> Option<Caption> {
        let file = Weights::open(self.file(text)?).ok()?;
        let same = file.metadata().get("text").is_some_and(|it| it == text);
        let states: Tensor<3> = file.tensor("states", &self.device).ok()?;
        let mask = file.ints("mask").ok()?;
        let mask: Vec<bool> = mask.iter().map(|it| *it != 0).collect();
        let [one, tokens, _] = states.dims();
        let whole = same && one == 1 && tokens == TOKENS && mask.len() == tokens;
        whole.then(|| Caption {
            states,
            mask: Tensor::from_data(TensorData::new(mask, [1, TOKENS]), &self.device),
        })
    }

    fn write(&self, text: &str, caption: &Caption) -> Result<(), SystemError> {
        let Some(path) = self.file(text) else {
            return Ok(());
        };
        if let Some(folder) = path.parent() {
            base::files::make_folder(folder)?;
        }
        let values: Vec<f32> = caption.states.to_data().iter::<f32>().collect();
        let mask: Vec<i64> = caption
            .mask
            .clone()
            .int()
            .into_data()
            .iter::<i64>()
            .collect();
        let mut file = TensorFile::new();
        file.floats("states", &caption.states.dims(), &values, Precision::F32)?;
        file.ints("mask", &[1, TOKENS], &mask)?;
        file.note("text", text);
        Ok(file.write(path)?)
    }
}

/// The tokenizer in a folder of T5, which may have `spiece.model` alone.
fn tokenizer(folder: &Path) -> Result<Tokenizer, SystemError> {
    let pieces = folder.join("spiece.model");
    let place = match pieces.exists() && !folder.join("tokenizer.json").exists() {
        true => pieces.as_path(),
        false => folder,
    };
    Ok(Tokenizer::open(place)?)
}
