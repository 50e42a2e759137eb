//! Boxes that a detector corrects: a few at each place of each map.

use serde::{Deserialize, Serialize};

/// The anchors of one map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnchorLevel {
    /// At the first place: left, top, right, bottom, in pixels of the picture.
    pub base: Vec<[f32; 4]>,
    /// Pixels from one place to the next.
    pub stride: f32,
}

impl AnchorLevel {
    /// At all places of a map of `[height, width]`, by row, column and anchor.
    pub fn grid(&self, [height, width]: [usize; 2]) -> Vec<[f32; 4]> {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| [x, y]));
        places
            .flat_map(|place| {
                let [x, y] = place.map(|at| at as f32 * self.stride);
                let moved = |b: &[f32; 4]| [b[0] + x, b[1] + y, b[2] + x, b[3] + y];
                self.base.iter().map(moved).collect::<Vec<_>>()
            })
            .collect()
    }
}

/// One box of `size` about `centre`.
fn about(centre: f32, [width, height]: [f32; 2]) -> [f32; 4] {
    let (w, h) = (0.5 * width, 0.5 * height);
    [centre - w, centre - h, centre + w, centre + h]
}

/// Sides of a box of `size`² pixels whose height is `ratio` times its width.
fn sides(size: f32, ratio: f32) -> [f32; 2] {
    let root = libm::sqrtf(ratio);
    [size / root, size * root]
}

/// Anchors of `stride · scale` for each ratio and scale about the corner of a place.
pub fn scaled_anchors(strides: &[f32], scales: &[f32], ratios: &[f32]) -> Vec<AnchorLevel> {
    strides
        .iter()
        .map(|&stride| AnchorLevel {
            base: ratios
                .iter()
                .flat_map(|&ratio| {
                    let sized = move |&scale: &f32| {
                        let [w, h] = sides(1.0, ratio).map(|side| stride * side * scale);
                        about(0.0, [w, h])
                    };
                    scales.iter().map(sized)
                })
                .collect(),
            stride,
        })
        .collect()
}

/// RetinaNet's: `per_octave` scales from `base` up to twice that.
pub fn octave_anchors(
    strides: &[f32],
    base: f32,
    per_octave: usize,
    ratios: &[f32],
) -> Vec<AnchorLevel> {
    let scales: Vec<f32> = (0..per_octave)
        .map(|at| (libm::exp2(at as f64 / per_octave as f64) * f64::from(base)) as f32)
        .collect();
    scaled_anchors(strides, &scales, ratios)
}

/// SSD's: a square of the least size, one between it and the largest, then both orientations of each ratio, about the middle
/// of a place.
pub fn ssd_anchors(
    strides: &[f32],
    min: &[f32],
    max: &[f32],
    ratios: &[Vec<f32>],
) -> Vec<AnchorLevel> {
    let sizes = min.iter().zip(max);
    strides
        .iter()
        .zip(sizes)
        .zip(ratios)
        .map(|((&stride, (&min, &max)), ratios)| {
            let between = min * libm::sqrtf(max / min);
            let both = ratios.iter().flat_map(|&ratio| [1.0 / ratio, ratio]);
            let flat = both.map(|ratio| sides(min, ratio));
            let squares = [[min; 2], [between; 2]];
            AnchorLevel {
                base: squares
                    .into_iter()
                    .chain(flat)
                    .map(|size| about(stride / 2.0, size))
                    .collect(),
                stride,
            }
        })
        .collect()
}
