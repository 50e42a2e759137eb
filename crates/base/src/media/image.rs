//! The one picture type.

use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, Rgb, RgbImage};

use super::error::MediaError;

/// How many times larger than the result a picture stays that is averaged before it is filtered.
const OVERSAMPLED: u32 = 32;

/// An owned 8-bit RGB picture. Rows from the top, three bytes a pixel: `pixels.len() == width * height * 3`.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    /// Width in pixels, at least 1.
    pub width: u32,
    /// Height in pixels, at least 1.
    pub height: u32,
    /// RGB bytes, row by row.
    pub pixels: Vec<u8>,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({}x{})", self.width, self.height)
    }
}

impl Image {
    /// A picture of one colour. A side of 0 becomes 1.
    pub fn filled(width: u32, height: u32, colour: [u8; 3]) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        let count = width as usize * height as usize;
        Self {
            width,
            height,
            pixels: colour.repeat(count),
        }
    }

    /// A picture from its bytes.
    ///
    /// # Errors
    /// [`MediaError::Size`] when a side is 0 or `pixels` does not hold `width * height * 3` bytes.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Result<Self, MediaError> {
        check_size(width, height, pixels.len(), "bytes")?;
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// A picture from values of shape `[3, height, width]` in `[-1, 1]`; what lies outside is cut, NaN becomes black.
    ///
    /// # Errors
    /// [`MediaError::Size`] when a side is 0 or the count is not `3 * height * width`.
    pub fn from_unit(values: &[f32], width: u32, height: u32) -> Result<Self, MediaError> {
        check_size(width, height, values.len(), "values")?;
        let plane = values.len() / 3;
        let byte = |v: f32| ((v.clamp(-1.0, 1.0) + 1.0) * 127.5).round() as u8;
        let pixels = (0..plane)
            .flat_map(|at| [0, 1, 2].map(|channel| byte(values[channel * plane + at])))
            .collect();
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// The values of shape `[3, height, width]` in `[-1, 1]`.
    pub fn to_unit(&self) -> Vec<f32> {
        (0..3)
            .flat_map(|channel| self.pixels.iter().skip(channel).step_by(3))
            .map(|&byte| f32::from(byte) / 127.5 - 1.0)
            .collect()
    }

    /// A picture from RGBA bytes laid on white.
    ///
    /// # Errors
    /// [`MediaError::Size`] when a side is 0 or `rgba` does not hold `width * height * 4` bytes.
    pub fn on_white(width: u32, height: u32, rgba: &[u8]) -> Result<Self, MediaError> {
        if !rgba.len().is_multiple_of(4) {
            return Err(MediaError::Size(format!(
                "{} bytes are not whole RGBA pixels: give four bytes a pixel",
                rgba.len()
            )));
        }
        Self::on_white_in_place(width, height, rgba.to_vec())
    }

    /// As [`Self::on_white`], in the memory of `rgba`: large pictures need no second one.
    pub(super) fn on_white_in_place(
        width: u32,
        height: u32,
        mut rgba: Vec<u8>,
    ) -> Result<Self, MediaError> {
        check_size(width, height, rgba.len() / 4 * 3, "bytes")?;
        for pixel in 0..rgba.len() / 4 {
            let [r, g, b, alpha] = std::array::from_fn(|i| u32::from(rgba[4 * pixel + i]));
            let mix = |v: u32| ((v * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
            rgba[3 * pixel..3 * pixel + 3].copy_from_slice(&[mix(r), mix(g), mix(b)]);
        }
        rgba.truncate(rgba.len() / 4 * 3);
        Ok(Self {
            width,
            height,
            pixels: rgba,
        })
    }

    /// The RGB bytes of the pixel at column `x`, row `y`; white outside.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        if x >= self.width || y >= self.height {
            return [255; 3];
        }
        let at = (y as usize * self.width as usize + x as usize) * 3;
        [self.pixels[at], self.pixels[at + 1], self.pixels[at + 2]]
    }

    /// Sets the pixel at column `x`, row `y`; nothing outside.
    pub fn set(&mut self, x: u32, y: u32, colour: [u8; 3]) {
        if x < self.width && y < self.height {
            let at = (y as usize * self.width as usize + x as usize) * 3;
            self.pixels[at..at + 3].copy_from_slice(&colour);
        }
    }

    /// Copies `other` in with its upper left corner at `(x, y)`; what does not fit is cut.
    pub fn paste(&mut self, other: &Image, x: u32, y: u32) {
        if x >= self.width {
            return;
        }
        let bytes = other.width.min(self.width - x) as usize * 3;
        for row in 0..other.height.min(self.height.saturating_sub(y)) {
            let from = row as usize * other.width as usize * 3;
            let to = ((y + row) as usize * self.width as usize + x as usize) * 3;
            self.pixels[to..to + bytes].copy_from_slice(&other.pixels[from..from + bytes]);
        }
    }

    /// The part of `width` x `height` pixels at `(x, y)`; white where that reaches outside.
    pub fn crop(&self, x: u32, y: u32, width: u32, height: u32) -> Self {
        let mut part = Self::filled(width, height, [255; 3]);
        let bytes = width.min(self.width.saturating_sub(x)) as usize * 3;
        for row in 0..height.min(self.height.saturating_sub(y)) {
            let from = ((y + row) as usize * self.width as usize + x as usize) * 3;
            let to = row as usize * width as usize * 3;
            part.pixels[to..to + bytes].copy_from_slice(&self.pixels[from..from + bytes]);
        }
        part
    }

    /// The largest square in the middle.
    pub fn crop_square(&self) -> Self {
        let side = self.width.min(self.height);
        let (x, y) = ((self.width - side) / 2, (self.height - side) / 2);
        self.crop(x, y, side, side)
    }

    /// Every pixel as a square of `k` x `k`; `k` of 0 counts as 1.
    pub fn upscale_nearest(&self, k: u32) -> Self {
        let k = k.max(1) as usize;
        let mut pixels = Vec::with_capacity(self.pixels.len() * k * k);
        for row in self.pixels.chunks_exact(self.width as usize * 3) {
            let wide: Vec<u8> = row.chunks_exact(3).flat_map(|p| p.repeat(k)).collect();
            (0..k).for_each(|_| pixels.extend_from_slice(&wide));
        }
        Self {
            width: self.width * k as u32,
            height: self.height * k as u32,
            pixels,
        }
    }

    /// The picture at another size, Lanczos-filtered (three lobes, widened when shrinking). A side of 0 becomes 1.
    pub fn resize(&self, width: u32, height: u32) -> Self {
        self.resize_part([0, 0, self.width, self.height], width.max(1), height.max(1))
    }

    /// The largest square in the middle, at `side` x `side` pixels.
    pub fn resize_square(&self, side: u32) -> Self {
        let square = self.width.min(self.height);
        let (x, y) = ((self.width - square) / 2, (self.height - square) / 2);
        self.resize_part([x, y, square, square], side.max(1), side.max(1))
    }

    /// The part (x, y, width, height) at another size. Much larger parts are first averaged over squares, still at least
    /// [`OVERSAMPLED`] times as large as the result: that is as good there, and many times as fast.
    fn resize_part(&self, part: [u32; 4], width: u32, height: u32) -> Self {
        let [x, y, from_width, from_height] = part;
        if (width, height) == (from_width, from_height) {
            return self.crop(x, y, width, height);
        }
        let square = (from_width / width).min(from_height / height) / OVERSAMPLED;
        if square > 1 {
            let averaged = self.averaged(part, square);
            return averaged.resize(width, height);
        }
        let pixels = self.pixels.as_slice();
        let Some(whole) = ImageBuffer::<Rgb<u8>, _>::from_raw(self.width, self.height, pixels)
        else {
            // A hand-made picture that breaks the rule of sizes.
            return Self::filled(width, height, [255; 3]);
        };
        let view = imageops::crop_imm(&whole, x, y, from_width, from_height);
        let resized = imageops::resize(&*view, width, height, FilterType::Lanczos3);
        Self {
            width,
            height,
            pixels: resized.into_raw(),
        }
    }

    /// The means of squares of side `square` in a part; what is left over at the right and lower edge is left out.
    fn averaged(&self, [x, y, width, height]: [u32; 4], square: u32) -> Self {
        let (columns, rows) = (width / square, height / square);
        let side = square as usize;
        let area = square * square;
        let mut pixels = Vec::with_capacity(columns as usize * rows as usize * 3);
        let mut sums = vec![[0u32; 3]; columns as usize];
        for row in 0..rows {
            sums.fill([0; 3]);
            for line in row * square..(row + 1) * square {
                let start = ((y + line) as usize * self.width as usize + x as usize) * 3;
                let line = self.pixels.get(start..).unwrap_or_default();
                for (sum, block) in sums.iter_mut().zip(line.chunks_exact(side * 3)) {
                    for pixel in block.chunks_exact(3) {
                        (0..3).for_each(|channel| sum[channel] += u32::from(pixel[channel]));
                    }
                }
            }
            pixels.extend(
                sums.iter()
                    .flat_map(|sum| sum.map(|value| ((value + area / 2) / area) as u8)),
            );
        }
        Self {
            width: columns,
            height: rows,
            pixels,
        }
    }

    /// Turned and mirrored as a camera's mark says.
    pub(super) fn turned(self, orientation: Orientation) -> Self {
        if orientation == Orientation::NoTransforms {
            return self;
        }
        let (width, height) = (self.width, self.height);
        let Some(pixels) = RgbImage::from_raw(width, height, self.pixels) else {
            // A picture that breaks the rule of sizes, which no reader makes.
            return Self::filled(width, height, [255; 3]);
        };
        let mut image = DynamicImage::ImageRgb8(pixels);
        image.apply_orientation(orientation);
        Self {
            width: image.width(),
            height: image.height(),
            pixels: image.into_rgb8().into_raw(),
        }
    }

    pub(super) fn from_image(image: DynamicImage) -> Result<Self, MediaError> {
        let (width, height) = (image.width(), image.height());
        if image.color().has_alpha() {
            return Self::on_white_in_place(width, height, image.into_rgba8().into_raw());
        }
        Self::new(width, height, image.into_rgb8().into_raw())
    }

    /// The same pixels in the type of the `image` crate.
    pub fn to_image(&self) -> RgbImage {
        // The sizes agree by construction; a hand-made picture that breaks the rule becomes an empty one.
        RgbImage::from_raw(self.width, self.height, self.pixels.clone()).unwrap_or_default()
    }
}

fn check_size(width: u32, height: u32, got: usize, unit: &str) -> Result<(), MediaError> {
    let want = u64::from(width) * u64::from(height) * 3;
    if want == 0 || want != got as u64 {
        return Err(MediaError::Size(format!(
            "a picture of {width}x{height} needs {want} {unit}, not {got}: give the size of the data"
        )));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_the_unit_range() {
        let bytes: Vec<u8> = (0..=255).flat_map(|v| [v, 255 - v, v / 2]).collect();
        let picture = Image::new(16, 16, bytes).unwrap();
        let unit = picture.to_unit();
        assert_eq!((unit[0], unit[255], unit[256]), (-1.0, 1.0, 1.0));
        assert_eq!(Image::from_unit(&unit, 16, 16).unwrap(), picture);
        let odd = Image::from_unit(&[f32::NAN, 9.0, -9.0], 1, 1).unwrap();
        assert_eq!(odd.pixels, [0, 255, 0]);
    }

    #[test]
    fn alpha_is_laid_on_white() {
        let rgba = [0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 128];
        let picture = Image::on_white(3, 1, &rgba).unwrap();
        assert_eq!(picture.pixels, [255, 255, 255, 0, 0, 0, 255, 127, 127]);
        assert!(Image::on_white(3, 1, &rgba[..11]).is_err());
    }

    #[test]
    fn cuts_and_scales_keep_the_right_pixels() {
        let picture = Image::new(3, 1, vec![1, 1, 1, 2, 2, 2, 3, 3, 3]).unwrap();
        assert_eq!(picture.crop_square().pixels, [2, 2, 2]);
        assert_eq!(picture.crop(2, 0, 2, 1).pixels, [3, 3, 3, 255, 255, 255]);
        let big = picture.upscale_nearest(2);
        assert_eq!((big.width, big.height, big.pixel(3, 1)), (6, 2, [2; 3]));
        let flat = Image::filled(48, 48, [9, 90, 200]).resize(32, 20);
        assert_eq!(flat, Image::filled(32, 20, [9, 90, 200]));
    }

    #[test]
    fn a_picture_averaged_before_it_is_filtered_looks_the_same() {
        let values: Vec<u8> = (0..2100u32 * 2050)
            .flat_map(|i| {
                let (x, y) = (i % 2100, i / 2100);
                [x / 9, y / 9, (x ^ y) / 9].map(|v| v as u8)
            })
            .collect();
        let picture = Image::new(2100, 2050, values).unwrap();
        let quick = picture.resize_square(32);
        let plain = imageops::resize(
            &picture.crop_square().to_image(),
            32,
            32,
            FilterType::Lanczos3,
        );
        let furthest = quick.pixels.iter().zip(plain.as_raw());
        let furthest = furthest.map(|(a, b)| a.abs_diff(*b)).max();
        assert!(furthest <= Some(2), "{furthest:?}");
    }

    #[test]
    fn a_wrong_count_is_told() {
        let line = Image::new(2, 2, vec![0; 11]).unwrap_err().to_string();
        assert!(line.contains("2x2 needs 12 bytes, not 11"), "{line}");
        assert!(Image::from_unit(&[], 0, 4).is_err());
    }
}
