//! A judge of drawn emoji: which subject, in which style?
//!
//! A small vision transformer trained on the *real* pictures of all subjects in all styles, the pairs that no picture
//! model trains on among them. It never sees a made picture, and shares no weights with the models that it judges. It is trained by
//! `orrery stiv train --stage judge`.

mod net;

use base::media::Image;
use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};

use crate::data::pack::Style;
use crate::weights::{self, KeyMap, Precision, TensorFile, Weights, WeightsError};

pub use net::{JudgeNet, SIDE};

/// The judge that ships with the program; see `assets/models/README.md`.
static EMBEDDED: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../assets/models/stiv-judge.safetensors"
));
/// Metadata key of the subjects, as JSON.
const SUBJECTS_KEY: &str = "judge.subjects";
/// Pictures that go through the network together.
const BATCH: usize = 64;

/// What the judge sees in a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// The likeliest subject, an index into [`Judge::codes`].
    pub subject: usize,
    /// The likeliest style.
    pub style: Style,
    /// The probability of that subject.
    pub confidence: f32,
}

/// A trained judge.
#[derive(Debug)]
pub struct Judge {
    net: JudgeNet,
    /// Codes of the subjects that it tells apart.
    codes: Vec<String>,
    /// True for those that it may name.
    named: Vec<bool>,
    device: Device,
}

impl Judge {
    /// A judge of `net`, which tells the subjects of `codes` apart and lives on `device` without autodiff.
    pub fn new(net: JudgeNet, codes: Vec<String>, device: &Device) -> Self {
        Self {
            net,
            named: vec![true; codes.len()],
            codes,
            device: device.clone(),
        }
    }

    /// The same judge, which names subjects of `codes` alone; all of its own where it knows none of them.
    pub fn among(&self, codes: &[String]) -> Self {
        let mut named: Vec<bool> = self.codes.iter().map(|code| codes.contains(code)).collect();
        if !named.contains(&true) {
            named.fill(true);
        }
        Self {
            net: self.net.clone(),
            codes: self.codes.clone(),
            named,
            device: self.device.clone(),
        }
    }

    /// The judge that ships with the program.
    ///
    /// # Errors
    /// When the program was built with a broken file.
    pub fn embedded(device: &Device) -> Result<Self, WeightsError> {
        Self::open(&Weights::from_bytes(EMBEDDED)?, device)
    }

    /// The judge in a file that [`Judge::save`] wrote.
    ///
    /// # Errors
    /// When the file holds no judge.
    pub fn open(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        let codes: Vec<String> = match weights.metadata().get(SUBJECTS_KEY) {
            None => {
                return Err(weights.unfit(format!(
                    "it has no metadata `{SUBJECTS_KEY}`: give a file of `orrery stiv train --stage judge`"
                )));
            }
            Some(text) => serde_json::from_str(text)
                .map_err(|error| weights.unfit(format!("metadata `{SUBJECTS_KEY}`: {error}")))?,
        };
        let net = JudgeNet::new(codes.len().max(1), &mut Rng::new(0), device);
        let net = weights::load(net, weights, &KeyMap::new().within("judge"))?;
        Ok(Self::new(net, codes, device))
    }

    /// Writes the judge; `notes` go to the metadata.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, notes: &[(&str, &str)], path: &std::path::Path) -> Result<(), WeightsError> {
        let mut file = TensorFile::new();
        for (key, value) in notes {
            file.note(*key, *value);
        }
        file.note(
            SUBJECTS_KEY,
            serde_json::to_string(&self.codes).unwrap_or_default(),
        );
        let keys = KeyMap::new().within("judge");
        weights::collect(&self.net, &keys, Precision::F16, &mut file)?;
        file.write(path)
    }

    /// Codes of the subjects that it tells apart.
    pub fn codes(&self) -> &[String] {
        &self.codes
    }

    /// What is seen in each picture; `pictures` are `[3, 32, 32]` in `[-1, 1]`, values outside are cut.
    pub fn judge(&self, pictures: &[Vec<f32>]) -> Vec<Verdict> {
        pictures
            .chunks(BATCH)
            .flat_map(|batch| self.judge_batch(batch))
            .collect()
    }

    /// What [`Judge::judge`] reads, of a picture of any size.
    pub fn values(picture: &Image) -> Vec<f32> {
        picture.resize(SIDE as u32, SIDE as u32).to_unit()
    }

    /// What the judge goes by, 128 values a picture; `pictures` as for [`Judge::judge`].
    pub fn features(&self, pictures: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let rows = pictures.chunks(BATCH).flat_map(|batch| {
            let features = self.net.features(self.batch(batch));
            let width = features.dims()[1];
            let values: Vec<f32> = features.into_data().iter::<f32>().collect();
            values
                .chunks_exact(width)
                .map(<[f32]>::to_vec)
                .collect::<Vec<_>>()
        });
        rows.collect()
    }

    fn batch(&self, pictures: &[Vec<f32>]) -> Tensor<5> {
        let values: Vec<f32> = pictures
            .iter()
            .flatten()
            .map(|v| v.clamp(-1.0, 1.0))
            .collect();
        let shape = [pictures.len(), 3, 1, SIDE, SIDE];
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    fn judge_batch(&self, pictures: &[Vec<f32>]) -> Vec<Verdict> {
        let (subjects, styles) = self.net.forward(self.batch(pictures));
        let rows = |logits: Tensor<2>, named: &[bool]| -> Vec<(usize, f32)> {
            let width = logits.dims()[1];
            let values: Vec<f32> = logits.into_data().iter::<f32>().collect();
            let row = |logits: &[f32]| likeliest(logits, named);
            values.chunks_exact(width).map(row).collect()
        };
        let styles = rows(styles, &[true; Style::ALL.len()]);
        rows(subjects, &self.named)
            .into_iter()
            .zip(styles)
            .map(|((subject, confidence), (style, _))| Verdict {
                subject,
                style: Style::ALL[style],
                confidence,
            })
            .collect()
    }
}

/// The place of the largest logit of those `named`, and its probability among them.
fn likeliest(logits: &[f32], named: &[bool]) -> (usize, f32) {
    let of_named = || {
        logits
            .iter()
            .zip(named)
            .enumerate()
            .filter(|(_, (_, named))| **named)
    };
    let mut best = (0, f32::NEG_INFINITY);
    for (at, (&logit, _)) in of_named() {
        if logit > best.1 {
            best = (at, logit);
        }
    }
    let total: f32 = of_named()
        .map(|(_, (logit, _))| libm::expf(logit - best.1))
        .sum();
    (best.0, 1.0 / total)
}
