//! LoRA files: which layers they adapt, and the two factors of each.

use std::collections::BTreeMap;
use std::path::Path;

use base::tensor_file::{Precision, TensorFile, Weights, WeightsError};

use super::SystemError;
use super::matrix::Matrix;
use super::names::{Format, Layer, Network, Slot, parse};
use super::svd::truncated;

/// Marks in names of adapters that are not products of two factors, with what they are called.
const OTHER_KINDS: [(&str, &str); 7] = [
    ("dora_scale", "DoRA"),
    ("lora_magnitude_vector", "DoRA"),
    (".hada_w", "LoHa"),
    (".lokr_w", "LoKr"),
    (".oft_", "OFT"),
    (".lora_mid.", "LoCon with Tucker factors"),
    (".a1.weight", "GLoRA"),
];
/// The rank that stands for a dense update: twice the 64 of the official adapters, so that what the official code merged is kept whole.
pub const DENSE_RANK: usize = 128;

/// The update of one layer: `scale() · up · down`.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    /// `A`, `[rank, in]`; of a convolution `in` is channels × kernel.
    pub down: Matrix,
    /// `B`, `[out, rank]`.
    pub up: Matrix,
    /// Alpha, where the file gives one.
    pub alpha: Option<f32>,
    /// The kernel of a convolution, such as `[3, 3]`; empty for a linear layer.
    pub kernel: Vec<usize>,
}

impl Factors {
    /// Factors of a linear layer without an alpha.
    pub fn new(down: Matrix, up: Matrix) -> Self {
        Self {
            down,
            up,
            alpha: None,
            kernel: Vec::new(),
        }
    }

    /// Columns of `up`, rows of `down`.
    pub fn rank(&self) -> usize {
        self.down.rows
    }

    /// Alpha / rank; 1 where there is no alpha.
    pub fn scale(&self) -> f32 {
        self.alpha
            .map_or(1.0, |alpha| alpha / self.rank().max(1) as f32)
    }

    /// The update, `[out, in]`, scale included.
    pub fn update(&self) -> Matrix {
        let scale = self.scale();
        self.up.times(&self.down).map(|value| value * scale)
    }

    /// The Frobenius norm of the update, without the update: `‖BA‖² = Σ (BᵀB) ∘ (AAᵀ)`.
    pub fn norm(&self) -> f64 {
        let of_up = self.up.transposed().times(&self.up);
        let of_down = self.down.times(&self.down.transposed());
        let pairs = of_up.values.iter().zip(&of_down.values);
        let squares: f64 = pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        squares.max(0.0).sqrt() * f64::from(self.scale().abs())
    }

    /// An update of nothing with the sizes of `other`.
    pub fn absent(other: &Self) -> Self {
        Self {
            down: Matrix {
                rows: 0,
                columns: other.down.columns,
                values: Vec::new(),
            },
            up: Matrix {
                rows: other.up.rows,
                columns: 0,
                values: Vec::new(),
            },
            alpha: None,
            kernel: other.kernel.clone(),
        }
    }
}

/// Where the tensors of one layer are.
#[derive(Clone, Debug, Default)]
struct Place {
    down: Option<String>,
    up: Option<String>,
    alpha: Option<String>,
    dense: Option<String>,
}

/// A LoRA file. The header is read; factors are read when asked for.
#[derive(Clone, Debug)]
pub struct LoraFile {
    weights: Weights,
    places: BTreeMap<Layer, Place>,
    /// How most of its tensors are named.
    pub format: Format,
    /// Names that belong to no layer of a U-Net or text encoder.
    pub ignored: Vec<String>,
}

/// Which diffusion model a LoRA is for, recognised by the width of the text that its attentions read.
pub fn base_name(text_width: Option<usize>) -> &'static str {
    match text_width {
        Some(768) => "Stable Diffusion 1.x",
        Some(1024) => "Stable Diffusion 2.x",
        Some(2048) => "SDXL",
        _ => "a model of another kind",
    }
}

impl LoraFile {
    /// Opens a LoRA: safetensors, or what `torch.save` wrote.
    ///
    /// # Errors
    /// [`SystemError`]: not readable, an adapter of another kind or for another model, a layer with one factor only, or
    /// with factors that do not fit together.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SystemError> {
        Self::read(Weights::open(path)?)
    }

    fn read(weights: Weights) -> Result<Self, SystemError> {
        let unfit = |reason: String| SystemError::from(weights.unfit(reason));
        for (mark, kind) in OTHER_KINDS {
            if let Some(name) = weights.names().find(|name| name.contains(mark)) {
                return Err(unfit(format!(
                    "it is a {kind} adapter (`{name}`), which is not a product of two factors: give a LoRA"
                )));
            }
        }
        let mut places: BTreeMap<Layer, Place> = BTreeMap::new();
        let (mut counts, mut ignored) = ([0usize; 3], Vec::new());
        for name in weights.names() {
            let Some((layer, slot, format)) = parse(name) else {
                ignored.push(name.to_owned());
                continue;
            };
            if let Some(format) = format {
                counts[format as usize] += 1;
            }
            let place = places.entry(layer).or_default();
            let at = match slot {
                Slot::Down => &mut place.down,
                Slot::Up => &mut place.up,
                Slot::Alpha => &mut place.alpha,
                Slot::Dense => &mut place.dense,
            };
            if let Some(other) = at.replace(name.to_owned()) {
                return Err(unfit(format!(
                    "`{other}` and `{name}` are the same layer: remove one of them"
                )));
            }
        }
        if places.is_empty() {
            return Err(unfit(format!(
                "none of its tensors is a LoRA of a Stable Diffusion U-Net or text encoder, so it is for another base model; it begins with {}",
                first_five(weights.names())
            )));
        }
        let most = |format: Format| counts[format as usize];
        let format = [Format::Peft, Format::Diffusers, Format::Kohya]
            .into_iter()
            .max_by_key(|format| most(*format))
            .unwrap_or(Format::Peft);
        let file = Self {
            weights,
            places,
            format,
            ignored,
        };
        for (layer, place) in &file.places {
            file.check(layer, place)?;
        }
        Ok(file)
    }

    /// Whether the tensors of a layer fit together, before one is read.
    fn check(&self, layer: &Layer, place: &Place) -> Result<(), SystemError> {
        let unfit = |reason: String| Err(SystemError::from(self.weights.unfit(reason)));
        let shape = |name: &Option<String>| {
            let name = name.as_deref()?;
            Some((name.to_owned(), self.weights.shape(name)?.to_vec()))
        };
        match (shape(&place.down), shape(&place.up), shape(&place.dense)) {
            (None, None, Some((name, dense))) => match dense.as_slice() {
                [out, input] if *out > 0 && *input > 0 => Ok(()),
                _ => unfit(format!("`{name}` is {dense:?}, which is not a matrix")),
            },
            (Some((name, down)), Some((other, up)), None) => {
                let ranks = [down.first(), up.get(1)].map(|rank| rank.copied().unwrap_or(0));
                if ranks.contains(&0) || down.len() < 2 || down.contains(&0) || up.contains(&0) {
                    return unfit(format!(
                        "`{layer}` has rank 0 or an empty factor (`{name}` {down:?}, `{other}` {up:?}): export it again"
                    ));
                }
                if ranks[0] != ranks[1] || up[2..].iter().any(|side| *side != 1) {
                    return unfit(format!(
                        "the factors of `{layer}` do not fit together (`{name}` {down:?}, `{other}` {up:?}): export it again"
                    ));
                }
                Ok(())
            }
            (down, _, _) => unfit(format!(
                "`{layer}` has only its {} factor: the file is incomplete, download or export it again",
                if down.is_some() { "down" } else { "up" }
            )),
        }
    }

    /// The adapted layers, sorted.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.places.keys()
    }

    /// Whether it adapts `layer`.
    pub fn has(&self, layer: &Layer) -> bool {
        self.places.contains_key(layer)
    }

    /// The path, for messages.
    pub fn origin(&self) -> &str {
        self.weights.origin()
    }

    /// Layers that have no alpha.
    pub fn without_alpha(&self) -> usize {
        let absent = |place: &&Place| place.alpha.is_none();
        self.places.values().filter(absent).count()
    }

    /// How many values are NaN or infinite, by layer; layers without one are left out.
    ///
    /// # Errors
    /// When the values cannot be read.
    pub fn not_finite(&self) -> Result<BTreeMap<Layer, usize>, SystemError> {
        let mut found = BTreeMap::new();
        for (layer, place) in &self.places {
            let names = [&place.down, &place.up, &place.alpha, &place.dense];
            let mut count = 0;
            for name in names.into_iter().flatten() {
                let values = match self.weights.values(name) {
                    // What holds no floats holds no NaN.
                    Err(WeightsError::Type { .. }) => continue,
                    values => values?,
                };
                count += values.iter().filter(|value| !value.is_finite()).count();
            }
            if count > 0 {
                found.insert(layer.clone(), count);
            }
        }
        Ok(found)
    }

    /// The file's metadata.
    pub fn metadata(&self) -> &std::collections::HashMap<String, String> {
        self.weights.metadata()
    }

    /// Width of the text that the attentions read: 768, 1024, 2048; none where no `attn2.to_k` is adapted.
    pub fn text_width(&self) -> Option<usize> {
        let (_, place) = self.places.iter().find(|(layer, _)| {
            let module = &layer.module;
            layer.network == Network::Unet
                && (module.ends_with("attn2.to_k") || module.ends_with("attn2.to_v"))
        })?;
        let name = place.down.as_ref().or(place.dense.as_ref())?;
        self.weights.shape(name)?.get(1).copied()
    }

    /// The element type of its factors.
    pub fn precision(&self) -> Precision {
        let name = self
            .places
            .values()
            .find_map(|place| place.down.as_ref().or(place.dense.as_ref()));
        match name.and_then(|name| self.weights.kind(name)) {
            Some((safetensors::Dtype::F16, _)) => Precision::F16,
            Some((safetensors::Dtype::BF16, _)) => Precision::BF16,
            _ => Precision::F32,
        }
    }

    /// The first five names, for messages.
    pub fn begins_with(&self) -> String {
        first_five(self.weights.names())
    }

    /// `[out, in]` and rank of a layer (none where it is dense); none where it is not adapted.
    pub fn sizes(&self, layer: &Layer) -> Option<([usize; 2], Option<usize>)> {
        let place = self.places.get(layer)?;
        let shape = |name: &Option<String>| self.weights.shape(name.as_deref()?);
        match (shape(&place.down), shape(&place.up), shape(&place.dense)) {
            (Some(down), Some(up), _) => Some(([up[0], down[1..].iter().product()], Some(down[0]))),
            (_, _, Some(dense)) => Some(([dense[0], dense[1]], None)),
            _ => None,
        }
    }

    /// The factors of `layer`; a dense update as its nearest factors of rank [`DENSE_RANK`]. None where it is not adapted.
    ///
    /// # Errors
    /// When the values cannot be read, or are not finite.
    pub fn factors(&self, layer: &Layer) -> Result<Option<Factors>, SystemError> {
        let Some(place) = self.places.get(layer) else {
            return Ok(None);
        };
        let ([out, input], rank) = self.sizes(layer).unwrap_or_default();
        let values = |name: &Option<String>| -> Result<Vec<f32>, SystemError> {
            let name = name.as_deref().unwrap_or_default();
            let values = self.weights.values(name)?;
            match values.iter().all(|value| value.is_finite()) {
                true => Ok(values),
                false => Err(self
                    .weights
                    .unfit(format!(
                        "`{name}` holds values that are not finite: export it again"
                    ))
                    .into()),
            }
        };
        let matrix = |rows, columns, values| {
            Matrix::new(rows, columns, values).ok_or_else(|| {
                SystemError::from(self.weights.unfit(format!("`{layer}` is cut short")))
            })
        };
        let Some(rank) = rank else {
            let dense = matrix(out, input, values(&place.dense)?)?;
            let (up, down) = truncated(&dense, DENSE_RANK);
            return Ok(Some(Factors::new(down, up)));
        };
        let alpha = match &place.alpha {
            None => None,
            Some(name) => match self.weights.values(name)?.first() {
                Some(alpha) if alpha.is_finite() => Some(*alpha),
                _ => {
                    return Err(self
                        .weights
                        .unfit(format!("`{name}` is not a number"))
                        .into());
                }
            },
        };
        let shape = place
            .down
            .as_deref()
            .and_then(|name| self.weights.shape(name));
        Ok(Some(Factors {
            down: matrix(rank, input, values(&place.down)?)?,
            up: matrix(out, rank, values(&place.up)?)?,
            alpha,
            kernel: shape
                .and_then(|shape| shape.get(2..))
                .unwrap_or_default()
                .to_vec(),
        }))
    }
}

/// The first five names in backticks.
fn first_five<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.take(5).map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Adds the factors of one layer to a file; alpha equals the rank.
///
/// # Errors
/// When a value is too large for `precision`.
pub fn put(
    file: &mut TensorFile,
    layer: &Layer,
    factors: &Factors,
    format: Format,
    precision: Precision,
) -> Result<(), SystemError> {
    let [down, up, alpha] = layer.names(format);
    let rank = factors.rank();
    let kernel = &factors.kernel;
    let channels = factors.down.columns / kernel.iter().product::<usize>().max(1);
    let shape: Vec<usize> = [rank, channels].iter().chain(kernel).copied().collect();
    file.floats(&down, &shape, &factors.down.values, precision)?;
    let ones = kernel.iter().map(|_| 1);
    let shape: Vec<usize> = [factors.up.rows, rank].into_iter().chain(ones).collect();
    file.floats(&up, &shape, &factors.up.values, precision)?;
    if format == Format::Kohya {
        file.floats(&alpha, &[], &[rank as f32], precision)?;
    }
    Ok(())
}
