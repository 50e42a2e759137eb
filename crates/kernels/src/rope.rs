//! RMS norm and rotary positions, one by one or in one pass.

use rayon::prelude::*;

use crate::error::{ShapeError, expect};
use crate::level::{Level, leveled};
use crate::math::mul_add;
use crate::parallel::{Fresh, collect, rows_per_task};
use crate::softmax::dot;

/// Rotary angles for each token; value `i` of a section of width `w` is paired with value `i + w/2`. A rotation has both
/// halves of a section alike; other angles give `x · cos + rotate_half(x) · sin`, as some released models have it.
#[derive(Clone, Copy, Debug)]
pub struct Rotation<'a> {
    /// `[tokens, head]`.
    pub cos: &'a [f32],
    /// `[tokens, head]`.
    pub sin: &'a [f32],
    /// Number of sections in a head.
    pub sections: usize,
}

/// An RMS norm of every head, `weight · x / √(mean(x²) + eps)`, and its rotation.
#[derive(Clone, Copy, Debug)]
pub struct RmsNorm<'a> {
    /// `[batch, tokens, heads, head]` of the values.
    pub dims: [usize; 4],
    /// `[head]`; absent: nothing is normalised, only rotated.
    pub weight: Option<&'a [f32]>,
    /// Added to the mean of squares.
    pub eps: f32,
    /// Absent: nothing is rotated.
    pub rotation: Option<Rotation<'a>>,
}

impl RmsNorm<'_> {
    fn check(&self, x: &[f32]) -> Result<(), ShapeError> {
        let [batch, tokens, heads, head] = self.dims;
        expect("x", x.len(), batch * tokens * heads * head)?;
        if let Some(weight) = self.weight {
            expect("weight", weight.len(), head)?;
        }
        if let Some(rotation) = self.rotation {
            expect("cos", rotation.cos.len(), tokens * head)?;
            expect("sin", rotation.sin.len(), tokens * head)?;
            let pair = 2 * rotation.sections;
            expect("head", head, head.checked_div(pair).unwrap_or(0) * pair)?;
        }
        Ok(())
    }

    /// Width of a section, and the two angle rows of a token.
    fn angles(&self, token: usize) -> Option<Angles<'_>> {
        let [_, tokens, _, head] = self.dims;
        let rotation = self.rotation?;
        let from = token % tokens * head;
        Some(Angles {
            half: head / rotation.sections / 2,
            cos: &rotation.cos[from..from + head],
            sin: &rotation.sin[from..from + head],
        })
    }
}

/// Runs `norm` on `x` `[batch, tokens, heads, head]`.
pub fn rms_norm(level: Level, x: &[f32], norm: &RmsNorm<'_>) -> Result<Vec<f32>, ShapeError> {
    norm.check(x)?;
    let [_, _, heads, head] = norm.dims;
    let (token, task) = (heads * head, rows_per_task(heads * head));
    if token == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: `forward_token` writes every value of its token; the chunks cover all tokens.
    Ok(unsafe {
        collect(x.len(), |out| {
            out.par_chunks_mut(task * token)
                .zip(x.par_chunks(task * token))
                .enumerate()
                .for_each(|(i, (out, x))| {
                    let tokens = x.chunks_exact(token).zip(out.chunks_exact_mut(token));
                    for (j, (x, out)) in tokens.enumerate() {
                        let angles = norm.angles(i * task + j);
                        forward_token(level, x, head, norm.weight, norm.eps, angles, out);
                    }
                });
        })
    })
}

/// Gradients of [`rms_norm`]: from its input `x` and the gradient `grad` of its result, that of `x`, of the same
/// shape, and that of the weight, `[head]` (empty where there is none).
pub fn rms_norm_backward(
    level: Level,
    x: &[f32],
    norm: &RmsNorm<'_>,
    grad: &[f32],
) -> Result<(Vec<f32>, Vec<f32>), ShapeError> {
    norm.check(x)?;
    expect("grad", grad.len(), x.len())?;
    let [_, _, heads, head] = norm.dims;
    let (token, task) = (heads * head, rows_per_task(heads * head));
    let mut d_weight = vec![0.0; norm.weight.map_or(0, <[f32]>::len)];
    if x.is_empty() {
        return Ok((Vec::new(), d_weight));
    }
    // The weight's gradient over the tokens of each task, `[tasks, head]`, added up in order afterwards.
    let tasks = x.len().div_ceil(task * token);
    let mut partial = vec![0.0; tasks * head];
    // SAFETY: `backward_token` writes every value of its token; the chunks cover all tokens.
    let dx = unsafe {
        collect(x.len(), |dx| {
            dx.par_chunks_mut(task * token)
                .zip(
                    x.par_chunks(task * token)
                        .zip(grad.par_chunks(task * token)),
                )
                .zip(partial.par_chunks_mut(head))
                .enumerate()
                .for_each(|(i, ((dx, (x, grad)), sums))| {
                    let mut turned = vec![0.0; if norm.rotation.is_some() { head } else { 0 }];
                    let inputs = x.chunks_exact(token).zip(grad.chunks_exact(token));
                    for (j, ((x, grad), dx)) in inputs.zip(dx.chunks_exact_mut(token)).enumerate() {
                        let angles = norm.angles(i * task + j);
                        let (weight, eps) = (norm.weight, norm.eps);
                        let scratch = &mut turned;
                        backward_token(
                            level, x, grad, head, weight, eps, angles, scratch, sums, dx,
                        );
                    }
                });
        })
    };
    for partial in partial.chunks_exact(head) {
        for (sum, part) in d_weight.iter_mut().zip(partial) {
            *sum += part;
        }
    }
    Ok((dx, d_weight))
}

/// Angles of one token, `[head]` each.
#[derive(Clone, Copy)]
struct Angles<'a> {
    half: usize,
    cos: &'a [f32],
    sin: &'a [f32],
}

leveled! {
    fn forward_token(
        x: &[f32],
        head: usize,
        weight: Option<&[f32]>,
        eps: f32,
        angles: Option<Angles<'_>>,
        out: &mut Fresh,
    ) {
        let inverse = 1.0 / head as f32;
        for (x, out) in x.chunks_exact(head).zip(out.chunks_exact_mut(head)) {
            let out = match weight {
                Some(weight) => {
                    let scale = 1.0 / mul_add::<FMA>(dot::<FMA>(x, x), inverse, eps).sqrt();
                    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
                        out.write(x * scale * weight);
                    }
                    // SAFETY: the loop above wrote the whole row, which is as long as `x` and the weight.
                    unsafe { out.assume_init_mut() }
                }
                None => out.write_copy_of_slice(x),
            };
            if let Some(angles) = angles {
                turn::<FMA, false>(out, angles);
            }
        }
    }
}

leveled! {
    /// With r = 1/√(mean(x²) + eps) and g the gradient turned back: dweight += g · x · r and
    /// dx = r · (weight · g − x · r² · mean(weight · g · x)).
    fn backward_token(
        x: &[f32],
        grad: &[f32],
        head: usize,
        weight: Option<&[f32]>,
        eps: f32,
        angles: Option<Angles<'_>>,
        turned: &mut [f32],
        sums: &mut [f32],
        dx: &mut Fresh,
    ) {
        let inverse = 1.0 / head as f32;
        let rows = x.chunks_exact(head).zip(grad.chunks_exact(head));
        for ((x, grad), dx) in rows.zip(dx.chunks_exact_mut(head)) {
            let g = match angles {
                Some(angles) => {
                    turned.copy_from_slice(grad);
                    turn::<FMA, true>(turned, angles);
                    &*turned
                }
                None => grad,
            };
            let Some(weight) = weight else {
                dx.write_copy_of_slice(g);
                continue;
            };
            let r = 1.0 / mul_add::<FMA>(dot::<FMA>(x, x), inverse, eps).sqrt();
            let inner = dot3::<FMA>(x, g, weight) * inverse * r * r;
            let values = dx.iter_mut().zip(sums.iter_mut());
            for (((dx, sum), (x, g)), weight) in values.zip(x.iter().zip(g)).zip(weight) {
                *sum = mul_add::<FMA>(g * r, *x, *sum);
                dx.write(r * mul_add::<FMA>(-inner, *x, weight * g));
            }
        }
    }
}

/// `Σ a · b · c`, in 16 partial sums.
#[inline(always)]
fn dot3<const FMA: bool>(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    use crate::math::{LANES, fold};
    let mut lanes = [0.0; LANES];
    let (az, a_tail) = a.as_chunks::<LANES>();
    let (bz, b_tail) = b.as_chunks::<LANES>();
    let (cz, c_tail) = c.as_chunks::<LANES>();
    for ((a, b), c) in az.iter().zip(bz).zip(cz) {
        for l in 0..LANES {
            lanes[l] = mul_add::<FMA>(a[l] * b[l], c[l], lanes[l]);
        }
    }
    let tail = a_tail.iter().zip(b_tail).zip(c_tail);
    for (((a, b), c), lane) in tail.zip(&mut lanes) {
        *lane = mul_add::<FMA>(a * b, *c, *lane);
    }
    fold(lanes)
}

/// Turns the pairs of one head by their angles, or back.
#[inline(always)]
fn turn<const FMA: bool, const BACK: bool>(x: &mut [f32], angles: Angles<'_>) {
    // Half sections of the usual sizes have loops of known length, which become vector code.
    match angles.half {
        4 => turn_sections::<4, FMA, BACK>(x, angles),
        8 => turn_sections::<8, FMA, BACK>(x, angles),
        12 => turn_sections::<12, FMA, BACK>(x, angles),
        16 => turn_sections::<16, FMA, BACK>(x, angles),
        24 => turn_sections::<24, FMA, BACK>(x, angles),
        32 => turn_sections::<32, FMA, BACK>(x, angles),
        64 => turn_sections::<64, FMA, BACK>(x, angles),
        half => {
            for start in (0..x.len()).step_by(2 * half) {
                for i in start..start + half {
                    let j = i + half;
                    let cos = [angles.cos[i], angles.cos[j]];
                    let sin = [angles.sin[i], angles.sin[j]];
                    (x[i], x[j]) = turned::<FMA, BACK>(x[i], x[j], cos, sin);
                }
            }
        }
    }
}

/// [`turn`] for half sections of `HALF` values.
#[inline(always)]
fn turn_sections<const HALF: usize, const FMA: bool, const BACK: bool>(
    x: &mut [f32],
    angles: Angles<'_>,
) {
    let (x, _) = x.as_chunks_mut::<HALF>();
    let (cos, _) = angles.cos.as_chunks::<HALF>();
    let (sin, _) = angles.sin.as_chunks::<HALF>();
    let sections = x
        .chunks_exact_mut(2)
        .zip(cos.chunks_exact(2).zip(sin.chunks_exact(2)));
    for (x, (cos, sin)) in sections {
        let (mut a, mut b) = (x[0], x[1]);
        for l in 0..HALF {
            let (cos, sin) = ([cos[0][l], cos[1][l]], [sin[0][l], sin[1][l]]);
            (a[l], b[l]) = turned::<FMA, BACK>(a[l], b[l], cos, sin);
        }
        (x[0], x[1]) = (a, b);
    }
}

/// `(a, b) → (a·cos₀ − b·sin₀, b·cos₁ + a·sin₁)`, or its transpose, which is the gradient of it (and its inverse where both
/// angles are the same).
#[inline(always)]
fn turned<const FMA: bool, const BACK: bool>(
    a: f32,
    b: f32,
    cos: [f32; 2],
    sin: [f32; 2],
) -> (f32, f32) {
    let [into_a, into_b] = if BACK { [-sin[1], -sin[0]] } else { sin };
    (
        mul_add::<FMA>(-b, into_a, a * cos[0]),
        mul_add::<FMA>(a, into_b, b * cos[1]),
    )
}
