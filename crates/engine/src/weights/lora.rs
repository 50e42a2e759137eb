//! LoRA files (Hu et al. 2021) of the names in circulation: kohya's, PEFT's and both of diffusers'. Linear and convolution
//! layers; added to the weights of a module, any number at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;

use super::{KeyMap, Weights, WeightsError};
use crate::nn::LowRank;

/// How many names an error lists.
const LISTED: usize = 5;
/// Beginnings of names and the component that they mean; the first that fits counts.
const COMPONENTS: [(&str, &str); 14] = [
    ("base_model.model.text_encoder_2.", "text_encoder_2"),
    ("base_model.model.text_encoder.", "text_encoder"),
    ("base_model.model.unet.", "unet"),
    ("base_model.model.text_model.", "text_encoder.text_model"),
    ("base_model.model.", "unet"),
    ("lora_unet_", "unet"),
    ("lora_te2_", "text_encoder_2"),
    ("lora_te1_", "text_encoder"),
    ("lora_te_", "text_encoder"),
    ("text_encoder_2.", "text_encoder_2"),
    ("text_encoder.", "text_encoder"),
    ("unet.unet.", "unet"),
    ("unet.", "unet"),
    ("", "unet"),
];
/// Parts of names of other methods than LoRA.
const OTHERS: [(&str, &str); 7] = [
    ("dora_scale", "DoRA"),
    ("lora_magnitude_vector", "DoRA"),
    ("hada_", "LoHa"),
    ("lokr_", "LoKr"),
    ("oft_", "OFT"),
    (
        "lora_mid",
        "a LoRA with a core tensor (LoCon with CP decomposition)",
    ),
    ("lora_embedding_", "a LoRA of an embedding"),
];

/// The two factors of one layer, as the file calls them.
#[derive(Clone, Debug, Default)]
struct Layer {
    down: Option<String>,
    up: Option<String>,
    alpha: Option<f32>,
}

/// A LoRA file. Its factors stay on disk until they are merged.
#[derive(Clone, Debug)]
pub struct Lora {
    weights: Weights,
    /// By component (`unet`, `text_encoder`, `text_encoder_2`) and by the layer's name, with dots or with underscores.
    layers: BTreeMap<String, BTreeMap<String, Layer>>,
    /// For layers without an alpha of their own: what an `adapter_config.json` beside the file says.
    adapter: Option<Adapter>,
    /// Rank of the first layer.
    rank: usize,
}

#[derive(Clone, Copy, Debug)]
struct Adapter {
    alpha: f32,
    by_root: bool,
}

/// Which part of a layer a name ends in.
enum Part {
    Down,
    Up,
    Alpha,
}

impl Lora {
    /// Opens a `.safetensors` or torch file.
    ///
    /// # Errors
    /// As [`Weights::open`]; [`WeightsError::Unfit`] when it holds another method than LoRA, which is named, something else, a
    /// factor without the other one, or rank 0.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let weights = Weights::open(path)?;
        let adapter = adapter_beside(path, &weights)?;
        Self::read(weights, adapter)
    }

    fn read(weights: Weights, adapter: Option<Adapter>) -> Result<Self, WeightsError> {
        let mut layers: BTreeMap<String, BTreeMap<String, Layer>> = BTreeMap::new();
        for key in weights.names() {
            if let Some((_, method)) = OTHERS.iter().find(|(part, _)| key.contains(part)) {
                return Err(weights.unfit(format!(
                    "it is {method} (`{key}`), which is not supported; use a plain LoRA"
                )));
            }
            let Some((stem, part)) = split(key) else {
                return Err(weights.unfit(format!(
                    "`{key}` is no part of a LoRA; give a LoRA file of kohya, PEFT or diffusers"
                )));
            };
            let (component, name) = place(&stem);
            let layer = layers
                .entry(component)
                .or_default()
                .entry(name)
                .or_default();
            match part {
                Part::Down => layer.down = Some(key.to_owned()),
                Part::Up => layer.up = Some(key.to_owned()),
                Part::Alpha => match weights.values(key)?.first() {
                    Some(alpha) if alpha.is_finite() => layer.alpha = Some(*alpha),
                    _ => {
                        return Err(weights.unfit(format!(
                            "`{key}` is not a number; download or copy the file again"
                        )));
                    }
                },
            }
        }
        let mut rank = 0;
        for layer in layers.values().flat_map(BTreeMap::values) {
            let (Some(down), Some(up)) = (&layer.down, &layer.up) else {
                let there = layer.down.as_ref().or(layer.up.as_ref());
                let there = there.map_or("an alpha", String::as_str);
                return Err(weights.unfit(format!(
                    "`{there}` is there without its other half; download or copy the file again"
                )));
            };
            let ranks = [weights.shape(down), weights.shape(up)];
            match ranks {
                [Some([first, ..]), Some([_, second, ..])] if first == second && *first > 0 => {
                    rank = rank.max(*first);
                }
                _ => {
                    return Err(weights.unfit(format!(
                        "`{down}` of {:?} and `{up}` of {:?} are not two factors of one rank above 0",
                        ranks[0].unwrap_or_default(),
                        ranks[1].unwrap_or_default()
                    )));
                }
            }
        }
        match layers.is_empty() {
            true => Err(weights.unfit("it holds no layer; give a LoRA file")),
            false => Ok(Self {
                weights,
                layers,
                adapter,
                rank,
            }),
        }
    }

    /// The path, for messages.
    pub fn origin(&self) -> &str {
        self.weights.origin()
    }

    /// The highest rank of a layer.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Components and how many layers of each it changes.
    pub fn components(&self) -> impl Iterator<Item = (&str, usize)> {
        self.layers
            .iter()
            .map(|(name, layers)| (name.as_str(), layers.len()))
    }

    /// The layers of `component` that are not in `used`, as the file spells them.
    pub fn unused(&self, component: &str, used: &BTreeSet<String>) -> Vec<String> {
        let layers = self.layers.get(component);
        let names = layers.into_iter().flat_map(BTreeMap::keys);
        names
            .filter(|name| !used.contains(*name))
            .cloned()
            .collect()
    }

    /// The error that says that nothing in the file fits, with its first names.
    pub fn of_another_base(&self) -> WeightsError {
        self.weights.unfit(format!(
            "it belongs to another base model: none of its layers is in this one; it begins with {}",
            self.first_names()
        ))
    }

    fn first_names(&self) -> String {
        let names = self.layers.values().flat_map(BTreeMap::keys);
        let first: Vec<String> = names.take(LISTED).map(|name| format!("`{name}`")).collect();
        first.join(", ")
    }

    /// What the LoRA adds, times `weight`, to a parameter of `shape` in a layer that goes by one of `names`; with the name that
    /// it is found by. None where the file does not change it.
    ///
    /// # Errors
    /// [`WeightsError::Unfit`] when the shapes do not fit, or values are not numbers.
    fn change(
        &self,
        component: &str,
        names: &[String],
        shape: &[usize],
        weight: f32,
    ) -> Result<Option<(String, LowRank)>, WeightsError> {
        let Some(layers) = self.layers.get(component) else {
            return Ok(None);
        };
        let found = names.iter().find_map(|name| layers.get_key_value(name));
        let Some((name, layer)) = found else {
            return Ok(None);
        };
        let (Some(down), Some(up)) = (&layer.down, &layer.up) else {
            return Ok(None);
        };
        let sizes = [down, up].map(|key| self.weights.shape(key).unwrap_or_default());
        let rank = sizes[0].first().copied().unwrap_or_default();
        let [inner, outer] = [
            sizes[0].iter().skip(1).product::<usize>(),
            sizes[1].first().copied().unwrap_or_default(),
        ];
        let plain = sizes[1].iter().skip(2).all(|&size| size == 1);
        if !plain
            || shape.first() != Some(&outer)
            || shape.iter().product::<usize>() != inner * outer
        {
            return Err(self.weights.unfit(format!(
                "`{down}` of {:?} and `{up}` of {:?} do not fit a layer of {shape:?}: it belongs to another base model; it begins \
                 with {}",
                sizes[0],
                sizes[1],
                self.first_names()
            )));
        }
        let scale = match (layer.alpha, self.adapter) {
            (Some(alpha), _) => alpha / rank as f32,
            (None, Some(adapter)) if adapter.by_root => adapter.alpha / (rank as f32).sqrt(),
            (None, Some(adapter)) => adapter.alpha / rank as f32,
            (None, None) => 1.0,
        };
        let device = Device::flex();
        let factor = |key: &str, shape: [usize; 2]| -> Result<Tensor<2>, WeightsError> {
            let values = self.weights.values(key)?;
            if values.iter().any(|value| !value.is_finite()) {
                return Err(self.weights.unfit(format!(
                    "`{key}` holds values that are not numbers; download or copy the file again"
                )));
            }
            let data = TensorData::new(values, shape);
            Ok(Tensor::from_data(data, &device))
        };
        let change = LowRank {
            down: factor(down, [rank, inner])?,
            up: factor(up, [outer, rank])?,
            scale,
            weight,
        };
        Ok(Some((name.clone(), change)))
    }
}

/// LoRAs with weights for one component of a model, as [`super::Loading::changes`] asks for them.
pub struct Merging<'a> {
    /// What the files call it.
    pub component: &'a str,
    /// Its official names.
    pub keys: &'a KeyMap,
    /// Another name of a layer that files may use.
    pub alias: &'a dyn Fn(&str) -> Option<String>,
    /// The files.
    pub loras: &'a [(&'a Lora, f32)],
    /// For each file the names of the layers that were asked for.
    pub used: Vec<BTreeSet<String>>,
}

impl<'a> Merging<'a> {
    /// With nothing asked for yet.
    pub fn new(
        component: &'a str,
        keys: &'a KeyMap,
        alias: &'a dyn Fn(&str) -> Option<String>,
        loras: &'a [(&'a Lora, f32)],
    ) -> Self {
        Self {
            component,
            keys,
            alias,
            loras,
            used: vec![BTreeSet::new(); loras.len()],
        }
    }

    /// What all files add to the parameter at `path`.
    ///
    /// # Errors
    /// [`WeightsError::Unfit`] when shapes do not fit.
    pub fn changes(&mut self, path: &str, shape: &[usize]) -> Result<Vec<LowRank>, WeightsError> {
        let official = self.keys.to_file(path);
        let Some(layer) = official.strip_suffix(".weight") else {
            return Ok(Vec::new());
        };
        let other = (self.alias)(layer).unwrap_or_default();
        let names = [
            layer.to_owned(),
            layer.replace('.', "_"),
            other.replace('.', "_"),
        ];
        let mut changes = Vec::new();
        for ((lora, weight), used) in self.loras.iter().zip(&mut self.used) {
            if let Some((name, change)) = lora.change(self.component, &names, shape, *weight)? {
                used.insert(name);
                changes.push(change);
            }
        }
        Ok(changes)
    }
}

/// A name without its ending, and what the ending says.
fn split(key: &str) -> Option<(String, Part)> {
    if let Some(stem) = key.strip_suffix(".alpha") {
        return Some((stem.to_owned(), Part::Alpha));
    }
    let stem = key.strip_suffix(".weight")?;
    for (ending, part) in [
        (".lora_down", Part::Down),
        (".lora_up", Part::Up),
        (".lora.down", Part::Down),
        (".lora.up", Part::Up),
        (".lora_linear_layer.down", Part::Down),
        (".lora_linear_layer.up", Part::Up),
        (".lora_A", Part::Down),
        (".lora_B", Part::Up),
    ] {
        if let Some(stem) = stem.strip_suffix(ending) {
            return Some((stem.to_owned(), part));
        }
    }
    // PEFT, with the name of an adapter: `.lora_A.default`.
    if let Some((before, _)) = stem.rsplit_once('.') {
        for (ending, part) in [(".lora_A", Part::Down), (".lora_B", Part::Up)] {
            if let Some(stem) = before.strip_suffix(ending) {
                return Some((stem.to_owned(), part));
            }
        }
    }
    // diffusers' first: `.attn1.processor.to_q_lora.down`.
    for (ending, part) in [("_lora.down", Part::Down), ("_lora.up", Part::Up)] {
        if let Some(stem) = stem.strip_suffix(ending) {
            let stem = stem.replace(".processor.", ".");
            let out = stem.ends_with(".to_out");
            return Some((if out { format!("{stem}.0") } else { stem }, part));
        }
    }
    None
}

/// Component and name of a layer.
fn place(stem: &str) -> (String, String) {
    for (beginning, component) in COMPONENTS {
        let Some(rest) = stem.strip_prefix(beginning) else {
            continue;
        };
        return match component.split_once('.') {
            Some((component, back)) => (component.to_owned(), format!("{back}.{rest}")),
            None => (component.to_owned(), rest.to_owned()),
        };
    }
    ("unet".to_owned(), stem.to_owned())
}

/// What PEFT's `adapter_config.json` beside `adapter_model.safetensors` says.
fn adapter_beside(path: &Path, weights: &Weights) -> Result<Option<Adapter>, WeightsError> {
    let named = path.file_stem().is_some_and(|stem| stem == "adapter_model");
    let config = path.with_file_name("adapter_config.json");
    if !named || !config.exists() {
        return Ok(None);
    }
    let bytes = base::files::read(&config).map_err(|source| WeightsError::Read {
        path: config.clone(),
        source,
    })?;
    let config: Value = serde_json::from_slice(&bytes).map_err(|error| {
        weights.unfit(format!(
            "`adapter_config.json` beside it is broken: {error}"
        ))
    })?;
    if config["use_dora"] == true {
        return Err(weights.unfit("it is DoRA, which is not supported; use a plain LoRA"));
    }
    Ok(config["lora_alpha"].as_f64().map(|alpha| Adapter {
        alpha: alpha as f32,
        by_root: config["use_rslora"] == true,
    }))
}
