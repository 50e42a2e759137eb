use burn::module::{Module, Param, ParamId, Parameter};
use burn::tensor::{Device, Tensor, TensorData};

use super::weight_storage;
use crate::ops;
use base::rng::Rng;

/// How the weight of a new layer is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Uniform in `±√(6 / (in + out))`, the transformer default.
    Xavier,
    /// Normal with this standard deviation.
    Normal(f32),
    /// All zeros: the layer is silent at the start.
    Zeros,
    /// Uniform in `±1/√in`, drawn when it is first read: never where a checkpoint fills it.
    Lazy,
}

impl Init {
    /// Draws a `[rows, columns]` weight.
    pub fn weight(
        self,
        rows: usize,
        columns: usize,
        rng: &mut Rng,
        device: &Device,
    ) -> Param<Tensor<2>> {
        let count = rows * columns;
        let values = match self {
            Init::Lazy => return lazily([rows, columns], rng, device),
            Init::Xavier => {
                let bound = libm::sqrtf(6.0 / (rows + columns) as f32);
                (0..count)
                    .map(|_| (2.0 * rng.uniform() - 1.0) * bound)
                    .collect()
            }
            Init::Normal(deviation) => (0..count).map(|_| rng.normal() * deviation).collect(),
            Init::Zeros => vec![0.0; count],
        };
        Param::from_data(TensorData::new(values, [rows, columns]), device)
    }
}

/// A weight `[out, in..]`, uniform in `±1/√in`, that is drawn when it is first read.
pub(super) fn lazily<const D: usize>(
    shape: [usize; D],
    rng: &mut Rng,
    device: &Device,
) -> Param<Tensor<D>> {
    let rng = rng.split();
    let draw = move |device: &Device, gradient: bool| {
        let mut rng = rng.clone();
        let fan = shape[1..].iter().product::<usize>().max(1);
        let bound = libm::sqrtf(fan as f32).recip();
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| (2.0 * rng.uniform() - 1.0) * bound)
            .collect();
        let tensor = Tensor::from_data(TensorData::new(values, shape), device);
        Parameter::set_require_grad(tensor, gradient)
    };
    Param::uninitialized(ParamId::new(), draw, device.clone(), true, shape.into())
}

/// An affine map; defaults: bias, Xavier.
#[derive(Clone, Debug)]
pub struct LinearConfig {
    /// Width of the input.
    pub input: usize,
    /// Width of the output.
    pub output: usize,
    /// Whether a bias is added.
    pub bias: bool,
    /// How the weight is drawn; the bias starts at zero.
    pub init: Init,
}

impl LinearConfig {
    /// `input → output` with the defaults.
    pub fn new(input: usize, output: usize) -> Self {
        Self {
            input,
            output,
            bias: true,
            init: Init::Xavier,
        }
    }

    /// The same with another initialisation.
    pub fn with_init(mut self, init: Init) -> Self {
        self.init = init;
        self
    }

    /// The same without a bias.
    pub fn without_bias(mut self) -> Self {
        self.bias = false;
        self
    }

    /// Draws the layer.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> Linear {
        let bias = TensorData::zeros::<f32, _>([self.output]);
        Linear::new(
            self.init.weight(self.output, self.input, rng, device),
            self.bias.then(|| Param::from_data(bias, device)),
        )
    }
}

/// See [`LinearConfig`]. The weight is dense, or of reduced precision ([`crate::weights::load_with`]).
#[derive(Module, Debug)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    packed: ops::PackedOnce,
}

impl Linear {
    /// Of a weight `[out, in]` and a bias `[out]`.
    pub fn new(weight: Param<Tensor<2>>, bias: Option<Param<Tensor<1>>>) -> Self {
        Self {
            weight,
            bias,
            packed: ops::PackedOnce::default(),
        }
    }

    /// `[.., in]` → `[.., out]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let bias = self.bias.as_ref().map(Param::val);
        weight_storage::linear(&x, &self.weight, bias.clone())
            .unwrap_or_else(|| ops::linear_packed(x, self.weight.val(), bias, &self.packed))
    }
}
