//! Low-rank adapters (Hu et al., 2021) in the files that PEFT writes.

use std::path::Path;
use std::sync::Arc;

use kernels::{
    DenseKind, DenseRows, Level, QuantRows, RowInput, RowProduct, ShapeError, Team, WeightRows,
    add_row, row_products,
};
use serde_json::Value;

use super::config::DecoderConfig;
use super::error::DecoderError;
use super::names::{Names, Place, Slot};
use super::weight::floats;
use crate::weights::{Mismatch, TensorSource, Weights, WeightsError};

/// Adapters of a sequence, and what their products are multiplied by.
pub type Adapters<'a> = &'a [(Arc<Lora>, f32)];

/// What PEFT puts before the names of a model.
const PREFIX: &str = "base_model.model.";
/// Largest rank.
const RANK: usize = 4096;

/// An adapter for the products of a decoder's blocks: `y += scale · B·A·x`.
pub struct Lora {
    /// Of each layer, by [`Slot`].
    layers: Vec<[Option<LowRank>; 7]>,
    width: usize,
    ffn: usize,
}

impl std::fmt::Debug for Lora {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let products = self.layers.iter().flatten().flatten().count();
        write!(
            f,
            "Lora({products} products in {} layers)",
            self.layers.len()
        )
    }
}

struct LowRank {
    /// `[rank, inputs]`.
    a: Vec<f32>,
    /// `[outputs, rank]`.
    b: Vec<f32>,
    rank: usize,
    scale: f32,
}

impl Lora {
    /// Reads a directory with `adapter_config.json` and `adapter_model.safetensors`.
    ///
    /// # Errors
    /// [`DecoderError::Foreign`] when the adapter does not belong to the model, or is of a kind that is not supported.
    pub fn open(path: &Path, config: &DecoderConfig) -> Result<Self, DecoderError> {
        let file = path.join("adapter_config.json");
        let place = |reason: String| {
            DecoderError::Foreign(format!("`{}` holds no adapter: {reason}", path.display()))
        };
        let json = base::files::read(&file).map_err(|error| place(error.to_string()))?;
        let json = serde_json::from_slice(&json).map_err(|error| place(error.to_string()))?;
        Self::from_source(
            &json,
            &Weights::open(path.join("adapter_model.safetensors"))?,
            config,
        )
    }

    /// From the contents of `adapter_config.json` and the tensors.
    ///
    /// # Errors
    /// As [`Lora::open`].
    pub fn from_source(
        json: &Value,
        source: &dyn TensorSource,
        config: &DecoderConfig,
    ) -> Result<Self, DecoderError> {
        let settings = Settings::read(json).map_err(|reason| {
            DecoderError::Foreign(format!("the adapter cannot be used: {reason}"))
        })?;
        let names = Names::new(config, false);
        let mut reader = Reader {
            source,
            mismatch: Mismatch {
                origin: source.origin().into(),
                ..Mismatch::default()
            },
            left: source.names(),
        };
        let mut layers = Vec::new();
        for layer in 0..config.layers {
            let mut products: [Option<LowRank>; 7] = std::array::from_fn(|_| None);
            for (slot, product) in Slot::ALL.into_iter().zip(&mut products) {
                let inputs = match slot {
                    Slot::O => config.projections()[0],
                    Slot::Down => config.ffn,
                    _ => config.width,
                };
                *product = reader.product(&names.place(layer, slot), inputs, &settings)?;
            }
            layers.push(products);
        }
        for name in reader.left {
            let shape = source.shape(&name).unwrap_or_default();
            reader.mismatch.extra.push((name, shape));
        }
        if !reader.mismatch.is_empty() {
            return Err(WeightsError::Mismatch(Box::new(reader.mismatch)).into());
        }
        if layers.iter().flatten().all(Option::is_none) {
            return Err(DecoderError::Foreign(format!(
                "`{}` holds no adapter of this model",
                source.origin()
            )));
        }
        Ok(Self {
            layers,
            width: config.width,
            ffn: config.ffn,
        })
    }

    pub(super) fn check(&self, config: &DecoderConfig) -> Result<(), DecoderError> {
        let fits =
            [self.layers.len(), self.width, self.ffn] == [config.layers, config.width, config.ffn];
        fits.then_some(()).ok_or_else(|| {
            DecoderError::Foreign(
                "the adapter was made for a model of other sizes: load it with this model's config"
                    .into(),
            )
        })
    }

    /// `out += factor · scale · B·A·x` for rows `x` `[rows, inputs]`.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn add(
        &self,
        (team, level): (&Team<'_>, Level),
        layer: usize,
        slot: Slot,
        factor: f32,
        x: &[f32],
        out: &mut [f32],
        scratch: &mut [Vec<f32>; 2],
    ) -> Result<(), ShapeError> {
        let Some(product) = self
            .layers
            .get(layer)
            .and_then(|all| all[slot as usize].as_ref())
        else {
            return Ok(());
        };
        let rank = product.rank;
        let (inputs, outputs) = (product.a.len() / rank, product.b.len() / rank);
        let rows = x.len() / inputs.max(1);
        let [low, high] = scratch;
        low.resize(rows * rank, 0.0);
        high.resize(rows * outputs, 0.0);
        let rounded = QuantRows::default();
        let multiply = |values: &[f32], weight: &[f32], shape, out: &mut [f32]| {
            let weight = DenseRows::new(DenseKind::F32, bytemuck::cast_slice(weight), shape)?;
            row_products(
                team,
                level,
                &mut [RowProduct {
                    input: RowInput {
                        values,
                        rounded: &rounded,
                        rows,
                    },
                    weight: WeightRows::Dense(weight),
                    out,
                }],
            )
        };
        multiply(x, &product.a, [rank, inputs], low)?;
        multiply(low, &product.b, [outputs, rank], high)?;
        let scale = product.scale * factor;
        team.rows(out, outputs, |row, out| {
            add_row(level, out, &high[row * outputs..][..outputs], scale);
        });
        Ok(())
    }
}

/// What `adapter_config.json` says.
struct Settings {
    rank: usize,
    alpha: f64,
    stabilised: bool,
    ranks: Value,
    alphas: Value,
}

impl Settings {
    fn read(json: &Value) -> Result<Self, String> {
        let kind = json.get("peft_type").and_then(Value::as_str);
        if kind.is_some_and(|kind| kind != "LORA") {
            return Err(format!(
                "it is of the type {}, not LORA",
                kind.unwrap_or_default()
            ));
        }
        for flag in [
            "use_dora",
            "fan_in_fan_out",
            "alora_invocation_tokens",
            "lora_bias",
        ] {
            let set = json
                .get(flag)
                .is_some_and(|value| !value.is_null() && value != false);
            if set {
                return Err(format!("`{flag}` is not supported"));
            }
        }
        let bias = json.get("bias").and_then(Value::as_str);
        if bias.is_some_and(|bias| bias != "none") {
            return Err("adapters with biases are not supported".into());
        }
        let saved = json.get("modules_to_save").and_then(Value::as_array);
        if saved.is_some_and(|modules| !modules.is_empty()) {
            return Err("adapters with whole modules (`modules_to_save`) are not supported".into());
        }
        let rank = json.get("r").and_then(Value::as_u64).unwrap_or(8);
        let pattern = |name: &str| json.get(name).cloned().unwrap_or_default();
        Ok(Self {
            rank: usize::try_from(rank).unwrap_or(usize::MAX),
            alpha: json
                .get("lora_alpha")
                .and_then(Value::as_f64)
                .unwrap_or(8.0),
            stabilised: json.get("use_rslora").and_then(Value::as_bool) == Some(true),
            ranks: pattern("rank_pattern"),
            alphas: pattern("alpha_pattern"),
        })
    }

    /// Rank of a module and what its product is multiplied by.
    fn of(&self, module: &str) -> (usize, f32) {
        // Patterns name modules by their last words.
        let find = |patterns: &Value| {
            let all = patterns.as_object()?.iter();
            let mut fit = all.filter(|(name, _)| {
                module
                    .strip_suffix(name.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            });
            fit.next().and_then(|(_, value)| value.as_f64())
        };
        let rank = find(&self.ranks).map_or(self.rank, |rank| rank as usize);
        let alpha = find(&self.alphas).unwrap_or(self.alpha);
        let by = match self.stabilised {
            true => (rank as f64).sqrt(),
            false => rank as f64,
        };
        (rank, (alpha / by) as f32)
    }
}

struct Reader<'a> {
    source: &'a dyn TensorSource,
    mismatch: Mismatch,
    left: Vec<String>,
}

impl Reader<'_> {
    /// The product of a place, if the adapter has one.
    fn product(
        &mut self,
        place: &Place,
        inputs: usize,
        settings: &Settings,
    ) -> Result<Option<LowRank>, DecoderError> {
        let (rank, scale) = settings.of(&place.module);
        if !(1..=RANK).contains(&rank) {
            return Err(DecoderError::Foreign(format!(
                "an adapter of rank {rank} cannot be used"
            )));
        }
        let names =
            ["lora_A", "lora_B"].map(|part| format!("{PREFIX}{}.{part}.weight", place.module));
        if names.iter().all(|name| self.source.shape(name).is_none()) {
            return Ok(None);
        }
        let shapes = [[rank, inputs], [place.rows, rank]];
        let mut parts = Vec::new();
        for (name, shape) in names.iter().zip(shapes) {
            // Fused weights are asked for once for each of their parts.
            self.left.retain(|left| left != name);
            match self.source.shape(name) {
                None => self.mismatch.missing.push((name.clone(), shape.into())),
                Some(found) if found != shape => {
                    let misfit = (name.clone(), found, shape.into());
                    if !self.mismatch.misshapen.contains(&misfit) {
                        self.mismatch.misshapen.push(misfit);
                    }
                }
                Some(_) => {
                    let tensor = self.source.stored(name)?;
                    parts.extend(floats(&tensor));
                    if parts.is_empty() {
                        return Err(DecoderError::Foreign(format!(
                            "`{name}` does not hold floats"
                        )));
                    }
                }
            }
        }
        let Ok([a, all]) = <[Vec<f32>; 2]>::try_from(parts) else {
            return Ok(None);
        };
        let b = match &place.order {
            None => all,
            Some(order) => order
                .iter()
                .flat_map(|row| all[row * rank..(row + 1) * rank].iter().copied())
                .collect(),
        };
        Ok(Some(LowRank { a, b, rank, scale }))
    }
}
