//! The layers that the small networks are made of.

use std::ops::Range;

use kernels::{
    ConvAxis, ConvDims, Level, LinearDims, Precision, channel_sums, column_sums, conv,
    conv_backward_input, conv_backward_weight, linear, linear_backward_input,
    linear_backward_weight,
};

use super::vector::add_scaled;
use crate::error::Result;

/// Channels, rows and columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape(pub(super) [usize; 3]);

/// A value and how it moves; `None` where it stands still.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dual<'a> {
    pub(super) value: &'a [f32],
    pub(super) moved: Option<&'a [f32]>,
}

#[derive(Clone, Debug)]
pub(super) enum Layer {
    Conv {
        input: Shape,
        out: usize,
        kernel: usize,
        padding: usize,
        weight: Range<usize>,
        bias: Range<usize>,
    },
    /// LeakyReLU with this slope below zero.
    Leaky(f32),
    /// The largest of 2 × 2 values; an odd last row or column is left out.
    Pool(Shape),
    Linear {
        input: usize,
        out: usize,
        weight: Range<usize>,
        bias: Range<usize>,
    },
}

const F32: Precision = Precision::F32;

fn dims(input: Shape, out: usize, kernel: usize, padding: usize, batch: usize) -> Result<ConvDims> {
    let Shape([channels, rows, columns]) = input;
    let axis = |input| ConvAxis {
        padding: [padding, padding],
        ..ConvAxis::new(input, kernel)
    };
    let axes = [axis(rows), axis(columns)];
    Ok(ConvDims::new(batch, channels, out, 1, &axes)?)
}

impl Layer {
    /// Place of its parameters, weight and bias.
    pub(super) fn params(&self) -> Option<Range<usize>> {
        match self {
            Self::Conv { weight, bias, .. } | Self::Linear { weight, bias, .. } => {
                Some(weight.start..bias.end)
            }
            _ => None,
        }
    }

    /// Its result and, for pooling, the place of each value that it took.
    pub(super) fn forward(
        &self,
        params: &[f32],
        x: &[f32],
        batch: usize,
    ) -> Result<(Vec<f32>, Vec<u32>)> {
        match self {
            Self::Leaky(slope) => {
                let leaky = |&x: &f32| if x > 0.0 { x } else { slope * x };
                Ok((x.iter().map(leaky).collect(), Vec::new()))
            }
            Self::Pool(shape) => Ok(pool(x, *shape, batch)),
            _ => Ok((self.affine(params, x, true, batch)?, Vec::new())),
        }
    }

    /// How its result moves when input and parameters do.
    pub(super) fn forward_dual(
        &self,
        params: &[f32],
        direction: &[f32],
        x: Dual<'_>,
        picks: &[u32],
        batch: usize,
    ) -> Result<Option<Vec<f32>>> {
        Ok(match self {
            Self::Leaky(slope) => x.moved.map(|moved| {
                let pairs = x.value.iter().zip(moved);
                pairs
                    .map(|(x, m)| if *x > 0.0 { *m } else { slope * m })
                    .collect()
            }),
            Self::Pool(_) => x
                .moved
                .map(|moved| picks.iter().map(|&at| moved[at as usize]).collect()),
            _ => {
                let mut out = self.affine(direction, x.value, true, batch)?;
                if let Some(moved) = x.moved {
                    add_scaled(&mut out, 1.0, &self.affine(params, moved, false, batch)?);
                }
                Some(out)
            }
        })
    }

    /// Adds the gradients of its parameters to `grads`.
    pub(super) fn backward_params(
        &self,
        x: &[f32],
        grad: &[f32],
        grads: &mut [f32],
        batch: usize,
    ) -> Result<()> {
        let (weight, bias, of_weight, of_bias) = match self {
            Self::Conv {
                input,
                out,
                kernel,
                padding,
                weight,
                bias,
            } => {
                let dims = dims(*input, *out, *kernel, *padding, batch)?;
                let pixels = grad.len() / (batch * out).max(1);
                let of_weight = conv_backward_weight(Level::best(), F32, grad, x, &dims)?;
                (
                    weight,
                    bias,
                    of_weight,
                    channel_sums(grad, [batch, *out, pixels])?,
                )
            }
            Self::Linear {
                input,
                out,
                weight,
                bias,
            } => {
                let dims = linear_dims(batch, *input, *out);
                let of_weight = linear_backward_weight(F32, grad, x, dims)?;
                (weight, bias, of_weight, column_sums(grad, *out)?)
            }
            _ => return Ok(()),
        };
        add_scaled(&mut grads[weight.clone()], 1.0, &of_weight);
        add_scaled(&mut grads[bias.clone()], 1.0, &of_bias);
        Ok(())
    }

    /// The gradient of its input.
    pub(super) fn backward_input(
        &self,
        params: &[f32],
        x: &[f32],
        picks: &[u32],
        grad: &[f32],
        batch: usize,
    ) -> Result<Vec<f32>> {
        Ok(match self {
            Self::Conv {
                input,
                out,
                kernel,
                padding,
                weight,
                ..
            } => {
                let dims = dims(*input, *out, *kernel, *padding, batch)?;
                let weight = &params[weight.clone()];
                conv_backward_input(Level::best(), F32, grad, weight, &dims)?
            }
            Self::Linear {
                input, out, weight, ..
            } => {
                let dims = linear_dims(batch, *input, *out);
                linear_backward_input(F32, grad, &params[weight.clone()], dims)?
            }
            Self::Leaky(slope) => x
                .iter()
                .zip(grad)
                .map(|(x, g)| if *x > 0.0 { *g } else { slope * g })
                .collect(),
            Self::Pool(_) => {
                let mut out = vec![0.0; x.len()];
                for (&at, g) in picks.iter().zip(grad) {
                    out[at as usize] += g;
                }
                out
            }
        })
    }

    fn affine(&self, params: &[f32], x: &[f32], biased: bool, batch: usize) -> Result<Vec<f32>> {
        Ok(match self {
            Self::Conv {
                input,
                out,
                kernel,
                padding,
                weight,
                bias,
            } => {
                let dims = dims(*input, *out, *kernel, *padding, batch)?;
                let bias = biased.then(|| &params[bias.clone()]);
                conv(Level::best(), F32, x, &params[weight.clone()], bias, &dims)?
            }
            Self::Linear {
                input,
                out,
                weight,
                bias,
            } => {
                let dims = linear_dims(batch, *input, *out);
                let bias = biased.then(|| &params[bias.clone()]);
                linear(F32, x, &params[weight.clone()], bias, dims)?
            }
            _ => x.to_vec(),
        })
    }
}

fn linear_dims(rows: usize, input: usize, output: usize) -> LinearDims {
    LinearDims {
        rows,
        input,
        output,
    }
}

fn pool(x: &[f32], Shape([channels, rows, columns]): Shape, batch: usize) -> (Vec<f32>, Vec<u32>) {
    let count = batch * channels * (rows / 2) * (columns / 2);
    let (mut out, mut picks) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for plane in 0..batch * channels {
        for row in 0..rows / 2 {
            for column in 0..columns / 2 {
                let first = (plane * rows + 2 * row) * columns + 2 * column;
                // The first of equal values is taken, as PyTorch does.
                let mut best = first;
                for at in [first + 1, first + columns, first + columns + 1] {
                    if x[at] > x[best] || x[at].is_nan() {
                        best = at;
                    }
                }
                out.push(x[best]);
                picks.push(best as u32);
            }
        }
    }
    (out, picks)
}
