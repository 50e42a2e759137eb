//! Large images in overlapping tiles.

use burn::tensor::{Tensor, TensorData};

use super::{AutoencoderKl, Posterior, posterior};

impl AutoencoderKl {
    /// As [`AutoencoderKl::encode`], in overlapping tiles of `tile` pixels a side: memory grows with the tile, not with the image.
    /// `tile` is a multiple of `4 · 2^(levels − 1)`.
    pub fn encode_tiled(&self, images: Tensor<4>, tile: usize) -> Posterior {
        let sides = [tile, tile / self.factor()];
        posterior(tiled(images, sides, |part| self.moments(part)))
    }

    /// As [`AutoencoderKl::decode`], in overlapping tiles of `tile` latents a side, a multiple of 4.
    pub fn decode_tiled(&self, latents: Tensor<4>, tile: usize) -> Tensor<4> {
        let sides = [tile, tile * self.factor()];
        tiled(latents, sides, |part| self.decode(part))
    }
}

/// `map` on tiles of `sides[0]`, which become `sides[1]`. Neighbours share a quarter, which goes over from one to the other in a
/// straight line, as diffusers does it.
fn tiled(x: Tensor<4>, sides: [usize; 2], map: impl Fn(Tensor<4>) -> Tensor<4>) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    let [tile, made] = sides;
    if height <= tile && width <= tile {
        return map(x);
    }
    let (stride, shared) = ((tile * 3 / 4).max(1), made / 4);
    let kept = made - shared;
    let cut = |x: Tensor<4>, dim: usize, from: usize, most: usize| {
        let length = most.min(x.dims()[dim] - from);
        x.narrow(dim, from, length)
    };
    let mut above: Vec<Tensor<4>> = Vec::new();
    let mut rows = Vec::new();
    for top in (0..height).step_by(stride) {
        let mut row: Vec<Tensor<4>> = Vec::new();
        for left in (0..width).step_by(stride) {
            let part = cut(cut(x.clone(), 2, top, tile), 3, left, tile);
            let mut part = map(part);
            if let Some(upper) = above.get(row.len()) {
                part = joined(upper, part, 2, shared);
            }
            if let Some(before) = row.last() {
                part = joined(before, part, 3, shared);
            }
            row.push(part);
        }
        let parts = row
            .iter()
            .map(|part| cut(cut(part.clone(), 2, 0, kept), 3, 0, kept));
        rows.push(Tensor::cat(parts.collect(), 3));
        above = row;
    }
    Tensor::cat(rows, 2)
}

/// `after`, which begins along `dim` where the last `shared` places of `before` are, going over from those.
fn joined(before: &Tensor<4>, after: Tensor<4>, dim: usize, shared: usize) -> Tensor<4> {
    let [long, length] = [before.dims()[dim], after.dims()[dim]];
    let shared = shared.min(long).min(length);
    if shared == 0 {
        return after;
    }
    let mut shape = [1; 4];
    shape[dim] = shared;
    let shares: Vec<f32> = (0..shared).map(|at| at as f32 / shared as f32).collect();
    let share: Tensor<4> = Tensor::from_data(TensorData::new(shares, shape), &after.device());
    let old = before.clone().narrow(dim, long - shared, shared);
    let new = after.clone().narrow(dim, 0, shared);
    let both = old.clone() + (new - old) * share;
    match length - shared {
        0 => both,
        rest => Tensor::cat(vec![both, after.narrow(dim, shared, rest)], dim),
    }
}
