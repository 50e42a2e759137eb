//! The small guard: a classifier on what a frozen language model makes of a prompt ([`super::features`]).

use std::path::Path;

use base::hash::{FNV_START, fnv1a};
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use engine::models::decoder::{Decoder, DecoderConfig};
use engine::nn::{Init, Linear, LinearConfig};
use engine::ops;
use engine::weights::{self, KeyMap, Precision, TensorFile, Weights, WeightsError};
use serde::{Deserialize, Serialize};

use super::features;
use super::risk::RiskConfig;
use engine::SystemError;

/// The guard that ships with the program; see `assets/models/README.md`.
static EMBEDDED: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../assets/models/guardian-small.safetensors"
));
/// Metadata key of [`HeadInfo`], as JSON.
const INFO: &str = "guardian.head";
/// Width of the hidden layer.
const HIDDEN: usize = 64;

/// `x` → `skip(x) + outer(gelu(inner(x)))`.
#[derive(Module, Debug)]
pub struct HeadNet {
    skip: Linear,
    inner: Linear,
    outer: Linear,
}

impl HeadNet {
    /// A new network for `inputs` features; it says 0 at the start.
    pub fn new(inputs: usize, rng: &mut Rng, device: &Device) -> Self {
        let silent = |inputs| LinearConfig::new(inputs, 1).with_init(Init::Zeros);
        Self {
            skip: silent(inputs).init(rng, device),
            inner: LinearConfig::new(inputs, HIDDEN).init(rng, device),
            outer: silent(HIDDEN).init(rng, device),
        }
    }

    /// `[batch, inputs]` → log-odds of the risk `[batch, 1]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let hidden = ops::gelu(self.inner.forward(x.clone()));
        self.skip.forward(x) + self.outer.forward(hidden)
    }
}

/// What a head was trained for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeadInfo {
    /// The language model below it, for people.
    pub base: String,
    /// Fingerprint of that model, see [`fingerprint`].
    pub fingerprint: String,
    /// Risks that it was trained for, by name and definition; the definition is empty for built-in ones.
    pub risks: Vec<(String, String)>,
    /// Generation of its prompts.
    pub version: String,
    /// The command that made it.
    pub command: String,
    /// Data, split, licences.
    pub data: String,
}

/// A trained head.
#[derive(Debug)]
pub struct Head {
    /// What it was trained for.
    pub info: HeadInfo,
    net: HeadNet,
    mean: Vec<f32>,
    scale: Vec<f32>,
    device: Device,
}

impl Head {
    /// A head of `net`, whose inputs are shifted by `mean` and divided by `scale`.
    pub fn new(info: HeadInfo, net: HeadNet, [mean, scale]: [Vec<f32>; 2]) -> Self {
        Self {
            info,
            net,
            mean,
            scale,
            device: Device::flex(),
        }
    }

    /// The small guard that ships with the program.
    ///
    /// # Errors
    /// When the program was built with a broken file.
    pub fn embedded() -> Result<Self, SystemError> {
        Self::read(&Weights::from_bytes(EMBEDDED)?)
    }

    /// The head in a file that [`Head::save`] wrote.
    ///
    /// # Errors
    /// When the file holds none.
    pub fn open(path: &Path) -> Result<Self, SystemError> {
        Self::read(&Weights::open(path)?)
    }

    fn read(weights: &Weights) -> Result<Self, SystemError> {
        let note = weights.metadata().get(INFO);
        let info = note.and_then(|text| serde_json::from_str(text).ok());
        let info = info.ok_or_else(|| {
            weights.unfit(format!(
                "it has no metadata `{INFO}`: it is not a small guard"
            ))
        })?;
        let device = Device::flex();
        let [mean, scale] = [weights.values("mean")?, weights.values("scale")?];
        let net = HeadNet::new(mean.len(), &mut Rng::new(0), &device);
        let net = weights::load(net, weights, &KeyMap::new().within("head"))?;
        if scale.len() != mean.len() {
            return Err(weights.unfit("`mean` and `scale` differ in length").into());
        }
        Ok(Self::new(info, net, [mean, scale]))
    }

    /// Writes the head.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), WeightsError> {
        let mut file = TensorFile::new();
        file.note(INFO, serde_json::to_string(&self.info).unwrap_or_default());
        for (name, values) in [("mean", &self.mean), ("scale", &self.scale)] {
            file.floats(name, &[values.len()], values, Precision::F32)?;
        }
        weights::collect(
            &self.net,
            &KeyMap::new().within("head"),
            Precision::F16,
            &mut file,
        )?;
        file.write(path)
    }

    /// Checks that `decoder` is the model below this head.
    ///
    /// # Errors
    /// [`SystemError::Input`].
    pub fn check(&self, decoder: &Decoder) -> Result<(), SystemError> {
        let found = fingerprint(decoder)?;
        if found == self.info.fingerprint
            && features::count(decoder.config().width) == self.mean.len()
        {
            return Ok(());
        }
        Err(SystemError::Input(format!(
            "this small guard was trained on {}, not on the given model: give that one, or train a guard with `orrery guardian train`",
            self.info.base
        )))
    }

    /// Checks that it was trained for `risk`.
    ///
    /// # Errors
    /// [`SystemError::Input`].
    pub fn covers(&self, risk: &RiskConfig) -> Result<(), SystemError> {
        let wanted = match risk {
            RiskConfig::Builtin(_) => "",
            RiskConfig::Custom { definition, .. } => definition,
        };
        let same =
            |(name, definition): &(String, String)| name == risk.name() && definition == wanted;
        if self.info.risks.iter().any(same) {
            return Ok(());
        }
        let known: Vec<&str> = self
            .info
            .risks
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        Err(SystemError::Input(format!(
            "this small guard was not trained for `{}` (it knows {}): give a Granite Guardian checkpoint with --model, or train one with `orrery guardian train`",
            risk.name(),
            known.join(", ")
        )))
    }

    /// P(risk) of each row of features.
    pub fn probabilities(&self, rows: &[Vec<f32>]) -> Vec<f64> {
        let mut all = Vec::with_capacity(rows.len());
        for rows in rows.chunks(256) {
            let values: Vec<f32> = rows.iter().flat_map(|row| self.standard(row)).collect();
            let data = TensorData::new(values, [rows.len(), self.mean.len()]);
            let odds = self.net.forward(Tensor::from_data(data, &self.device));
            let odds: Vec<f32> = odds.into_data().try_to_vec().unwrap_or_default();
            all.extend(
                odds.into_iter()
                    .map(|odds| 1.0 / (1.0 + (-f64::from(odds)).exp())),
            );
        }
        all
    }

    fn standard(&self, row: &[f32]) -> Vec<f32> {
        standardised(row, [&self.mean, &self.scale])
    }
}

/// `(x − mean) / scale`, cut at ±8.
pub(super) fn standardised(row: &[f32], [mean, scale]: [&[f32]; 2]) -> Vec<f32> {
    let parts = mean.iter().zip(scale).zip(row);
    parts
        .map(|((mean, scale), x)| ((x - mean) / scale).clamp(-8.0, 8.0))
        .collect()
}

/// A fingerprint of a decoder: its sizes and the first rows of its embedding table.
///
/// # Errors
/// When the table cannot be read.
pub fn fingerprint(decoder: &Decoder) -> Result<String, SystemError> {
    let DecoderConfig {
        vocab,
        width,
        layers,
        ..
    } = decoder.config();
    let rows = decoder.embed(&[0, 1, 2, 3])?;
    let hash = fnv1a(FNV_START, rows.iter().flat_map(|x| x.to_le_bytes()));
    Ok(format!("{layers}x{width}x{vocab}-{hash:016x}"))
}
