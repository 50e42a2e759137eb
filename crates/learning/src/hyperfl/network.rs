//! The small convolutional networks: forward, gradient, and the derivative of the gradient along a direction.
//!
//! A network is convolutions, LeakyReLU, max pooling and linear layers, with a mean cross entropy behind. All of them are linear
//! or piecewise linear in their input, so forward-mode differentiation of the backward pass (Pearlmutter's R operator) gives
//! exact products of second derivatives with a direction at about twice the cost of a gradient.

use std::ops::Range;

use base::rng::Rng;

use super::layer::{Dual, Layer, Shape};
use super::layout::Layout;
use super::loss::{Targets, cross_entropy};
use crate::error::{LearningError, Result};

/// Slope of LeakyReLU below zero.
const SLOPE: f32 = 0.01;

/// A classifier of pictures; `fc2`, its last layer, is the private head.
#[derive(Clone, Debug)]
pub struct Network {
    /// Channels, rows and columns of a picture.
    pub input: [usize; 3],
    /// Number of labels.
    pub classes: usize,
    /// Names and places of the parameters, in state-dict order.
    pub layout: Layout,
    layers: Vec<Layer>,
    head: usize,
}

/// What the forward pass leaves for the backward pass.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Pictures.
    pub batch: usize,
    /// Input of each layer.
    inputs: Vec<Vec<f32>>,
    /// Which value each result of a pooling layer is.
    picks: Vec<Vec<u32>>,
    /// `[batch, classes]`.
    pub logits: Vec<f32>,
}

/// A loss and its gradients.
#[derive(Clone, Debug, Default)]
pub struct Gradient {
    /// Mean cross entropy.
    pub loss: f32,
    /// Of the parameters.
    pub params: Vec<f32>,
    /// Of the pictures, `[batch, channels, rows, columns]`.
    pub input: Vec<f32>,
}

/// The gradient, and its derivative along a direction in the space of the parameters.
#[derive(Clone, Debug, Default)]
pub struct Second {
    /// The gradient itself.
    pub first: Gradient,
    /// Derivative of the gradient of the parameters: the Hessian times the direction.
    pub params: Vec<f32>,
    /// Derivative of the gradient of the pictures.
    pub input: Vec<f32>,
    /// Derivative of the gradient of the target probabilities, `[batch, classes]`.
    pub targets: Vec<f32>,
}

/// Anything with a loss that can be differentiated twice, for training and for attacks.
pub trait Model: Sync {
    /// Number of parameters.
    fn len(&self) -> usize;

    /// Whether there are no parameters.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Loss and gradients at `params`.
    ///
    /// # Errors
    /// Where lengths do not fit the model.
    fn gradient(&self, params: &[f32], x: &[f32], targets: &Targets) -> Result<Gradient>;

    /// Derivative of the gradient along `direction`.
    ///
    /// # Errors
    /// As [`Model::gradient`].
    fn second(
        &self,
        params: &[f32],
        direction: &[f32],
        x: &[f32],
        targets: &Targets,
    ) -> Result<Second>;
}

impl Network {
    /// The CIFAR network of the paper: three convolutions on `[3, 32, 32]`, 107,690 parameters for 10 labels.
    pub fn cifar(classes: usize) -> Self {
        Self::build([3, 32, 32], classes, &[(16, 5, 0), (32, 5, 1), (64, 3, 1)])
    }

    /// The F-MNIST and EMNIST network: two convolutions on `[1, 28, 28]`, 117,066 parameters for 10 labels.
    pub fn fmnist(classes: usize) -> Self {
        Self::build([1, 28, 28], classes, &[(16, 5, 0), (32, 5, 1)])
    }

    /// The network for pictures of this shape.
    ///
    /// # Errors
    /// Where there is none.
    pub fn for_pictures(shape: [usize; 3], classes: usize) -> Result<Self> {
        match shape {
            [1, 28, 28] => Ok(Self::fmnist(classes)),
            [3, 32, 32] => Ok(Self::cifar(classes)),
            other => Err(LearningError::invalid(format!(
                "pictures of {other:?} (channels, rows, columns) fit no network: give [1, 28, 28] or [3, 32, 32]"
            ))),
        }
    }

    /// Convolutions `(channels, kernel, padding)`, each with LeakyReLU and pooling behind, then `fc1` of 128 and `fc2`.
    fn build(input: [usize; 3], classes: usize, convs: &[(usize, usize, usize)]) -> Self {
        let mut layout = Layout::default();
        let mut layers = Vec::new();
        let [mut channels, mut rows, mut columns] = input;
        for (at, &(out, kernel, padding)) in convs.iter().enumerate() {
            let name = format!("conv{}", at + 1);
            let weight = layout.push(format!("{name}.weight"), &[out, channels, kernel, kernel]);
            let bias = layout.push(format!("{name}.bias"), &[out]);
            layers.push(Layer::Conv {
                input: Shape([channels, rows, columns]),
                out,
                kernel,
                padding,
                weight,
                bias,
            });
            channels = out;
            rows = rows + 2 * padding - kernel + 1;
            columns = columns + 2 * padding - kernel + 1;
            layers.push(Layer::Leaky(SLOPE));
            layers.push(Layer::Pool(Shape([channels, rows, columns])));
            (rows, columns) = (rows / 2, columns / 2);
        }
        let mut width = channels * rows * columns;
        for (name, out) in [("fc1", 128), ("fc2", classes)] {
            let weight = layout.push(format!("{name}.weight"), &[out, width]);
            let bias = layout.push(format!("{name}.bias"), &[out]);
            layers.push(Layer::Linear {
                input: width,
                out,
                weight,
                bias,
            });
            if name == "fc1" {
                layers.push(Layer::Leaky(SLOPE));
            }
            width = out;
        }
        let head = layout.find("fc2.weight").map_or(0, |range| range.start);
        Self {
            input,
            classes,
            layout,
            layers,
            head,
        }
    }

    /// Values of a picture.
    pub fn image(&self) -> usize {
        self.input.iter().product()
    }

    /// Place of the feature extractor among the parameters: all but `fc2`.
    pub fn extractor(&self) -> Range<usize> {
        0..self.head
    }

    /// Place of the classifier head `fc2` among the parameters.
    pub fn head(&self) -> Range<usize> {
        self.head..self.layout.len()
    }

    /// PyTorch's default initialisation: weights and biases uniform within `1/√fan-in`.
    pub fn init(&self, rng: &mut Rng) -> Vec<f32> {
        let mut params = vec![0.0; self.layout.len()];
        let mut bound = 1.0;
        for slot in self.layout.slots() {
            if slot.shape.len() > 1 {
                let fan_in: usize = slot.shape[1..].iter().product();
                bound = 1.0 / (fan_in as f32).sqrt();
            }
            for value in &mut params[slot.range.clone()] {
                *value = bound * (2.0 * rng.uniform() - 1.0);
            }
        }
        params
    }

    /// Runs the network on `x` `[batch, channels, rows, columns]`.
    ///
    /// # Errors
    /// Where lengths do not fit.
    pub fn forward(&self, params: &[f32], x: &[f32]) -> Result<Pass> {
        let batch = self.batch_of(params, x)?;
        let mut inputs = Vec::with_capacity(self.layers.len());
        let mut picks = Vec::new();
        let mut value = x.to_vec();
        for layer in &self.layers {
            let (next, pick) = layer.forward(params, &value, batch)?;
            picks.push(pick);
            inputs.push(std::mem::replace(&mut value, next));
        }
        Ok(Pass {
            batch,
            inputs,
            picks,
            logits: value,
        })
    }

    /// Gradients of the parameters in `wanted` (others stay zero), and of the pictures where `input` says so, from that of
    /// the logits.
    ///
    /// # Errors
    /// Where lengths do not fit.
    pub fn backward(
        &self,
        params: &[f32],
        pass: &Pass,
        logits: Vec<f32>,
        wanted: Range<usize>,
        input: bool,
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let mut grads = vec![0.0; params.len()];
        let mut grad = logits;
        let lowest = match input {
            true => 0,
            false => self.lowest(&wanted),
        };
        for (at, layer) in self.layers.iter().enumerate().skip(lowest).rev() {
            layer.backward_params(&pass.inputs[at], &grad, &mut grads, pass.batch)?;
            if at > lowest || input {
                let (x, picks) = (&pass.inputs[at], &pass.picks[at]);
                grad = layer.backward_input(params, x, picks, &grad, pass.batch)?;
            }
        }
        if !input {
            grad.clear();
        }
        grads[..wanted.start].fill(0.0);
        grads[wanted.end..].fill(0.0);
        Ok((grads, grad))
    }

    /// Loss and gradient of the parameters in `wanted`, for training.
    ///
    /// # Errors
    /// Where lengths do not fit.
    pub fn train_gradient(
        &self,
        params: &[f32],
        x: &[f32],
        labels: &[u8],
        wanted: Range<usize>,
    ) -> Result<(f32, Vec<f32>)> {
        let pass = self.forward(params, x)?;
        let targets = Targets::Labels(labels.to_vec());
        let (loss, logits) = cross_entropy(&pass.logits, &targets, self.classes)?;
        let (grads, _) = self.backward(params, &pass, logits, wanted, false)?;
        Ok((loss, grads))
    }

    /// The first layer with parameters in `wanted`.
    fn lowest(&self, wanted: &Range<usize>) -> usize {
        let touches = |layer: &Layer| {
            layer
                .params()
                .is_some_and(|range| range.start < wanted.end && wanted.start < range.end)
        };
        self.layers.iter().position(touches).unwrap_or(0)
    }

    fn batch_of(&self, params: &[f32], x: &[f32]) -> Result<usize> {
        let picture = self.image();
        if params.len() != self.layout.len() || x.is_empty() || !x.len().is_multiple_of(picture) {
            return Err(LearningError::invalid(format!(
                "{} parameters and {} picture values do not fit a network of {} parameters for pictures of {picture} values",
                params.len(),
                x.len(),
                self.layout.len()
            )));
        }
        Ok(x.len() / picture)
    }
}

impl Model for Network {
    fn len(&self) -> usize {
        self.layout.len()
    }

    fn gradient(&self, params: &[f32], x: &[f32], targets: &Targets) -> Result<Gradient> {
        let pass = self.forward(params, x)?;
        let (loss, logits) = cross_entropy(&pass.logits, targets, self.classes)?;
        let (params, input) = self.backward(params, &pass, logits, 0..params.len(), true)?;
        Ok(Gradient {
            loss,
            params,
            input,
        })
    }

    fn second(
        &self,
        params: &[f32],
        direction: &[f32],
        x: &[f32],
        targets: &Targets,
    ) -> Result<Second> {
        let pass = self.forward(params, x)?;
        let batch = pass.batch;
        // The pictures do not move; the parameters do.
        let mut moved: Vec<Option<Vec<f32>>> = vec![None];
        for (at, layer) in self.layers.iter().enumerate() {
            let dual = Dual {
                value: &pass.inputs[at],
                moved: moved[at].as_deref(),
            };
            let next = layer.forward_dual(params, direction, dual, &pass.picks[at], batch)?;
            moved.push(next);
        }
        let zeros = vec![0.0; pass.logits.len()];
        let logits_moved = moved.pop().flatten().unwrap_or(zeros);
        let (loss, mut grad) = cross_entropy(&pass.logits, targets, self.classes)?;
        let (mut grad_moved, targets_moved) =
            super::loss::cross_entropy_moved(&pass.logits, &logits_moved, self.classes);
        let mut second = Second {
            params: vec![0.0; params.len()],
            targets: targets_moved,
            ..Second::default()
        };
        second.first.loss = loss;
        second.first.params = vec![0.0; params.len()];
        for (at, layer) in self.layers.iter().enumerate().rev() {
            let (x, picks) = (&pass.inputs[at], &pass.picks[at]);
            layer.backward_params(x, &grad, &mut second.first.params, batch)?;
            layer.backward_params(x, &grad_moved, &mut second.params, batch)?;
            if let Some(moved) = &moved[at] {
                layer.backward_params(moved, &grad, &mut second.params, batch)?;
            }
            let mut next = layer.backward_input(params, x, picks, &grad_moved, batch)?;
            if layer.params().is_some() {
                let more = layer.backward_input(direction, x, picks, &grad, batch)?;
                super::vector::add_scaled(&mut next, 1.0, &more);
            }
            grad_moved = next;
            grad = layer.backward_input(params, x, picks, &grad, batch)?;
        }
        second.first.input = grad;
        second.input = grad_moved;
        Ok(second)
    }
}
