//! Group marks: rings and a noise image in the spectrum of two channels (the construction of RingID).

use rustfft::num_complex::Complex32;

use super::codes::codes;
use super::spectrum::{Fourier, shifted};
use super::{Key, Shape, SystemError};

/// Outer radius of the marked annulus in a spectrum of 64 x 64 (official).
const OUTER: usize = 14;
/// Inner radius, not marked (official).
const INNER: usize = 3;
/// Most rings with a sign of their own (official).
const MAX_RINGS: usize = 11;

/// Where group marks are and how strong.
///
/// The ring of radius `r` has the coefficients whose distance from the middle rounds to `r − 1`; this gives the official
/// table of "rounder" masks exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarkConfig {
    /// Shape of the latents.
    pub shape: Shape,
    /// Radius of the outermost ring.
    pub outer: usize,
    /// Radius up to which nothing is marked.
    pub inner: usize,
    /// Coefficients across a ring.
    pub ring_width: usize,
    /// Channel of the rings.
    pub ring_channel: usize,
    /// Channel of the noise image.
    pub noise_channel: usize,
    /// Rings are ± this value, in real and imaginary part.
    pub ring_value: f32,
    /// Whether the rings' spatial pattern is moved from the corners to the middle.
    pub time_shift: bool,
}

impl MarkConfig {
    /// The official numbers for latents of 64 x 64, in proportion for other sizes: radius 14 without 3, ring value the
    /// root of the number of places, rings in the last channel, noise in the first.
    ///
    /// # Errors
    /// [`SystemError::Input`] for fewer than two channels or sides below 12.
    pub fn for_shape(shape: Shape) -> Result<Self, SystemError> {
        let side = shape.height.min(shape.width);
        if shape.channels < 2 || side < 12 {
            return Err(SystemError::Input(format!(
                "latents of {shape}: a mark needs two channels or more, and sides of 12 or more"
            )));
        }
        let part = |radius: usize| (2 * radius * side + 64) / 128;
        let [outer, inner] = [part(OUTER), part(INNER).max(1)];
        Ok(Self {
            shape,
            outer,
            inner,
            ring_width: (outer - inner).div_ceil(MAX_RINGS),
            ring_channel: shape.channels - 1,
            noise_channel: 0,
            ring_value: ((shape.height * shape.width) as f32).sqrt(),
            time_shift: true,
        })
    }

    /// Number of rings; there are `2^rings` ring keys.
    pub fn rings(&self) -> usize {
        (self.outer - self.inner).div_ceil(self.ring_width)
    }

    /// The ring of a coefficient, 0 the outermost.
    pub fn ring_at(&self, y: usize, x: usize) -> Option<usize> {
        let [dy, dx] = [(y, self.shape.height), (x, self.shape.width)]
            .map(|(at, side)| at as f64 - (side / 2) as f64);
        let radius = dy.hypot(dx).round() as usize + 1;
        let inside = radius > self.inner && radius <= self.outer;
        inside.then(|| (self.outer - radius) / self.ring_width)
    }
}

/// The official `circle_mask` of group marks: distances above 0 up to `radius` from the middle of `[height, width]`.
pub fn circle(height: usize, width: usize, radius: usize) -> Vec<bool> {
    let inside = |at: usize| {
        let [y, x] = [
            (at / width).abs_diff(height / 2),
            (at % width).abs_diff(width / 2),
        ];
        (1..=radius * radius).contains(&(y * y + x * x))
    };
    (0..height * width).map(inside).collect()
}

/// A group's mark: its spectrum at the marked coefficients, channel of the noise and channel of the rings.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark(pub(super) [Vec<Complex32>; 2]);

/// Draws marks and reads them.
#[derive(Clone, Debug)]
pub struct Marker {
    config: MarkConfig,
    fourier: Fourier,
    /// Places of the marked coefficients in a plane, and the ring of each.
    places: Vec<(usize, usize)>,
}

impl Marker {
    /// For one configuration.
    ///
    /// # Errors
    /// [`SystemError::Input`] where the annulus does not fit into the spectrum or the channels are not there or the same.
    pub fn new(config: MarkConfig) -> Result<Self, SystemError> {
        let Shape {
            channels,
            height,
            width,
        } = config.shape;
        let channel = |at: usize| at < channels;
        if !channel(config.ring_channel)
            || !channel(config.noise_channel)
            || config.ring_channel == config.noise_channel
            || config.outer <= config.inner
            || config.ring_width == 0
            || config.outer > height.min(width) / 2
        {
            return Err(SystemError::Input(format!(
                "a mark of radius {} to {} in channels {} and {} does not fit latents of {}",
                config.inner, config.outer, config.noise_channel, config.ring_channel, config.shape
            )));
        }
        let places = (0..height * width)
            .filter_map(|at| Some((at, config.ring_at(at / width, at % width)?)))
            .collect();
        Ok(Self {
            config,
            fourier: Fourier::new(height, width),
            places,
        })
    }

    /// Where marks are and how strong.
    pub fn config(&self) -> &MarkConfig {
        &self.config
    }

    /// Marked coefficients of one channel.
    pub fn marked(&self) -> usize {
        self.places.len()
    }

    /// Real dimensions of latents that no mark touches.
    pub fn free_dimensions(&self) -> usize {
        // A coefficient and its mirror image are one complex number.
        self.config.shape.len() - 2 * self.places.len()
    }

    /// The spectra before they are made those of real images: the noise's and the rings', `[height, width]` each. `rings`
    /// has a value for each ring, the outermost first; `noise` is `[height, width]`.
    pub fn raw(&self, rings: &[f32], noise: &[f32]) -> [Vec<Complex32>; 2] {
        let spectrum = self.fourier.forward(noise);
        let mut both = [0, 1].map(|_| vec![Complex32::default(); noise.len()]);
        for &(at, ring) in &self.places {
            both[0][at] = spectrum[at];
            let value = rings.get(ring).copied().unwrap_or_default();
            both[1][at] = Complex32::new(value, value);
        }
        both
    }

    /// The spectra of the real images that [`Self::raw`] gives, the rings' moved to the middle.
    pub fn spectra(&self, rings: &[f32], noise: &[f32]) -> [Vec<Complex32>; 2] {
        let [noise, rings] = self.raw(rings, noise).map(|raw| self.fourier.inverse(&raw));
        let Shape { height, width, .. } = self.config.shape;
        let rings = match self.config.time_shift {
            true => shifted(&rings, [height, width], [height / 2, width / 2]),
            false => rings,
        };
        [noise, rings].map(|image| self.fourier.forward(&image))
    }

    /// The mark of given rings and noise.
    pub fn mark(&self, rings: &[f32], noise: &[f32]) -> Mark {
        Mark(
            self.spectra(rings, noise)
                .map(|spectrum| self.taken(&spectrum)),
        )
    }

    /// The mark of a group of a key.
    pub fn group_mark(&self, key: &Key, group: usize, code: u32) -> Mark {
        let rings = self.ring_values(code);
        let Shape { height, width, .. } = self.config.shape;
        self.mark(&rings, &key.group_noise(group, height, width))
    }

    /// The marks of all groups of a key.
    ///
    /// # Errors
    /// [`SystemError::Input`] where there are more groups than ring keys.
    pub fn group_marks(&self, key: &Key) -> Result<Vec<Mark>, SystemError> {
        use rayon::prelude::*;
        let codes = codes(key, self.config.rings())?;
        let marks = codes.par_iter().enumerate();
        Ok(marks
            .map(|(group, &code)| self.group_mark(key, group, code))
            .collect())
    }

    /// The ring values of a code: its highest bit is the outermost ring, a set bit is positive.
    pub fn ring_values(&self, code: u32) -> Vec<f32> {
        let rings = self.config.rings();
        let positive = (0..rings).map(|ring| code >> (rings - 1 - ring) & 1 == 1);
        let value = self.config.ring_value;
        positive
            .map(|yes| if yes { value } else { -value })
            .collect()
    }

    /// Draws `mark` into `latents`.
    pub fn embed(&self, latents: &mut [f32], mark: &Mark) {
        for (channel, values) in self.channels().into_iter().zip(&mark.0) {
            self.edit(latents, channel, |at| values[at]);
        }
    }

    /// `latents` without the marked coefficients.
    pub fn removed(&self, latents: &[f32]) -> Vec<f32> {
        let mut rest = latents.to_vec();
        for channel in self.channels() {
            self.edit(&mut rest, channel, |_| Complex32::default());
        }
        rest
    }

    /// The squared length of [`Self::removed`].
    pub(super) fn removed_energy(&self, latents: &[f32]) -> f32 {
        let plane = self.config.shape.plane();
        let total: f32 = latents.iter().map(|value| value * value).sum();
        let marked = self.read(latents);
        let energy = marked
            .0
            .iter()
            .flatten()
            .map(Complex32::norm_sqr)
            .sum::<f32>();
        total - energy / plane as f32
    }

    /// The marked coefficients of `latents`.
    pub fn read(&self, latents: &[f32]) -> Mark {
        let plane = self.config.shape.plane();
        Mark(self.channels().map(|channel| {
            let values = &latents[channel * plane..][..plane];
            self.taken(&self.fourier.forward(values))
        }))
    }

    /// Mean complex moduli of the differences of two marks, in the channel of the noise and in that of the rings. The
    /// official distance is the smaller one.
    pub fn distances(&self, a: &Mark, b: &Mark) -> [f32; 2] {
        std::array::from_fn(|channel| {
            let pairs = a.0[channel].iter().zip(&b.0[channel]);
            pairs.map(|(a, b)| (a - b).norm()).sum::<f32>() / self.places.len() as f32
        })
    }

    /// The Euclidean length of the difference of two marks.
    pub fn length(&self, a: &Mark, b: &Mark) -> f32 {
        let pairs = a.0.iter().flatten().zip(b.0.iter().flatten());
        pairs.map(|(a, b)| (a - b).norm_sqr()).sum::<f32>().sqrt()
    }

    fn channels(&self) -> [usize; 2] {
        [self.config.noise_channel, self.config.ring_channel]
    }

    fn taken(&self, spectrum: &[Complex32]) -> Vec<Complex32> {
        self.places.iter().map(|&(at, _)| spectrum[at]).collect()
    }

    fn edit(&self, latents: &mut [f32], channel: usize, value: impl Fn(usize) -> Complex32) {
        let plane = self.config.shape.plane();
        let values = &mut latents[channel * plane..][..plane];
        let mut spectrum = self.fourier.forward(values);
        for (index, &(at, _)) in self.places.iter().enumerate() {
            spectrum[at] = value(index);
        }
        values.copy_from_slice(&self.fourier.inverse(&spectrum));
    }
}
