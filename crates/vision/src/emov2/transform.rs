//! From a picture to what the network sees: the official evaluation transform.

use base::media::Picture;

/// ImageNet's mean of each channel.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// ImageNet's deviation of each channel.
pub const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];
/// The share of the resized picture that the official crop keeps.
pub const CROP: f64 = 0.875;

/// The crop of the evaluation transform: the shorter side to `⌊size / share⌋` (bicubic), then the middle `size × size`.
pub fn crop_for(picture: &Picture, size: u32, share: f64) -> Picture {
    let short = (f64::from(size) / share).floor() as u32;
    let (width, height) = (picture.width, picture.height);
    let long = |long: u32, side: u32| {
        let exact = u64::from(short) * u64::from(long) / u64::from(side.max(1));
        u32::try_from(exact).unwrap_or(u32::MAX)
    };
    // Of a long strip only the middle is needed, before anything of its resized length is made.
    let keep = |side: u32, other: u32| side.min(other.saturating_mul(4));
    let (cut_width, cut_height) = (keep(width, height), keep(height, width));
    let part = picture.crop(
        (width - cut_width) / 2,
        (height - cut_height) / 2,
        cut_width,
        cut_height,
    );
    let resized = match part.width <= part.height {
        true => bicubic(&part, short, long(part.height, part.width)),
        false => bicubic(&part, long(part.width, part.height), short),
    };
    let offset = |side: u32| half_even(side.saturating_sub(size));
    resized.crop(offset(resized.width), offset(resized.height), size, size)
}

/// Half of `n`, a remainder of one half to the even neighbour, as Python rounds.
fn half_even(n: u32) -> u32 {
    n / 2 + u32::from(n % 4 == 3)
}

/// The values of a picture, `[3, height, width]`, ImageNet's mean and deviation taken out.
pub fn normalise(picture: &Picture) -> Vec<f32> {
    (0..3)
        .flat_map(|channel| {
            let bytes = picture.pixels.iter().skip(channel).step_by(3);
            bytes.map(move |byte| (f32::from(*byte) / 255.0 - MEAN[channel]) / DEVIATION[channel])
        })
        .collect()
}

/// The picture at another size, bicubic (a = −½), widened when shrinking; rounded to bytes after each of the two passes.
pub fn bicubic(picture: &Picture, width: u32, height: u32) -> Picture {
    let (width, height) = (width.max(1), height.max(1));
    let from = picture.width as usize * 3;
    let across = taps(picture.width as usize, width as usize);
    let mut middle = Vec::with_capacity(picture.height as usize * width as usize * 3);
    for row in picture.pixels.chunks_exact(from) {
        for (start, weights) in &across {
            for channel in 0..3 {
                let bytes = row[start * 3 + channel..].iter().step_by(3);
                middle.push(weighted(bytes, weights));
            }
        }
    }
    let stride = width as usize * 3;
    let mut pixels = Vec::with_capacity(stride * height as usize);
    for (start, weights) in taps(picture.height as usize, height as usize) {
        for column in 0..stride {
            let bytes = middle[start * stride + column..].iter().step_by(stride);
            pixels.push(weighted(bytes, &weights));
        }
    }
    Picture {
        width,
        height,
        pixels,
    }
}

fn weighted<'a>(bytes: impl Iterator<Item = &'a u8>, weights: &[f32]) -> u8 {
    let sum: f32 = bytes
        .zip(weights)
        .map(|(byte, weight)| f32::from(*byte) * weight)
        .sum();
    sum.round().clamp(0.0, 255.0) as u8
}

/// For each pixel of `to`, the first pixel of `from` that it takes and the weights of that and those after it.
fn taps(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = from as f64 / to as f64;
    let wide = scale.max(1.0);
    let support = 2.0 * wide;
    (0..to)
        .map(|at| {
            let centre = (at as f64 + 0.5) * scale;
            let start = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
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
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}
