//! From a picture to what the network sees: the official evaluation transform.

use base::media::{Image, bicubic};

/// ImageNet's mean of each channel.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// ImageNet's deviation of each channel.
pub const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];
/// The share of the resized picture that the official crop keeps.
pub const CROP: f64 = 0.875;

/// The crop of the evaluation transform: the shorter side to `⌊size / share⌋` (bicubic), then the middle `size × size`.
pub fn crop_for(picture: &Image, size: u32, share: f64) -> Image {
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
pub fn normalise(picture: &Image) -> Vec<f32> {
    (0..3)
        .flat_map(|channel| {
            let bytes = picture.pixels.iter().skip(channel).step_by(3);
            bytes.map(move |byte| (f32::from(*byte) / 255.0 - MEAN[channel]) / DEVIATION[channel])
        })
        .collect()
}
