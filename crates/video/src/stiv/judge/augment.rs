//! Views of a picture that mean the same: moved, scaled, recoloured, blurred, noisy, partly covered.

use base::rng::Rng;

use crate::stiv::data::SIZE;

const AREA: usize = SIZE * SIZE;
/// Largest move in pixels.
const SHIFT: f32 = 3.0;
/// Range of the scale.
const SCALE: [f32; 2] = [0.85, 1.15];
/// Largest turn of the hue, in radians: small, for a red apple is another subject than a green one.
const HUE: f32 = 0.2;
/// Largest side of what is covered, in pixels.
const COVER: usize = 10;

/// A random view of `pixels`, `[3, 32, 32]` in `[-1, 1]`.
pub(super) fn augment(pixels: &[f32], rng: &mut Rng) -> Vec<f32> {
    let mut view = place(pixels, rng);
    recolour(&mut view, rng);
    if rng.chance(0.3) {
        view = blur(&view, 0.25 + 0.75 * rng.uniform());
    }
    if rng.chance(0.5) {
        let deviation = 0.12 * rng.uniform();
        view.iter_mut().for_each(|v| *v += deviation * rng.normal());
    }
    if rng.chance(0.5) {
        cover(&mut view, rng);
    }
    view.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
    view
}

/// Moves and scales about the middle, bilinear; white comes in at the edges.
fn place(pixels: &[f32], rng: &mut Rng) -> Vec<f32> {
    let scale = SCALE[0] + (SCALE[1] - SCALE[0]) * rng.uniform();
    let mut shift = || SHIFT * (2.0 * rng.uniform() - 1.0);
    let (down, right) = (shift(), shift());
    let middle = (SIZE as f32 - 1.0) / 2.0;
    let from = |at: usize, shift: f32| middle + (at as f32 - middle - shift) / scale;
    let mut view = vec![1.0; pixels.len()];
    for (at, value) in view.iter_mut().enumerate() {
        let (channel, place) = (at / AREA, at % AREA);
        let plane = &pixels[channel * AREA..(channel + 1) * AREA];
        *value = bilinear(plane, from(place / SIZE, down), from(place % SIZE, right));
    }
    view
}

/// The value of a plane between its pixels; white outside.
fn bilinear(plane: &[f32], y: f32, x: f32) -> f32 {
    let (top, left) = (y.floor(), x.floor());
    let (dy, dx) = (y - top, x - left);
    let pixel = |y: f32, x: f32| {
        let inside = |v: f32| (0.0..SIZE as f32).contains(&v);
        if inside(y) && inside(x) {
            plane[y as usize * SIZE + x as usize]
        } else {
            1.0
        }
    };
    let row = |y: f32| pixel(y, left) * (1.0 - dx) + pixel(y, left + 1.0) * dx;
    row(top) * (1.0 - dy) + row(top + 1.0) * dy
}

/// Brightness, contrast and hue. The hue turns about the grey axis (YIQ).
fn recolour(view: &mut [f32], rng: &mut Rng) {
    let mut within = |reach: f32| reach * (2.0 * rng.uniform() - 1.0);
    let (brightness, contrast) = (within(0.15), 1.0 + within(0.2));
    let (sin, cos) = libm::sincosf(within(HUE));
    for at in 0..AREA {
        let [r, g, b] = [0, 1, 2].map(|channel| view[channel * AREA + at]);
        let y = 0.299 * r + 0.587 * g + 0.114 * b;
        let i = 0.596 * r - 0.274 * g - 0.322 * b;
        let q = 0.211 * r - 0.523 * g + 0.312 * b;
        let (i, q) = (i * cos - q * sin, i * sin + q * cos);
        let turned = [
            y + 0.956 * i + 0.621 * q,
            y - 0.272 * i - 0.647 * q,
            y - 1.106 * i + 1.703 * q,
        ];
        for (channel, value) in turned.into_iter().enumerate() {
            view[channel * AREA + at] = value * contrast + brightness;
        }
    }
}

/// Mixes in `share` of the mean over each pixel and its four neighbours.
fn blur(view: &[f32], share: f32) -> Vec<f32> {
    let mut out = view.to_vec();
    for (at, value) in out.iter_mut().enumerate() {
        let (start, place) = (at / AREA * AREA, at % AREA);
        let (y, x) = (place / SIZE, place % SIZE);
        let pixel = |y: usize, x: usize| view[start + y.min(SIZE - 1) * SIZE + x.min(SIZE - 1)];
        let sum = pixel(y, x)
            + pixel(y.saturating_sub(1), x)
            + pixel(y + 1, x)
            + pixel(y, x.saturating_sub(1))
            + pixel(y, x + 1);
        *value = view[at] * (1.0 - share) + share * sum / 5.0;
    }
    out
}

/// Covers a rectangle with one random colour.
fn cover(view: &mut [f32], rng: &mut Rng) {
    let [height, width] = [0; 2].map(|_| 3 + rng.below(COVER - 2));
    let (top, left) = (rng.below(SIZE - height), rng.below(SIZE - width));
    let colour = [0; 3].map(|_| 2.0 * rng.uniform() - 1.0);
    for y in top..top + height {
        for x in left..left + width {
            for (channel, value) in colour.into_iter().enumerate() {
                view[channel * AREA + y * SIZE + x] = value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_stays_in_range_and_close_to_the_picture() {
        let picture: Vec<f32> = (0..3 * AREA)
            .map(|at| {
                if at % AREA / SIZE < SIZE / 2 {
                    -0.5
                } else {
                    0.5
                }
            })
            .collect();
        for seed in 0..20 {
            let view = augment(&picture, &mut Rng::new(seed));
            assert!(view.iter().all(|v| (-1.0..=1.0).contains(v)));
            let mean = |rows: std::ops::Range<usize>| -> f32 {
                let count = rows.len() as f32 * SIZE as f32;
                view[rows.start * SIZE..rows.end * SIZE].iter().sum::<f32>() / count
            };
            assert!(mean(6..10) + 0.3 < mean(22..26), "seed {seed}");
        }
    }
}
