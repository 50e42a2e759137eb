//! The merging hypernetwork: from the columns of two updates to two coefficients a column.

use std::collections::BTreeMap;

use base::rng::Rng;
use base::tensor_file::{Precision, TensorFile, Weights};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData, activation::relu};
use engine::nn::Linear;
use engine::ops;

use super::SystemError;
use super::adapter::Factors;
use super::merge::Columns;

/// Hidden units of the published networks.
pub const HIDDEN: usize = 128;
/// Widths of SDXL's and KOALA's attentions.
pub const SDXL_WIDTHS: [usize; 2] = [640, 1280];
/// Largest width and hidden size that are read from a file.
const LARGEST: usize = 1 << 16;

/// `relu(W_w · [content column | style column] + b_w)` with one `W_w` a width, then two outputs that all widths share.
#[derive(Module, Debug)]
pub struct Hypernet {
    /// One layer a width `w`, `[hidden, 2w]`.
    pub inputs: Vec<Linear>,
    /// `[2, hidden]`: coefficients of content and style.
    pub output: Linear,
}

/// The two factors of an update on a device; the scale is in `up` where the network shall see it.
#[derive(Clone, Debug)]
pub struct FactorTensors {
    /// `A`, `[rank, in]`.
    pub down: Tensor<2>,
    /// `B`, `[out, rank]`.
    pub up: Tensor<2>,
}

impl FactorTensors {
    /// `factors` on `device`, with alpha / rank in `up`.
    pub fn effective(factors: &Factors, device: &Device) -> Self {
        Self {
            up: factors.up.tensor(device) * factors.scale(),
            ..Self::raw(factors, device)
        }
    }

    /// `factors` on `device` without alpha, as the published networks see them.
    pub fn raw(factors: &Factors, device: &Device) -> Self {
        Self {
            down: factors.down.tensor(device),
            up: factors.up.tensor(device),
        }
    }

    /// An update of nothing, `[out, in]`.
    pub fn nothing([output, input]: [usize; 2], device: &Device) -> Self {
        Self {
            down: Tensor::zeros([1, input], device),
            up: Tensor::zeros([output, 1], device),
        }
    }

    /// The update's product with `x`: `x · (up · down)ᵀ`, `[.., in]` → `[.., out]`.
    pub fn apply<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::linear(
            ops::linear(x, self.down.clone(), None),
            self.up.clone(),
            None,
        )
    }
}

/// One coefficient a column, for content and style, `[in]` each.
#[derive(Clone, Debug)]
pub struct Coefficients {
    /// Of the content update.
    pub content: Tensor<1>,
    /// Of the style update.
    pub style: Tensor<1>,
}

impl Coefficients {
    /// All ones: the plain sum, as for key and value projections.
    pub fn ones(columns: usize, device: &Device) -> Self {
        let ones = Tensor::ones([columns], device);
        Self {
            content: ones.clone(),
            style: ones,
        }
    }

    /// The values of both.
    ///
    /// # Errors
    /// When they cannot be read from their device.
    pub fn values(self) -> Result<Columns, SystemError> {
        Ok([values(self.content)?, values(self.style)?])
    }

    /// `|cos|` of the two, `[1]`; 0 where one is all zeros, as PyTorch has it.
    pub fn similarity(&self) -> Tensor<1> {
        let dot = (self.content.clone() * self.style.clone()).sum();
        let squares = |it: &Tensor<1>| it.clone().square().sum();
        // Under the root, so that the gradient at zeros is finite.
        let norms = squares(&self.content) * squares(&self.style);
        dot.abs() / norms.clamp_min(1e-16).sqrt()
    }
}

impl Hypernet {
    /// A new network for `widths`, drawn as PyTorch draws linear layers: uniform in `±1/√inputs`, biases too.
    pub fn new(widths: &[usize], hidden: usize, rng: &mut Rng, device: &Device) -> Self {
        let mut layer = |input: usize, output: usize| {
            let bound = 1.0 / (input as f32).sqrt();
            let mut drawn = |count: usize| -> Vec<f32> {
                (0..count)
                    .map(|_| (2.0 * rng.uniform() - 1.0) * bound)
                    .collect()
            };
            linear(drawn(output * input), drawn(output), device)
        };
        Self {
            inputs: widths
                .iter()
                .map(|width| layer(2 * width, hidden))
                .collect(),
            output: layer(hidden, 2),
        }
    }

    /// The widths it has a layer for.
    pub fn widths(&self) -> Vec<usize> {
        self.inputs
            .iter()
            .map(|layer| layer.weight.dims()[1] / 2)
            .collect()
    }

    /// The number of its parameters.
    pub fn parameters(&self) -> usize {
        self.num_params()
    }

    fn input(&self, width: usize) -> Option<&Linear> {
        self.inputs
            .iter()
            .find(|layer| layer.weight.dims()[1] == 2 * width)
    }

    /// Coefficients, `[columns, 2]`, for columns that are given whole, `[columns, 2 · width]`; none where the width is unknown.
    pub fn forward(&self, columns: Tensor<2>) -> Option<Tensor<2>> {
        let input = self.input(columns.dims()[1] / 2)?;
        Some(self.output.forward(relu(input.forward(columns))))
    }

    /// Coefficients of a square layer from the factors of its two updates; the updates themselves are never made:
    /// `[D_cᵀ | D_sᵀ] Wᵀ = A_cᵀ (B_cᵀ W_aᵀ) + A_sᵀ (B_sᵀ W_bᵀ)`. None where the width is unknown.
    pub fn coefficients(
        &self,
        content: &FactorTensors,
        style: &FactorTensors,
    ) -> Option<Coefficients> {
        let width = content.up.dims()[0];
        let input = self.input(width)?;
        let weight = input.weight.val();
        let half = |factors: &FactorTensors, at: usize| {
            let weight = weight.clone().narrow(1, at * width, width);
            // `W · B`, `[hidden, rank]`, then `Aᵀ · (W · B)ᵀ`, `[in, hidden]`.
            let inner = ops::linear(weight, factors.up.clone().transpose(), None);
            ops::linear(factors.down.clone().transpose(), inner, None)
        };
        let mut sum = half(content, 0) + half(style, 1);
        if let Some(bias) = &input.bias {
            sum = sum + bias.val().unsqueeze();
        }
        let pairs = self.output.forward(relu(sum));
        let columns = pairs.dims()[0];
        let column = |at: usize| pairs.clone().narrow(1, at, 1).reshape([columns]);
        Some(Coefficients {
            content: column(0),
            style: column(1),
        })
    }

    /// Reads a network by its official names: `input_K.weight` and `.bias` for any K, `output.1.weight` and `.bias`.
    ///
    /// # Errors
    /// [`SystemError`] where tensors are missing or do not fit together.
    pub fn load(weights: &Weights, device: &Device) -> Result<Self, SystemError> {
        let unfit = |reason: String| SystemError::from(weights.unfit(reason));
        let shape = |name: &str| weights.shape(name).unwrap_or_default().to_vec();
        let hidden = match shape("output.1.weight").as_slice() {
            [2, hidden] if (1..=LARGEST).contains(hidden) => *hidden,
            [] => {
                let names: Vec<String> = weights
                    .names()
                    .take(5)
                    .map(|name| format!("`{name}`"))
                    .collect();
                return Err(unfit(format!(
                    "it is not a hypernetwork of LoRA.rar, for it has no `output.1.weight`; it begins with {}: give the authors' `hypernet.pth` or a file with its names",
                    names.join(", ")
                )));
            }
            other => {
                return Err(unfit(format!(
                    "`output.1.weight` is {other:?} and not [2, hidden]"
                )));
            }
        };
        let read = |name: &str, rows: usize, columns: usize| {
            let bias = format!("{name}.bias");
            if shape(&bias) != [rows] {
                return Err(unfit(format!(
                    "`{bias}` is {:?} and not [{rows}]",
                    shape(&bias)
                )));
            }
            let weight = weights.values(&format!("{name}.weight"))?;
            if weight.len() != rows * columns {
                return Err(unfit(format!("`{name}.weight` is cut short")));
            }
            Ok(linear(weight, weights.values(&bias)?, device))
        };
        let mut inputs = BTreeMap::new();
        let stems = weights
            .names()
            .filter_map(|name| name.strip_suffix(".weight"));
        for name in stems.filter(|name| name.starts_with("input_")) {
            let width = match shape(&format!("{name}.weight")).as_slice() {
                [rows, twice]
                    if *rows == hidden && (2..=2 * LARGEST).contains(twice) && twice % 2 == 0 =>
                {
                    twice / 2
                }
                other => {
                    return Err(unfit(format!(
                        "`{name}.weight` is {other:?} and not [{hidden}, 2 · width]"
                    )));
                }
            };
            if inputs
                .insert(width, read(name, hidden, 2 * width)?)
                .is_some()
            {
                return Err(unfit(format!("two of its input layers have width {width}")));
            }
        }
        if inputs.is_empty() {
            return Err(unfit("it has no `input_K.weight`".into()));
        }
        Ok(Self {
            inputs: inputs.into_values().collect(),
            output: read("output.1", 2, hidden)?,
        })
    }

    /// The file of a network by its official names (`input_1`, `input_2`… by growing width), with notes in its metadata.
    ///
    /// # Errors
    /// When its values cannot be read from their device.
    pub fn file(&self, notes: &[(&str, &str)]) -> Result<TensorFile, SystemError> {
        let mut file = TensorFile::new();
        for (key, value) in notes {
            file.note(*key, *value);
        }
        let mut order: Vec<&Linear> = self.inputs.iter().collect();
        order.sort_by_key(|layer| layer.weight.dims()[1]);
        let named = order
            .iter()
            .enumerate()
            .map(|(at, layer)| (format!("input_{}", at + 1), *layer));
        for (name, layer) in named.chain([("output.1".to_owned(), &self.output)]) {
            let weight = layer.weight.val();
            let shape = weight.dims();
            file.floats(
                &format!("{name}.weight"),
                &shape,
                &values(weight)?,
                Precision::F32,
            )?;
            if let Some(bias) = &layer.bias {
                let bias = bias.val();
                file.floats(
                    &format!("{name}.bias"),
                    &bias.dims(),
                    &values(bias)?,
                    Precision::F32,
                )?;
            }
        }
        Ok(file)
    }
}

fn linear(weight: Vec<f32>, bias: Vec<f32>, device: &Device) -> Linear {
    let rows = bias.len();
    let columns = weight.len() / rows.max(1);
    Linear::new(
        Param::from_data(TensorData::new(weight, [rows, columns]), device),
        Some(Param::from_data(TensorData::new(bias, [rows]), device)),
    )
}

/// The values of a tensor, row-major.
///
/// # Errors
/// When they cannot be read from their device.
pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, SystemError> {
    let data = tensor.into_data().convert::<f32>();
    data.try_into_vec().map_err(|error| {
        SystemError::Input(format!(
            "cannot read values back from the device: {error:?}"
        ))
    })
}
