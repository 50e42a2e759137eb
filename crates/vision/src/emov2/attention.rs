//! Spanning window attention, SEW-MHSA (paper section 3.3): among neighbours and among distant places, with one set of
//! projections for both.

use burn::tensor::Tensor;
use engine::ops::{self, AttentionMask};

use super::config::operator;

/// How a map is cut into windows along time, height and width.
#[derive(Clone, Copy, Debug)]
struct Windows {
    /// Sides of a window.
    side: [usize; 3],
    /// Windows along each axis.
    count: [usize; 3],
}

impl Windows {
    /// Windows of `side` over a map of `size`; a side of 0 or less takes the whole axis.
    fn new(side: [i64; 3], size: [usize; 3]) -> Self {
        let side: [usize; 3] = std::array::from_fn(|axis| match side[axis] {
            ..=0 => size[axis].max(1),
            // A window larger than the map is padded, as in the official code.
            side => usize::try_from(side).unwrap_or(usize::MAX),
        });
        let count = std::array::from_fn(|axis| size[axis].div_ceil(side[axis]).max(1));
        Self { side, count }
    }

    fn padded(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.side[axis] * self.count[axis])
    }

    /// `[batch, time, height, width, channels]` → `[batch · windows, tokens, channels]`. Places of a window are next to each
    /// other, or (`distant`) as far apart as there are windows.
    fn split(&self, x: Tensor<5>, distant: bool) -> Tensor<3> {
        let [batch, .., channels] = x.dims();
        let ([t, h, w], [nt, nh, nw]) = (self.side, self.count);
        let grouped = match distant {
            false => x
                .reshape([batch, nt, t, nh, h, nw, w, channels])
                .permute([0, 1, 3, 5, 2, 4, 6, 7]),
            true => x
                .reshape([batch, t, nt, h, nh, w, nw, channels])
                .permute([0, 2, 4, 6, 1, 3, 5, 7]),
        };
        grouped.reshape([batch * nt * nh * nw, t * h * w, channels])
    }

    /// The inverse of [`Windows::split`].
    fn join(&self, x: Tensor<3>, distant: bool) -> Tensor<5> {
        let [rows, _, channels] = x.dims();
        let ([t, h, w], [nt, nh, nw]) = (self.side, self.count);
        let batch = rows / (nt * nh * nw);
        let grouped = x.reshape([batch, nt, nh, nw, t, h, w, channels]);
        let order = match distant {
            false => [0, 1, 4, 2, 5, 3, 6, 7],
            true => [0, 4, 1, 5, 2, 6, 3, 7],
        };
        let [pt, ph, pw] = self.padded();
        grouped
            .permute(order)
            .reshape([batch, pt, ph, pw, channels])
    }
}

/// Zeros at the end of time, height and width up to whole windows of `side`.
pub(super) fn pad(x: Tensor<5>, side: [i64; 3]) -> Tensor<5> {
    let [_, t, h, w, _] = x.dims();
    let wanted = Windows::new(side, [t, h, w]).padded();
    (0..3).fold(x, |x, axis| {
        let mut shape = x.dims();
        let missing = wanted[axis] - shape[axis + 1];
        if missing == 0 {
            return x;
        }
        shape[axis + 1] = missing;
        let zeros = Tensor::zeros(shape, &x.device());
        Tensor::cat(vec![x, zeros], axis + 1)
    })
}

/// Attention of `operator` over windows of a padded map: `qk` is `[batch, time, height, width, 2 · width]`, queries first, `v`
/// `[batch, time, height, width, values]`; the result has the shape of `v`. Each of `heads` has its share of both.
pub(super) fn attend(
    qk: Tensor<5>,
    v: Tensor<5>,
    heads: usize,
    side: [i64; 3],
    kind: u8,
) -> Tensor<5> {
    let [_, t, h, w, _] = v.dims();
    let windows = Windows::new(side, [t, h, w]);
    let one = windows.count == [1; 3];
    let branch = |distant: bool| {
        let [qk, v] = [&qk, &v].map(|x| windows.split(x.clone(), distant));
        windows.join(heads_attend(qk, v, heads), distant)
    };
    match kind {
        // Within one window both branches see the same tokens.
        operator::SPANNING if one => branch(false) * 2.0,
        operator::SPANNING => branch(true) + branch(false),
        operator::DISTANT => branch(true),
        _ => branch(false),
    }
}

/// `softmax(q kᵀ / √head) v` for each row of `[rows, tokens, ..]`.
///
/// Value heads are wider than query heads; queries and keys are filled up with zeros, which changes no product.
fn heads_attend(qk: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    let [rows, tokens, both] = qk.dims();
    let values = v.dims()[2];
    let (head, wide) = (both / 2 / heads, values / heads);
    let width = head.max(wide);
    let filled = |x: Tensor<4>| match width - x.dims()[3] {
        0 => x,
        missing => {
            let zeros = Tensor::zeros([rows, tokens, heads, missing], &x.device());
            Tensor::cat(vec![x, zeros], 3)
        }
    };
    let part = |at: usize| {
        let part = qk.clone().narrow(2, at * heads * head, heads * head);
        part.reshape([rows, tokens, heads, head])
    };
    // The operation divides by √width, not √head.
    let scale = (width as f64 / head as f64).sqrt();
    let q = filled(part(0) * scale);
    let k = filled(part(1));
    let v = filled(v.reshape([rows, tokens, heads, wide]));
    ops::attention(q, k, v, &AttentionMask::default())
        .narrow(3, 0, wide)
        .reshape([rows, tokens, values])
}
