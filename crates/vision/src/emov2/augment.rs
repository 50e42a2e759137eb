//! Views of a picture that mean the same, and mixtures of two.

use base::media::Image;
use base::rng::Rng;
use serde::{Deserialize, Serialize};

use super::randaugment;
use super::transform::{DEVIATION, MEAN};

/// How training pictures are changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// The smallest share of the area that a crop keeps.
    pub crop: f32,
    /// Whether half of the pictures are mirrored.
    pub flip: bool,
    /// Largest change of brightness, contrast and saturation.
    pub jitter: f32,
    /// Magnitude of RandAugment, up to 10; 0: none.
    pub randaugment: f32,
    /// Chance that a picture becomes its negative: light things on dark and dark ones on light are the same.
    pub invert: f32,
    /// Chance that a rectangle is filled with noise (Zhong et al., arXiv 1708.04896).
    pub erasing: f32,
    /// α of Mixup's Beta distribution (Zhang et al., arXiv 1710.09412); 0: none.
    pub mixup: f32,
    /// α of CutMix's (Yun et al., arXiv 1905.04899); 0: none. Where both are given each has half of the batches.
    pub cutmix: f32,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            crop: 0.35,
            flip: true,
            jitter: 0.4,
            randaugment: 0.0,
            invert: 0.0,
            erasing: 0.0,
            mixup: 0.0,
            cutmix: 0.0,
        }
    }
}

/// Ratios of width to height of a crop.
const RATIOS: [f32; 2] = [0.75, 4.0 / 3.0];
/// Shares of the area that are erased, and their ratios.
const ERASED: [f32; 2] = [0.02, 0.33];
const ERASED_RATIO: f32 = 0.3;

/// A view of `picture` as `[3, side, side]` in `[0, 1]`.
pub fn view(picture: &Image, side: usize, config: &AugmentConfig, rng: &mut Rng) -> Vec<f32> {
    let part = random_crop(picture, config.crop, rng);
    let mut view = sampled(picture, part, side, config.flip && rng.chance(0.5));
    if config.randaugment > 0.0 {
        randaugment::change(&mut view, side, config.randaugment, rng);
    }
    jitter(&mut view, config.jitter, rng);
    if config.invert > 0.0 && rng.chance(config.invert) {
        view.iter_mut().for_each(|value| *value = 1.0 - *value);
    }
    view
}

/// Left, top, width, height of a crop.
fn random_crop(picture: &Image, least: f32, rng: &mut Rng) -> [f32; 4] {
    let (width, height) = (picture.width as f32, picture.height as f32);
    for _ in 0..10 {
        let area = width * height * (least + (1.0 - least) * rng.uniform());
        let [low, high] = RATIOS.map(libm::logf);
        let ratio = libm::expf(low + (high - low) * rng.uniform());
        let (w, h) = (libm::sqrtf(area * ratio), libm::sqrtf(area / ratio));
        if w <= width && h <= height {
            let left = (width - w) * rng.uniform();
            return [left, (height - h) * rng.uniform(), w, h];
        }
    }
    let side = width.min(height);
    [(width - side) / 2.0, (height - side) / 2.0, side, side]
}

/// A part of a picture at `side × side`, bilinear; where it shrinks, each value is the mean over several samples.
fn sampled(picture: &Image, part: [f32; 4], side: usize, mirrored: bool) -> Vec<f32> {
    let [left, top, width, height] = part;
    let shrinks = (width.max(height) / side as f32).ceil().clamp(1.0, 4.0) as usize;
    let fine = side * shrinks;
    let axis = |from: f32, length: f32, limit: u32| -> Vec<(usize, usize, f32)> {
        (0..fine)
            .map(|at| {
                let place = from + (at as f32 + 0.5) * length / fine as f32 - 0.5;
                let place = place.clamp(0.0, limit as f32 - 1.0);
                let low = place as usize;
                let high = (low + 1).min(limit as usize - 1);
                (low, high, place - low as f32)
            })
            .collect()
    };
    let columns = axis(left, width, picture.width);
    let rows = axis(top, height, picture.height);
    let area = side * side;
    let mut out = vec![0.0; 3 * area];
    let share = 1.0 / (255.0 * (shrinks * shrinks) as f32);
    let stride = picture.width as usize * 3;
    for (y, (y0, y1, dy)) in rows.iter().enumerate() {
        let (upper, lower) = (
            &picture.pixels[y0 * stride..],
            &picture.pixels[y1 * stride..],
        );
        for (x, (x0, x1, dx)) in columns.iter().enumerate() {
            let column = match mirrored {
                true => side - 1 - x / shrinks,
                false => x / shrinks,
            };
            for channel in 0..3 {
                let at = |row: &[u8], x: usize| f32::from(row[x * 3 + channel]);
                let mix = |row: &[u8]| at(row, *x0) * (1.0 - dx) + at(row, *x1) * dx;
                let value = mix(upper) * (1.0 - dy) + mix(lower) * dy;
                out[channel * area + y / shrinks * side + column] += value * share;
            }
        }
    }
    out
}

/// Brightness, contrast and saturation.
fn jitter(view: &mut [f32], reach: f32, rng: &mut Rng) {
    if reach <= 0.0 {
        return;
    }
    let mut factor = || 1.0 + reach * (2.0 * rng.uniform() - 1.0);
    let (brightness, contrast, saturation) = (factor(), factor(), factor());
    let area = view.len() / 3;
    let grey = |view: &[f32], at: usize| {
        0.299 * view[at] + 0.587 * view[area + at] + 0.114 * view[2 * area + at]
    };
    let mean = (0..area).map(|at| grey(view, at)).sum::<f32>() / area as f32;
    for at in 0..area {
        let own = grey(view, at);
        for channel in 0..3 {
            let value = &mut view[channel * area + at];
            let coloured = own + (*value - own) * saturation;
            let changed = (mean + (coloured - mean) * contrast) * brightness;
            *value = changed.clamp(0.0, 1.0);
        }
    }
}

/// Takes ImageNet's mean and deviation out of `[3, side, side]` in `[0, 1]`.
pub fn normalise(view: &mut [f32]) {
    let area = view.len() / 3;
    for (channel, plane) in view.chunks_exact_mut(area.max(1)).enumerate() {
        let (mean, deviation) = (MEAN[channel % 3], DEVIATION[channel % 3]);
        plane
            .iter_mut()
            .for_each(|value| *value = (*value - mean) / deviation);
    }
}

/// Fills a rectangle of a normalised view with noise.
pub fn erase(view: &mut [f32], side: usize, chance: f32, rng: &mut Rng) {
    if chance <= 0.0 || !rng.chance(chance) {
        return;
    }
    let share = ERASED[0] + (ERASED[1] - ERASED[0]) * rng.uniform();
    let reach = libm::logf(ERASED_RATIO);
    let ratio = libm::expf(reach * (2.0 * rng.uniform() - 1.0));
    let area = share * (side * side) as f32;
    let height = (libm::sqrtf(area * ratio) as usize).clamp(1, side);
    let width = (libm::sqrtf(area / ratio) as usize).clamp(1, side);
    let (top, left) = (rng.below(side - height + 1), rng.below(side - width + 1));
    for channel in 0..3 {
        for y in top..top + height {
            for x in left..left + width {
                view[(channel * side + y) * side + x] = rng.normal();
            }
        }
    }
}

/// Mixes a batch `[batch, 3, side, side]` and its targets `[batch, classes]` with themselves in reverse order.
pub fn mix(
    pixels: &mut [f32],
    targets: &mut [f32],
    [batch, side]: [usize; 2],
    config: &AugmentConfig,
    rng: &mut Rng,
) {
    let wants = [config.mixup > 0.0, config.cutmix > 0.0];
    let cut = match wants {
        [false, false] => return,
        [true, true] => rng.chance(0.5),
        [_, cutmix] => cutmix,
    };
    let alpha = if cut { config.cutmix } else { config.mixup };
    let mut share = beta(alpha, rng);
    let other = pixels.to_vec();
    let values = pixels.len() / batch.max(1);
    let partner = |at: usize| &other[(batch - 1 - at) * values..(batch - at) * values];
    if cut {
        let cut_side = (side as f32 * libm::sqrtf(1.0 - share)) as usize;
        let mut span = || {
            let middle = rng.below(side);
            let from = middle.saturating_sub(cut_side / 2);
            from..(middle + cut_side.div_ceil(2)).min(side)
        };
        let (rows, columns) = (span(), span());
        share = 1.0 - (rows.len() * columns.len()) as f32 / (side * side) as f32;
        for (at, view) in pixels.chunks_exact_mut(values).enumerate() {
            for plane in 0..values / (side * side) {
                for y in rows.clone() {
                    let from = (plane * side + y) * side;
                    let span = from + columns.start..from + columns.end;
                    view[span.clone()].copy_from_slice(&partner(at)[span]);
                }
            }
        }
    } else {
        for (at, view) in pixels.chunks_exact_mut(values).enumerate() {
            for (value, other) in view.iter_mut().zip(partner(at)) {
                *value = share * *value + (1.0 - share) * other;
            }
        }
    }
    let classes = targets.len() / batch.max(1);
    let before = targets.to_vec();
    for (at, row) in targets.chunks_exact_mut(classes.max(1)).enumerate() {
        let other = &before[(batch - 1 - at) * classes..(batch - at) * classes];
        for (value, other) in row.iter_mut().zip(other) {
            *value = share * *value + (1.0 - share) * other;
        }
    }
}

/// A draw of Beta(α, α), from two gamma draws.
fn beta(alpha: f32, rng: &mut Rng) -> f32 {
    let (a, b) = (gamma(alpha, rng), gamma(alpha, rng));
    match a + b > 0.0 {
        true => a / (a + b),
        false => 0.5,
    }
}

/// A draw of Gamma(α, 1) (Marsaglia and Tsang, 2000).
fn gamma(alpha: f32, rng: &mut Rng) -> f32 {
    if alpha < 1.0 {
        let lift = libm::powf(rng.uniform().max(f32::MIN_POSITIVE), 1.0 / alpha);
        return gamma(alpha + 1.0, rng) * lift;
    }
    let d = alpha - 1.0 / 3.0;
    let c = 1.0 / libm::sqrtf(9.0 * d);
    loop {
        let x = rng.normal();
        let v = (1.0 + c * x) * (1.0 + c * x) * (1.0 + c * x);
        let u = rng.uniform().max(f32::MIN_POSITIVE);
        if v > 0.0 && libm::logf(u) < 0.5 * x * x + d - d * v + d * libm::logf(v) {
            return d * v;
        }
    }
}
