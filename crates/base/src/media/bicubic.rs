//! Bicubic resizing as Pillow does it.

use super::image::Image;

/// The picture at another size as Pillow makes it: cubic with a = −½, widened when shrinking, rounded to bytes after each of the two
/// passes.
pub fn bicubic(picture: &Image, width: u32, height: u32) -> Image {
    let (width, height) = (width.max(1), height.max(1));
    if (width, height) == (picture.width, picture.height) {
        return picture.clone();
    }
    let from = picture.width as usize * 3;
    let across = taps(picture.width as usize, width as usize);
    let mut middle = Vec::with_capacity(picture.height as usize * width as usize * 3);
    for row in picture.pixels.chunks_exact(from.max(1)) {
        for (start, weights) in &across {
            for channel in 0..3 {
                let bytes = row.iter().skip(start * 3 + channel).step_by(3);
                middle.push(weighted(bytes, weights));
            }
        }
    }
    let stride = width as usize * 3;
    let mut pixels = Vec::with_capacity(stride * height as usize);
    for (start, weights) in taps(picture.height as usize, height as usize) {
        for column in 0..stride {
            let bytes = middle.iter().skip(start * stride + column).step_by(stride);
            pixels.push(weighted(bytes, &weights));
        }
    }
    Image {
        width,
        height,
        pixels,
    }
}

fn weighted<'a>(bytes: impl Iterator<Item = &'a u8>, weights: &[f32]) -> u8 {
    let products = bytes.zip(weights);
    let sum: f32 = products
        .map(|(byte, weight)| f32::from(*byte) * weight)
        .sum();
    sum.round().clamp(0.0, 255.0) as u8
}

/// For each pixel of `to`, the first pixel of `from` that it takes and the weights of that and those after it.
fn taps(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = from as f64 / to as f64;
    let wide = scale.max(1.0);
    (0..to)
        .map(|at| {
            let centre = (at as f64 + 0.5) * scale;
            let start = (centre - 2.0 * wide + 0.5).max(0.0) as usize;
            let end = ((centre + 2.0 * wide + 0.5) as usize).min(from);
            let weights: Vec<f64> = (start..end)
                .map(|pixel| cubic((pixel as f64 - centre + 0.5) / wide))
                .collect();
            let sum: f64 = weights.iter().sum();
            let weights = weights.iter().map(|weight| (weight / sum) as f32);
            (start, weights.collect())
        })
        .collect()
}

fn cubic(x: f64) -> f64 {
    let x = x.abs();
    match x {
        _ if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        _ if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
        _ => 0.0,
    }
}
