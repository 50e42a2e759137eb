//! Adafactor (Shazeer & Stern, arXiv:1804.04235).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Optimizer, OptimizerState, ParamState, Slot, StepSize};

/// Hyper-parameters of [`Adafactor`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdafactorConfig {
    /// Decay of the momentum; none when absent.
    pub beta1: Option<f64>,
    /// A constant decay of the second moment; when absent it is `1 − t^decay_rate`.
    pub beta2: Option<f64>,
    /// Exponent of the second moment's decay, negative.
    pub decay_rate: f64,
    /// Largest root mean square of an update before the learning rate.
    pub clip_threshold: f64,
    /// Added to squared gradients.
    pub eps_square: f64,
    /// Smallest scale of a parameter, for `scale_parameter`.
    pub eps_scale: f64,
    /// Share of a weight that is taken off per unit of learning rate.
    pub weight_decay: f64,
    /// Whether vectors (biases, norm scales) decay too.
    pub decay_vectors: bool,
    /// Multiplies the learning rate by the parameter's root mean square.
    pub scale_parameter: bool,
    /// Replaces the learning rate by `min(0.01, 1/√t)`.
    pub relative_step: bool,
}

impl Default for AdafactorConfig {
    fn default() -> Self {
        Self {
            beta1: None,
            beta2: None,
            decay_rate: -0.8,
            clip_threshold: 1.0,
            eps_square: 1e-30,
            eps_scale: 1e-3,
            weight_decay: 0.0,
            decay_vectors: false,
            scale_parameter: false,
            relative_step: false,
        }
    }
}

/// Adafactor: the second moment of a matrix is kept as its row and column means. Tensors of more axes are
/// stacks of matrices over their last two; vectors keep the full second moment.
#[derive(Debug)]
pub struct Adafactor {
    config: AdafactorConfig,
    state: OptimizerState,
}

/// The second moment.
#[expect(
    clippy::large_enum_variant,
    reason = "one a parameter; the values are elsewhere"
)]
enum Square {
    Full(Tensor<1>),
    Factored { row: Tensor<1>, column: Tensor<1> },
}

/// The shape of a tensor seen as a stack of matrices.
#[derive(Clone, Copy)]
struct Stack {
    count: usize,
    rows: usize,
    columns: usize,
}

impl Stack {
    fn of(shape: &[usize]) -> Option<Self> {
        match shape {
            [outer @ .., rows, columns] => Some(Self {
                count: outer.iter().product(),
                rows: *rows,
                columns: *columns,
            }),
            _ => None,
        }
    }
}

impl Adafactor {
    /// An optimiser that has not taken a step.
    pub fn new(config: AdafactorConfig) -> Self {
        Self {
            config,
            state: OptimizerState::new(),
        }
    }

    /// `min(0.01, 1/√t)` or the given rate, times the parameter's scale where asked for.
    fn step_size(&self, steps: u64, values: &Tensor<1>, learning_rate: f64) -> f64 {
        let rate = if self.config.relative_step {
            (steps as f64).sqrt().recip().min(1e-2)
        } else {
            learning_rate
        };
        if self.config.scale_parameter {
            rate * root_mean_square(values).max(self.config.eps_scale)
        } else {
            rate
        }
    }
}

impl Optimizer for Adafactor {
    fn update(
        &mut self,
        slot: Slot,
        values: Tensor<1>,
        gradient: Tensor<1>,
        size: StepSize,
    ) -> Tensor<1> {
        let gradient = match size.gradient_scale {
            1.0 => gradient,
            scale => gradient.mul_scalar(scale),
        };
        let mut part = self.state.remove(slot.path).unwrap_or_default();
        part.steps += 1;
        let steps = part.steps;
        let beta2 = self
            .config
            .beta2
            .unwrap_or_else(|| 1.0 - (steps as f64).powf(self.config.decay_rate));
        let rate = self.step_size(steps, &values, size.learning_rate);

        let squared = gradient
            .clone()
            .mul(gradient.clone())
            .add_scalar(self.config.eps_square);
        let square = match Stack::of(slot.shape) {
            None => Square::Full(blend(part.tensors.remove("square"), squared, beta2)),
            Some(stack) => Square::factored(&mut part, squared, stack, beta2),
        };
        let update = square.normalise(gradient, slot.shape);
        let excess = root_mean_square(&update) / self.config.clip_threshold;
        let update = update.mul_scalar(rate / excess.max(1.0));
        let mean = part.tensors.remove("mean");
        let update = match self.config.beta1 {
            None => update,
            Some(beta1) => {
                let mean = blend(mean, update, beta1);
                part.put("mean", mean.clone());
                mean
            }
        };
        let decays = self.config.decay_vectors || slot.shape.len() > 1;
        let kept = if decays && self.config.weight_decay != 0.0 {
            values.mul_scalar(1.0 - rate * self.config.weight_decay)
        } else {
            values
        };
        square.keep(&mut part);
        self.state.insert(slot.path.to_owned(), part);
        kept.sub(update)
    }

    fn state(&self) -> OptimizerState {
        self.state.clone()
    }

    fn restore(&mut self, state: OptimizerState) {
        self.state = state;
    }
}

impl Square {
    fn factored(part: &mut ParamState, squared: Tensor<1>, stack: Stack, beta2: f64) -> Self {
        let Stack {
            count,
            rows,
            columns,
        } = stack;
        let squared = squared.reshape([count, rows, columns]);
        let row = squared.clone().mean_dim(2).reshape([count * rows]);
        let column = squared.mean_dim(1).reshape([count * columns]);
        Self::Factored {
            row: blend(part.tensors.remove("row"), row, beta2),
            column: blend(part.tensors.remove("column"), column, beta2),
        }
    }

    fn keep(self, part: &mut ParamState) {
        match self {
            Self::Full(square) => part.put("square", square),
            Self::Factored { row, column } => {
                part.put("row", row);
                part.put("column", column);
            }
        }
    }

    /// `gradient` divided by the root of the second moment, which for a matrix is estimated by
    /// `row · column / mean(row)`.
    fn normalise(&self, gradient: Tensor<1>, shape: &[usize]) -> Tensor<1> {
        match (self, Stack::of(shape)) {
            (Self::Factored { row, column }, Some(stack)) => {
                let Stack {
                    count,
                    rows,
                    columns,
                } = stack;
                let row = row.clone().reshape([count, rows, 1]);
                let row = row.clone().div(row.mean_dim(1)).sqrt().recip();
                let column = column.clone().reshape([count, 1, columns]).sqrt().recip();
                gradient
                    .reshape([count, rows, columns])
                    .mul(row)
                    .mul(column)
                    .reshape([count * rows * columns])
            }
            (Self::Full(square), _) => gradient.div(square.clone().sqrt()),
            // A vector never gets a factored moment.
            (Self::Factored { .. }, None) => gradient,
        }
    }
}

/// `decay · before + (1 − decay) · now`, with zero before the first step.
fn blend(before: Option<Tensor<1>>, now: Tensor<1>, decay: f64) -> Tensor<1> {
    match before {
        Some(before) => before.mul_scalar(decay).add(now.mul_scalar(1.0 - decay)),
        None => now.mul_scalar(1.0 - decay),
    }
}

fn root_mean_square(tensor: &Tensor<1>) -> f64 {
    let count = tensor.shape().num_elements().max(1);
    (super::step::sum_of_squares(tensor) / count as f64).sqrt()
}
