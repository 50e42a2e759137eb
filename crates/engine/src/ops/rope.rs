use burn::tensor::{Device, Tensor, TensorData};

use super::custom_op;
use super::rms_norm;
use super::rms_rope::{Angles, RmsRope};

/// Angles of a rotary position embedding, ready for use.
///
/// The head of `head` values is cut into `sections` equal sections, one for each axis of position; inside a
/// section of width `w`, value `i` is paired with value `i + w/2` ("rotate half").
#[derive(Clone, Debug)]
pub struct Rope {
    /// Cosines, `[tokens, head]`.
    pub cos: Tensor<2>,
    /// Sines, `[tokens, head]`.
    pub sin: Tensor<2>,
    /// Number of sections that the head is cut into.
    pub sections: usize,
}

impl Rope {
    /// Angles `position · base^(−2i/w)` for tokens at `positions`, one coordinate a section.
    ///
    /// `positions` holds `tokens × sections` coordinates, token by token. The head size must be a multiple of
    /// `2 · sections`.
    pub fn new(
        positions: &[f32],
        sections: usize,
        head: usize,
        base: f32,
        device: &Device,
    ) -> Self {
        let width = head / sections;
        let half = width / 2;
        let tokens = positions.len() / sections;
        let mut cos = vec![0.0; tokens * head];
        let mut sin = vec![0.0; tokens * head];
        for token in 0..tokens {
            for section in 0..sections {
                let position = f64::from(positions[token * sections + section]);
                for i in 0..half {
                    let frequency = libm::pow(f64::from(base), -2.0 * i as f64 / width as f64);
                    let (s, c) = libm::sincos(position * frequency);
                    let at = token * head + section * width + i;
                    cos[at] = c as f32;
                    cos[at + half] = c as f32;
                    sin[at] = s as f32;
                    sin[at + half] = s as f32;
                }
            }
        }
        Self {
            cos: Tensor::from_data(TensorData::new(cos, [tokens, head]), device),
            sin: Tensor::from_data(TensorData::new(sin, [tokens, head]), device),
            sections,
        }
    }
}

/// Rotates `x` `[batch, tokens, heads, head]` by the angles of its tokens.
pub fn rotate(x: Tensor<4>, rope: &Rope) -> Tensor<4> {
    let fused = Angles::of(rope).and_then(|angles| {
        let kernel = RmsRope {
            dims: x.dims(),
            eps: 0.0,
            angles: Some(angles),
        };
        custom_op::run(kernel, [x.clone().into_dispatch()])
    });
    fused.unwrap_or_else(|| rotate_by_parts(x, rope))
}

/// RMS norm of each head, then (where there are positions) its rotation: what QK-norm does to queries and keys.
///
/// `x` is `[batch, tokens, heads, head]`, `weight` `[head]`.
pub fn rms_norm_rope(x: Tensor<4>, weight: Tensor<1>, rope: Option<&Rope>, eps: f32) -> Tensor<4> {
    let fused = match rope.map(Angles::of) {
        // The angles are elsewhere.
        Some(None) => None,
        angles => {
            let kernel = RmsRope {
                dims: x.dims(),
                eps,
                angles: angles.flatten(),
            };
            let inputs = [x.clone().into_dispatch(), weight.clone().into_dispatch()];
            custom_op::run(kernel, inputs)
        }
    };
    fused.unwrap_or_else(|| {
        let x = rms_norm(x, weight, eps);
        match rope {
            Some(rope) => rotate(x, rope),
            None => x,
        }
    })
}

/// [`rotate`] in Burn's own operations.
fn rotate_by_parts(x: Tensor<4>, rope: &Rope) -> Tensor<4> {
    let [batch, tokens, heads, head] = x.dims();
    let half = head / rope.sections / 2;
    let parts: Tensor<6> = x
        .clone()
        .reshape([batch, tokens, heads, rope.sections, 2, half]);
    let first = parts.clone().narrow(4, 0, 1);
    let second = parts.narrow(4, 1, 1);
    let turned: Tensor<4> =
        Tensor::cat(vec![second.neg(), first], 4).reshape([batch, tokens, heads, head]);
    let cos = rope.cos.clone().reshape([1, tokens, 1, head]);
    let sin = rope.sin.clone().reshape([1, tokens, 1, head]);
    x * cos + turned * sin
}
