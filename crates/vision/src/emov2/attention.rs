//! Spanning window attention, SEW-MHSA (paper section 3.3): among neighbours and among distant places, with one set of
//! projections for both.

use burn::tensor::Tensor;
use engine::ops::{self, MapWindows};

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

    /// The tokens of the windows of a padded map. Places of a window are next to each other, or (`distant`) as far apart as there
    /// are windows.
    fn tokens(&self, distant: bool) -> MapWindows {
        let [_, height, width] = self.padded();
        let grid = |size: [usize; 3], step: [usize; 3]| -> Vec<usize> {
            let mut tokens = Vec::with_capacity(size.iter().product());
            for t in 0..size[0] {
                for y in 0..size[1] {
                    let row = (t * step[0] * height + y * step[1]) * width;
                    tokens.extend((0..size[2]).map(|x| row + x * step[2]));
                }
            }
            tokens
        };
        let (first, inside) = match distant {
            false => (grid(self.count, self.side), grid(self.side, [1; 3])),
            true => (grid(self.count, [1; 3]), grid(self.side, self.count)),
        };
        MapWindows {
            first: first.into(),
            inside: inside.into(),
        }
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
    let [batch, t, h, w, values] = v.dims();
    let windows = Windows::new(side, [t, h, w]);
    let one = windows.count == [1; 3];
    let width = qk.dims()[4];
    let qk = qk.reshape([batch, t * h * w, width]);
    let v = v.reshape([batch, t * h * w, values]);
    let branch = |distant: bool| {
        ops::window_attention(qk.clone(), v.clone(), heads, &windows.tokens(distant))
    };
    let out = match kind {
        // Within one window both branches see the same tokens.
        operator::SPANNING if one => branch(false) * 2.0,
        operator::SPANNING => branch(true) + branch(false),
        operator::DISTANT => branch(true),
        _ => branch(false),
    };
    out.reshape([batch, t, h, w, values])
}
