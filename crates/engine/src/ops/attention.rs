use burn::tensor::{Bool, Tensor};

use super::softmax;

/// Scaled dot-product attention, scale `1/√head`.
///
/// `q` is `[batch, queries, heads, head]`, `k` and `v` `[batch, keys, heads, head]`; the result has the shape of
/// `q`. `mask` is `[batch, keys]`, true where a key may be seen; a row without any key gives NaN.
pub fn attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: Option<Tensor<2, Bool>>,
) -> Tensor<4> {
    let [batch, _, _, head] = q.dims();
    let keys = k.dims()[1];
    let q = q.swap_dims(1, 2) * (head as f32).powf(-0.5);
    let scores = q.matmul(k.swap_dims(1, 2).swap_dims(2, 3));
    let scores = match mask {
        Some(mask) => {
            let hidden = mask.bool_not().reshape([batch, 1, 1, keys]);
            let hidden = hidden.expand(scores.dims());
            scores.mask_fill(hidden, f32::NEG_INFINITY)
        }
        None => scores,
    };
    softmax(scores).matmul(v.swap_dims(1, 2)).swap_dims(1, 2)
}
