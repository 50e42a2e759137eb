//! A model with what it takes to use it: sizes, what its values are, names of its classes, a classifier's head.

use std::path::Path;

use base::command::nearest;
use base::rng::Rng;
use burn::tensor::Device;
use engine::nn::{Init, Linear, LinearConfig};
use engine::weights::{KeyMap, Precision, TensorFile, Weights, WeightsError, collect, load};
use serde::{Deserialize, Serialize};

use super::checkpoint;
use super::config::AcditConfig;
use super::model::Acdit;
use super::official;
use super::space::Space;

/// Metadata key that holds [`About`] as JSON.
pub const ABOUT_KEY: &str = "acdit.about";

/// What a file says beside its sizes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// What the values of a token are.
    pub space: Space,
    /// Names of the classes; empty where they have none.
    #[serde(default)]
    pub classes: Vec<String>,
}

impl About {
    /// What does not fit `config`, if anything.
    pub fn problem(&self, config: &AcditConfig) -> Option<String> {
        let named = self.classes.len();
        if named != 0 && named != config.num_classes {
            return Some(format!("{named} names for {} classes", config.num_classes));
        }
        self.space.problem(config)
    }

    /// The name of class `label`, or its number.
    pub fn name(&self, label: usize) -> String {
        let name = self.classes.get(label).cloned();
        name.unwrap_or_else(|| label.to_string())
    }

    /// The class that `text` means: a name, a number, or `none` for no class.
    ///
    /// # Errors
    /// In words, where there is no such class.
    pub fn label(&self, text: &str, config: &AcditConfig) -> Result<usize, String> {
        let (text, count) = (text.trim(), config.num_classes);
        let same = |name: &&String| name.eq_ignore_ascii_case(text);
        if let Some(name) = self.classes.iter().find(same) {
            let at = self.classes.iter().position(|other| other == name);
            return Ok(at.unwrap_or(0));
        }
        if text.eq_ignore_ascii_case("none") {
            return Ok(count);
        }
        match text.parse::<usize>() {
            Ok(label) if label < count => Ok(label),
            Ok(_) => Err(format!(
                "class {text} is out of range: this model has the classes 0 to {}, and `none`",
                count - 1
            )),
            Err(_) => Err(
                match nearest(text, self.classes.iter().map(String::as_str)) {
                    Some(near) => format!("there is no class `{text}`: did you mean `{near}`?"),
                    None if self.classes.is_empty() => format!(
                        "there is no class `{text}`: this model's classes have no names, give a number from 0 to {}",
                        count - 1
                    ),
                    None => format!(
                        "there is no class `{text}`: use one of {}, a number from 0 to {}, or `none`",
                        self.classes.join(", "),
                        count - 1
                    ),
                },
            ),
        }
    }
}

/// A model that is ready for use.
#[derive(Debug)]
pub struct AcditPipeline {
    /// The network.
    pub model: Acdit,
    /// Its sizes.
    pub config: AcditConfig,
    /// The rest.
    pub about: About,
    /// Features → logits of the classes, where the model was taught to classify.
    pub head: Option<Linear>,
    /// Where it works.
    pub device: Device,
}

impl AcditPipeline {
    /// Reads a file that [`Self::save`] wrote, or a checkpoint of the authors. `sizes`, where given, are those of a file that
    /// does not say its own.
    ///
    /// # Errors
    /// [`WeightsError::Unfit`] where sizes are absent or senseless, [`WeightsError::Mismatch`] where tensors do not have
    /// them.
    pub fn open(
        weights: &Weights,
        sizes: Option<AcditConfig>,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let ours = weights.metadata().contains_key(checkpoint::CONFIG_KEY);
        let (inner, config, about) = match (sizes, ours) {
            (None, true) => (
                weights.clone(),
                checkpoint::read_config(weights)?,
                read_about(weights)?,
            ),
            (sizes, _) => {
                let inner = official::state_dict(weights).ok_or_else(|| {
                    weights.unfit("it holds no ACDiT model: no `x_embedder.weight`, nor below `ema` or `model`")
                })?;
                let config = match sizes {
                    Some(config) => config,
                    None => official::config(&inner)?,
                };
                let about = match ours {
                    true => read_about(weights)?,
                    false => official::about(&config),
                };
                (inner, config, about)
            }
        };
        if let Some(problem) = config.problem().or_else(|| about.problem(&config)) {
            return Err(weights.unfit(problem));
        }
        Ok(Self {
            model: checkpoint::load(&inner, &config, device)?,
            head: read_head(&inner, &config, device)?,
            config,
            about,
            device: device.clone(),
        })
    }

    /// Writes it all to one file; `notes` join the metadata.
    ///
    /// # Errors
    /// [`WeightsError::Write`], and [`WeightsError::Overflow`] where a weight does not fit `precision`.
    pub fn save(
        &self,
        notes: &[(&str, String)],
        precision: Precision,
        path: &Path,
    ) -> Result<(), WeightsError> {
        let mut file = TensorFile::new();
        let config = serde_json::to_string(&self.config).unwrap_or_default();
        file.note(checkpoint::CONFIG_KEY, config);
        file.note(
            ABOUT_KEY,
            serde_json::to_string(&self.about).unwrap_or_default(),
        );
        for (key, value) in notes {
            file.note(*key, value.clone());
        }
        collect(&self.model, &checkpoint::key_map(), precision, &mut file)?;
        if let Some(head) = &self.head {
            let keys = KeyMap::new().within("head");
            collect(head, &keys, precision, &mut file)?;
        }
        file.write(path)
    }
}

/// A head that knows nothing yet.
pub fn new_head(config: &AcditConfig, device: &Device) -> Linear {
    LinearConfig::new(config.hidden_size, config.num_classes)
        .with_init(Init::Zeros)
        .init(&mut Rng::new(0), device)
}

fn read_about(weights: &Weights) -> Result<About, WeightsError> {
    let unfit = |reason: String| weights.unfit(format!("`{ABOUT_KEY}`: {reason}"));
    let text = weights
        .metadata()
        .get(ABOUT_KEY)
        .ok_or_else(|| unfit("it is absent; use a file that `orrery acdit train` wrote".into()))?;
    serde_json::from_str(text).map_err(|error| unfit(error.to_string()))
}

fn read_head(
    weights: &Weights,
    config: &AcditConfig,
    device: &Device,
) -> Result<Option<Linear>, WeightsError> {
    if !weights.contains("head.weight") {
        return Ok(None);
    }
    let shape = [config.num_classes, config.hidden_size];
    weights.expect_shapes(
        &[("head.weight".to_owned(), shape)],
        "use the file as `orrery acdit train` wrote it",
    )?;
    let head = load(
        new_head(config, device),
        &weights.within("head"),
        &KeyMap::new(),
    )?;
    Ok(Some(head))
}
