//! What happens to pictures on their way: the attacks of the paper's tables, as the libraries do them that it used.

use std::fmt;
use std::str::FromStr;

use base::media::{Image, MediaError, decode_still};
use base::rng::Rng;
use image::ImageEncoder;
use image::codecs::jpeg::JpegEncoder;

use super::SystemError;

/// One attack, written as `rotate:75` and so on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Attack {
    /// Nothing.
    None,
    /// Turned counter-clockwise by degrees: nearest neighbour, black outside.
    Rotate(f32),
    /// Saved as JPEG with a quality from 1 to 100, and read again.
    Jpeg(u8),
    /// A random part with this share of the area and this ratio of width to height, enlarged to the whole.
    Crop(f32, f32),
    /// Pillow's Gaussian blur: three box blurs.
    Blur(f32),
    /// Gaussian noise of this standard deviation, where white is 1.
    Noise(f32),
    /// Brightness times this factor.
    Brightness(f32),
}

impl Attack {
    /// The attacks of the paper's table 1; brightness at 3.5, the middle of its range from 0 to 7.
    pub const PAPER: [Self; 7] = [
        Self::None,
        Self::Rotate(75.0),
        Self::Jpeg(25),
        Self::Crop(0.75, 0.75),
        Self::Blur(8.0),
        Self::Noise(0.1),
        Self::Brightness(3.5),
    ];

    /// The picture after the attack; draws come from `rng`.
    ///
    /// # Errors
    /// [`SystemError::Media`] where the picture cannot be encoded.
    pub fn apply(&self, picture: &Image, rng: &mut Rng) -> Result<Image, SystemError> {
        Ok(match *self {
            Self::None => picture.clone(),
            Self::Rotate(degrees) => rotated(picture, degrees),
            Self::Jpeg(quality) => {
                decode_still(&jpeg_bytes(picture, quality)?, "attack.jpg")?.picture
            }
            Self::Crop(area, ratio) => {
                let [left, top, width, height] = random_box(picture, [area, ratio], rng);
                resized(
                    &picture.crop(left, top, width, height),
                    picture.width,
                    picture.height,
                )
            }
            Self::Blur(radius) => blurred(picture, radius),
            Self::Noise(deviation) => {
                let noise = (0..picture.pixels.len()).map(|_| deviation * rng.normal());
                noisy(picture, &noise.collect::<Vec<f32>>())
            }
            Self::Brightness(factor) => brightened(picture, factor),
        })
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Rotate(degrees) => write!(f, "rotate:{degrees}"),
            Self::Jpeg(quality) => write!(f, "jpeg:{quality}"),
            Self::Crop(area, ratio) => write!(f, "crop:{area}:{ratio}"),
            Self::Blur(radius) => write!(f, "blur:{radius}"),
            Self::Noise(deviation) => write!(f, "noise:{deviation}"),
            Self::Brightness(factor) => write!(f, "brightness:{factor}"),
        }
    }
}

impl FromStr for Attack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let parts: Vec<&str> = parts.collect();
        let number = |at: usize, usual: f32, low: f32, high: f32| match parts.get(at) {
            None => Ok(usual),
            Some(part) => base::command::number_in(part, low, high),
        };
        let attack = match name {
            "none" => Self::None,
            "rotate" => Self::Rotate(number(0, 75.0, -360.0, 360.0)?),
            "jpeg" => Self::Jpeg(number(0, 25.0, 1.0, 100.0)? as u8),
            "crop" => Self::Crop(number(0, 0.75, 0.01, 1.0)?, number(1, 0.75, 0.1, 10.0)?),
            "blur" => Self::Blur(number(0, 8.0, 0.0, 100.0)?),
            "noise" => Self::Noise(number(0, 0.1, 0.0, 10.0)?),
            "brightness" => Self::Brightness(number(0, 3.5, 0.0, 100.0)?),
            _ => {
                return Err(
                    "give none, rotate:DEGREES, jpeg:QUALITY, crop:AREA:RATIO, blur:RADIUS, noise:DEVIATION or brightness:FACTOR"
                        .into(),
                );
            }
        };
        let most = if name == "crop" { 2 } else { 1 };
        match parts.len() <= most && (name != "none" || parts.is_empty()) {
            true => Ok(attack),
            false => Err(format!("`{name}` takes fewer numbers")),
        }
    }
}

/// Turned counter-clockwise about the middle, same size, black outside: nearest neighbour in 16.16 fixed point, pixel for
/// pixel what Pillow does.
pub fn rotated(picture: &Image, degrees: f32) -> Image {
    let angle = -f64::from(degrees).to_radians();
    let round = |v: f64| (v * 1e15).round() / 1e15;
    let [cos, sin] = [round(angle.cos()), round(angle.sin())];
    let [middle_x, middle_y] = [picture.width, picture.height].map(|side| f64::from(side) / 2.0);
    let start_x = middle_x - cos * middle_x - sin * middle_y;
    let start_y = middle_y + sin * middle_x - cos * middle_y;
    let fixed = |v: f64| (v * 65536.0 + 0.5).floor() as i64;
    let [step_x, step_y] = [[cos, sin], [-sin, cos]].map(|steps| steps.map(fixed));
    let first = [
        fixed(start_x + cos * 0.5 + sin * 0.5),
        fixed(start_y - sin * 0.5 + cos * 0.5),
    ];
    let mut out = Image::filled(picture.width, picture.height, [0; 3]);
    for y in 0..picture.height {
        for x in 0..picture.width {
            let [across, down] = [i64::from(x), i64::from(y)];
            let from_x = (first[0] + down * step_x[1] + across * step_x[0]) >> 16;
            let from_y = (first[1] + down * step_y[1] + across * step_y[0]) >> 16;
            if let (Ok(from_x), Ok(from_y)) = (u32::try_from(from_x), u32::try_from(from_y))
                && from_x < picture.width
                && from_y < picture.height
            {
                out.set(x, y, picture.pixel(from_x, from_y));
            }
        }
    }
    out
}

/// The picture as JPEG.
///
/// # Errors
/// [`MediaError::Encode`].
pub fn jpeg_bytes(picture: &Image, quality: u8) -> Result<Vec<u8>, MediaError> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .write_image(
            &coarse_colours(picture).pixels,
            picture.width,
            picture.height,
            image::ExtendedColorType::Rgb8,
        )
        .map_err(|error| MediaError::Encode(error.to_string()))?;
    Ok(bytes)
}

/// With one colour for each square of four pixels and the brightness of each, as 4:2:0 keeps them: what most programs write.
/// The encoder itself keeps all colours.
fn coarse_colours(picture: &Image) -> Image {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let brightness = |rgb: &[u8]| {
        0.299 * f32::from(rgb[0]) + 0.587 * f32::from(rgb[1]) + 0.114 * f32::from(rgb[2])
    };
    let mut coarse = picture.clone();
    for top in (0..height).step_by(2) {
        for left in (0..width).step_by(2) {
            let places: Vec<usize> = (top..height.min(top + 2))
                .flat_map(|y| (left..width.min(left + 2)).map(move |x| 3 * (y * width + x)))
                .collect();
            for channel in 0..3 {
                let colour = |&at: &usize| {
                    f32::from(picture.pixels[at + channel])
                        - brightness(&picture.pixels[at..at + 3])
                };
                let mean = places.iter().map(colour).sum::<f32>() / places.len() as f32;
                for &at in &places {
                    let value = brightness(&picture.pixels[at..at + 3]) + mean;
                    coarse.pixels[at + channel] = value.round().clamp(0.0, 255.0) as u8;
                }
            }
        }
    }
    coarse
}

/// A random box (left, top, width, height) of a share of the area and a ratio; the middle where it does not fit.
fn random_box(picture: &Image, [area, ratio]: [f32; 2], rng: &mut Rng) -> [u32; 4] {
    let total = f64::from(picture.width) * f64::from(picture.height) * f64::from(area);
    let side = |product: f64, most: u32| (product.sqrt().round() as u32).clamp(1, most);
    let width = side(total * f64::from(ratio), picture.width);
    let height = side(total / f64::from(ratio), picture.height);
    let mut place = |room: u32| rng.below(room as usize + 1) as u32;
    [
        place(picture.width - width),
        place(picture.height - height),
        width,
        height,
    ]
}

/// The picture at another size: bilinear, widened where it shrinks, columns before rows.
pub fn resized(picture: &Image, width: u32, height: u32) -> Image {
    let [from_width, from_height] = [picture.width, picture.height].map(|side| side as usize);
    let across = weights(from_width, width.max(1) as usize);
    let down = weights(from_height, height.max(1) as usize);
    let mut narrow = vec![0u8; across.len() * from_height * 3];
    for (y, out) in narrow.chunks_exact_mut(across.len() * 3).enumerate() {
        let row = &picture.pixels[y * from_width * 3..][..from_width * 3];
        for ((start, weights), out) in across.iter().zip(out.chunks_exact_mut(3)) {
            for (channel, out) in out.iter_mut().enumerate() {
                let pixels = row[start * 3 + channel..].iter().step_by(3);
                *out = weighted(weights, pixels);
            }
        }
    }
    let stride = across.len() * 3;
    let mut pixels = Vec::with_capacity(stride * down.len());
    for (start, weights) in &down {
        for column in 0..stride {
            let values = narrow[start * stride + column..].iter().step_by(stride);
            pixels.push(weighted(weights, values));
        }
    }
    Image {
        width: across.len() as u32,
        height: down.len() as u32,
        pixels,
    }
}

fn weighted<'a>(weights: &[f64], values: impl Iterator<Item = &'a u8>) -> u8 {
    let sum: f64 = weights
        .iter()
        .zip(values)
        .map(|(w, v)| w * f64::from(*v))
        .sum();
    (sum + 0.5).clamp(0.0, 255.0) as u8
}

/// For each of `to` places the first of `from` that counts, and the weights from there on.
fn weights(from: usize, to: usize) -> Vec<(usize, Vec<f64>)> {
    let scale = from as f64 / to as f64;
    let reach = scale.max(1.0);
    let one = |at: usize| {
        let middle = (at as f64 + 0.5) * scale;
        let start = ((middle - reach + 0.5).max(0.0)) as usize;
        let end = ((middle + reach + 0.5) as usize).min(from);
        let weight = |x: usize| (1.0 - ((x as f64 + 0.5 - middle) / reach).abs()).max(0.0);
        let weights: Vec<f64> = (start..end.max(start + 1)).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        (start, weights.iter().map(|weight| weight / sum).collect())
    };
    (0..to).map(one).collect()
}

/// Pillow's Gaussian blur: three box blurs along rows, then three along columns, each rounded to bytes.
pub fn blurred(picture: &Image, radius: f32) -> Image {
    if radius <= 0.0 {
        return picture.clone();
    }
    let variance = f64::from(radius) * f64::from(radius) / 3.0;
    // Gwosdek et al. 2011, "Theoretical foundations of Gaussian convolution by extended box filtering".
    let whole = (((12.0 * variance + 1.0).sqrt() - 1.0) / 2.0).floor();
    let part = (2.0 * whole + 1.0) * (whole * (whole + 1.0) - 3.0 * variance)
        / (6.0 * (variance - (whole + 1.0) * (whole + 1.0)));
    let length = (whole + part) as f32;
    let mut out = picture.clone();
    let [width, height] = [picture.width, picture.height].map(|side| side as usize);
    for (lines, count, step, between) in
        [(height, width, 3, 3 * width), (width, height, 3 * width, 3)]
    {
        for line in 0..lines {
            for channel in 0..3 {
                let start = line * between + channel;
                let mut values: Vec<u8> =
                    (0..count).map(|at| out.pixels[start + at * step]).collect();
                for _ in 0..3 {
                    values = box_blurred(&values, length);
                }
                for (at, value) in values.into_iter().enumerate() {
                    out.pixels[start + at * step] = value;
                }
            }
        }
    }
    out
}

/// The mean over `2·radius + 1` values, those at both ends in part; the ends go on outside.
fn box_blurred(values: &[u8], radius: f32) -> Vec<u8> {
    let whole = radius as i64;
    let inner = ((1u32 << 24) as f32 / (radius * 2.0 + 1.0)) as u64;
    let outer = ((1u64 << 24) - (2 * whole as u64 + 1) * inner) / 2;
    let last = values.len() as i64 - 1;
    let value = |at: i64| u64::from(values[at.clamp(0, last) as usize]);
    let mut sum: u64 = (-whole - 1..whole).map(value).sum();
    (0..=last)
        .map(|at| {
            sum = sum + value(at + whole) - value(at - whole - 1);
            let ends = value(at - whole - 1) + value(at + whole + 1);
            ((sum * inner + ends * outer + (1 << 23)) >> 24) as u8
        })
        .collect()
}

/// Noise added, where 1 is white; one value for each byte.
pub fn noisy(picture: &Image, noise: &[f32]) -> Image {
    let sum = |(byte, noise): (&u8, &f32)| {
        (f32::from(*byte) + 255.0 * noise)
            .round_ties_even()
            .clamp(0.0, 255.0) as u8
    };
    Image {
        pixels: picture.pixels.iter().zip(noise).map(sum).collect(),
        width: picture.width,
        height: picture.height,
    }
}

/// As the official helper adds noise: cut to whole numbers, and sums wrap around at 256. Only for comparison with
/// published figures.
pub fn noisy_wrapping(picture: &Image, noise: &[f32]) -> Image {
    let sum = |(byte, noise): (&u8, &f32)| byte.wrapping_add((255.0 * noise) as i32 as u8);
    Image {
        pixels: picture.pixels.iter().zip(noise).map(sum).collect(),
        width: picture.width,
        height: picture.height,
    }
}

/// Every byte times `factor`, cut off.
pub fn brightened(picture: &Image, factor: f32) -> Image {
    let bright = |byte: &u8| (f32::from(*byte) * factor).clamp(0.0, 255.0) as u8;
    Image {
        pixels: picture.pixels.iter().map(bright).collect(),
        width: picture.width,
        height: picture.height,
    }
}
