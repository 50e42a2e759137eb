//! Group norm over `[batch, groups, channels, pixels]`.

use rayon::prelude::*;

use crate::error::{ShapeError, expect};
use crate::level::{Level, leveled};
use crate::math::{LANES, fold, mul_add, sum};
use crate::parallel::{Fresh, collect, portion};

/// Values whose f32 sum is added to others in f64.
const PART: usize = portion(4096, 32);

/// A group norm: `factor · (x − mean) / √(var + eps) + shift`, with the mean and the biased variance of all channels
/// of a group.
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm<'a> {
    /// `[batch, groups, channels of a group, pixels]` of the values.
    pub dims: [usize; 4],
    /// Added to the variance.
    pub eps: f32,
    /// `[groups · channels]`; absent: 1.
    pub factor: Option<&'a [f32]>,
    /// `[groups · channels]`; absent: 0.
    pub shift: Option<&'a [f32]>,
}

/// What [`group_norm_backward`] gives.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupNormGrads {
    /// Of the values that were normalised.
    pub x: Vec<f32>,
    /// Of the factor, `[groups · channels]`.
    pub factor: Vec<f32>,
    /// Of the shift, `[groups · channels]`.
    pub shift: Vec<f32>,
}

impl GroupNorm<'_> {
    /// Values of all, of a group, and of a channel; checks the parameters.
    fn sizes(&self) -> Result<[usize; 3], ShapeError> {
        let [batch, groups, channels, pixels] = self.dims;
        let all = [batch, groups, channels, pixels]
            .into_iter()
            .fold(1, usize::saturating_mul);
        for (name, values) in [("factor", self.factor), ("shift", self.shift)] {
            if let Some(values) = values {
                expect(name, values.len(), groups.saturating_mul(channels))?;
            }
        }
        Ok([all, channels.saturating_mul(pixels), pixels])
    }

    /// Factor and shift of channel `c`.
    fn of(&self, c: usize) -> (f32, f32) {
        (
            self.factor.map_or(1.0, |factor| factor[c]),
            self.shift.map_or(0.0, |shift| shift[c]),
        )
    }
}

/// Runs `norm` on `x` `[batch, groups, channels, pixels]`. A NaN reaches all of its group.
///
/// Gives the result, and for the backward pass the mean and `1/√(var + eps)` of each group, `[batch, groups, 2]`.
pub fn group_norm(
    level: Level,
    x: &[f32],
    norm: &GroupNorm<'_>,
) -> Result<(Vec<f32>, Vec<f32>), ShapeError> {
    let [all, group, pixels] = norm.sizes()?;
    expect("x", x.len(), all)?;
    let [_, groups, channels, _] = norm.dims;
    if x.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let statistics = |x: &[f32]| {
        let inverse = 1.0 / group as f64;
        let mean = x
            .chunks(PART)
            .map(|x| f64::from(sum_block(level, x)))
            .sum::<f64>()
            * inverse;
        let squares = x.chunks(PART);
        let squares = squares.map(|x| f64::from(squares_block(level, x, mean as f32)));
        let variance = squares.sum::<f64>() * inverse;
        [
            mean as f32,
            (1.0 / (variance + f64::from(norm.eps)).sqrt()) as f32,
        ]
    };
    let stats: Vec<[f32; 2]> = x.par_chunks_exact(group).map(statistics).collect();
    // SAFETY: `affine_block` writes every value of its channel; the chunks cover all channels.
    let out = unsafe {
        collect(all, |out| {
            out.par_chunks_exact_mut(pixels)
                .zip(x.par_chunks_exact(pixels))
                .enumerate()
                .for_each(|(i, (out, x))| {
                    let [mean, rstd] = stats[i / channels];
                    let (factor, shift) = norm.of(i % (groups * channels));
                    affine_block(level, x, mean, rstd * factor, shift, out);
                });
        })
    };
    Ok((out, stats.into_flattened()))
}

/// Gradients of [`group_norm`]: from the values `x` that were normalised, the statistics that the forward pass gave
/// and the gradient `grad` of its result.
pub fn group_norm_backward(
    level: Level,
    x: &[f32],
    stats: &[f32],
    grad: &[f32],
    norm: &GroupNorm<'_>,
) -> Result<GroupNormGrads, ShapeError> {
    let [all, group, pixels] = norm.sizes()?;
    let [batch, groups, channels, _] = norm.dims;
    expect("x", x.len(), all)?;
    expect("grad", grad.len(), all)?;
    let wide = groups.saturating_mul(channels);
    let (mut factor, mut shift) = (Vec::new(), Vec::new());
    if all == 0 {
        // Parameters of any number must not make room for values that are not there.
        factor.resize(norm.factor.map_or(0, <[f32]>::len), 0.0);
        shift.resize(norm.shift.map_or(0, <[f32]>::len), 0.0);
        let x = Vec::new();
        return Ok(GroupNormGrads { x, factor, shift });
    }
    expect("stats", stats.len(), batch * groups * 2)?;
    let (stats, _) = stats.as_chunks::<2>();
    let sums: Vec<[f64; 2]> = x
        .par_chunks_exact(pixels)
        .zip(grad.par_chunks_exact(pixels))
        .enumerate()
        .map(|(i, (x, grad))| {
            let [mean, rstd] = stats[i / channels];
            x.chunks(PART)
                .zip(grad.chunks(PART))
                .fold([0.0; 2], |[g, gx], (x, grad)| {
                    let part = products_block(level, x, grad, mean, rstd);
                    [g + f64::from(part[0]), gx + f64::from(part[1])]
                })
        })
        .collect();
    let of_channel = |c: usize, which: usize| {
        let values = sums.iter().skip(c).step_by(wide);
        values.map(|sums| sums[which]).sum::<f64>() as f32
    };
    factor.extend((0..wide).map(|c| of_channel(c, 1)));
    shift.extend((0..wide).map(|c| of_channel(c, 0)));
    // SAFETY: `backward_block` writes every value of its channel; the chunks cover all channels.
    let dx = unsafe {
        collect(all, |dx| {
            dx.par_chunks_exact_mut(group)
                .enumerate()
                .for_each(|(i, dx)| {
                    let first = i % groups * channels;
                    let mut means = [0.0; 2];
                    for (c, sums) in sums[i * channels..][..channels].iter().enumerate() {
                        let factor = f64::from(norm.of(first + c).0);
                        for (mean, sum) in means.iter_mut().zip(sums) {
                            *mean += factor * sum;
                        }
                    }
                    let means = means.map(|mean| (mean / group as f64) as f32);
                    for (c, dx) in dx.chunks_exact_mut(pixels).enumerate() {
                        let from = i * group + c * pixels;
                        let (x, grad) = (&x[from..][..pixels], &grad[from..][..pixels]);
                        backward_block(level, x, grad, stats[i], norm.of(first + c).0, means, dx);
                    }
                });
        })
    };
    Ok(GroupNormGrads {
        x: dx,
        factor,
        shift,
    })
}

leveled! {
    fn sum_block(x: &[f32]) -> f32 {
        sum(x)
    }
}

leveled! {
    /// `Σ (x − mean)²`.
    fn squares_block(x: &[f32], mean: f32) -> f32 {
        let mut squares = [0.0; LANES];
        let (chunks, tail) = x.as_chunks::<LANES>();
        for chunk in chunks {
            for l in 0..LANES {
                let centred = chunk[l] - mean;
                squares[l] = mul_add::<FMA>(centred, centred, squares[l]);
            }
        }
        for (square, x) in squares.iter_mut().zip(tail) {
            *square = mul_add::<FMA>(x - mean, x - mean, *square);
        }
        fold(squares)
    }
}

leveled! {
    fn affine_block(x: &[f32], mean: f32, scale: f32, shift: f32, out: &mut Fresh) {
        for (out, x) in out.iter_mut().zip(x) {
            out.write(mul_add::<FMA>(x - mean, scale, shift));
        }
    }
}

leveled! {
    /// `Σ grad` and `Σ grad · x̂`.
    fn products_block(x: &[f32], grad: &[f32], mean: f32, rstd: f32) -> [f32; 2] {
        let (mut g, mut gx) = ([0.0; LANES], [0.0; LANES]);
        let (xs, x_tail) = x.as_chunks::<LANES>();
        let (grads, grad_tail) = grad.as_chunks::<LANES>();
        for (x, grad) in xs.iter().zip(grads) {
            for l in 0..LANES {
                g[l] += grad[l];
                gx[l] = mul_add::<FMA>(grad[l], (x[l] - mean) * rstd, gx[l]);
            }
        }
        for (l, (x, grad)) in x_tail.iter().zip(grad_tail).enumerate() {
            g[l] += grad;
            gx[l] = mul_add::<FMA>(*grad, (x - mean) * rstd, gx[l]);
        }
        [fold(g), fold(gx)]
    }
}

leveled! {
    /// dx = rstd · (grad · factor − mean(g) − x̂ · mean(g · x̂)), with g = grad · factor. Every value is written.
    fn backward_block(
        x: &[f32],
        grad: &[f32],
        stats: [f32; 2],
        factor: f32,
        means: [f32; 2],
        dx: &mut Fresh,
    ) {
        let [mean, rstd] = stats;
        for ((dx, x), grad) in dx.iter_mut().zip(x).zip(grad) {
            let normed = (x - mean) * rstd;
            let g = mul_add::<FMA>(-normed, means[1], grad * factor - means[0]);
            dx.write(rstd * g);
        }
    }
}
