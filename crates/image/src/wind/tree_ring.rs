//! Tree-Ring (Wen et al., arXiv 2305.20030), the baseline: one key drawn as a disc into the spectrum of the noise.

use rustfft::num_complex::Complex32;

use super::spectrum::Fourier;
use super::statistics::ln_noncentral_chi2;
use super::{Shape, SystemError};

/// What the disc holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pattern {
    /// The spectrum of the key's noise.
    Random,
    /// Rings of one value each, the first row of that spectrum.
    Ring,
    /// Zeros.
    Zeros,
    /// A constant.
    Constant(f32),
}

/// A Tree-Ring key.
#[derive(Clone, Debug)]
pub struct TreeRing {
    shape: Shape,
    channels: std::ops::Range<usize>,
    /// Whether the disc is in the spectrum; else in the noise itself.
    spectral: bool,
    places: Vec<usize>,
    /// Values at the places, channel by channel.
    key: Vec<Complex32>,
    fourier: Fourier,
}

/// The official disc: `x² + y² ≤ r²` about column `width / 2` and row `(height − 1) / 2`.
pub fn disc(height: usize, width: usize, radius: usize) -> Vec<bool> {
    let [middle_y, middle_x] = [height - 1 - height / 2, width / 2];
    let inside = |at: usize| {
        let [y, x] = [
            (at / width).abs_diff(middle_y),
            (at % width).abs_diff(middle_x),
        ];
        y * y + x * x <= radius * radius
    };
    (0..height * width).map(inside).collect()
}

impl TreeRing {
    /// A key drawn from `noise` of `shape`; `channel` none for all channels; `spectral` as the paper has it.
    ///
    /// # Errors
    /// [`SystemError::Input`] for a channel or disc outside, and noise of another shape.
    pub fn new(
        noise: &[f32],
        shape: Shape,
        channel: Option<usize>,
        radius: usize,
        pattern: Pattern,
        spectral: bool,
    ) -> Result<Self, SystemError> {
        let Shape {
            channels,
            height,
            width,
        } = shape;
        let fits = channel.is_none_or(|channel| channel < channels);
        if !fits || noise.len() != shape.len() || radius == 0 || radius >= width.min(height) {
            return Err(SystemError::Input(format!(
                "a disc of radius {radius} in channel {channel:?} does not fit latents of {shape}"
            )));
        }
        let fourier = Fourier::new(height, width);
        let places = disc(height, width, radius);
        let places: Vec<usize> = (0..places.len()).filter(|&at| places[at]).collect();
        // The smallest disc that holds each place: rings are painted from large to small.
        let rings: Vec<Vec<bool>> = (1..=radius).map(|r| disc(height, width, r)).collect();
        let ring = |at: usize| {
            rings
                .iter()
                .position(|disc| disc[at])
                .map_or(radius, |r| r + 1)
        };
        let channels = channel.map_or(0..channels, |channel| channel..channel + 1);
        let mut ring_key = Self {
            shape,
            channels: channels.clone(),
            spectral,
            places,
            key: Vec::new(),
            fourier,
        };
        for channel in channels {
            let values = ring_key.values(noise, channel);
            let value = |&at: &usize| match pattern {
                Pattern::Random => values[at],
                Pattern::Ring => values[ring(at)],
                Pattern::Zeros => Complex32::default(),
                Pattern::Constant(value) => Complex32::new(value, 0.0),
            };
            let key: Vec<Complex32> = ring_key.places.iter().map(value).collect();
            ring_key.key.extend(key);
        }
        Ok(ring_key)
    }

    /// Values of the disc in all its channels.
    pub fn size(&self) -> usize {
        self.key.len()
    }

    /// Draws the key into `latents`.
    pub fn embed(&self, latents: &mut [f32]) {
        let plane = self.shape.plane();
        for (channel, key) in self
            .channels
            .clone()
            .zip(self.key.chunks_exact(self.places.len()))
        {
            let mut values = self.values(latents, channel);
            for (&at, &value) in self.places.iter().zip(key) {
                values[at] = value;
            }
            let out = match self.spectral {
                true => self.fourier.inverse(&values),
                false => values.iter().map(|value| value.re).collect(),
            };
            latents[channel * plane..][..plane].copy_from_slice(&out);
        }
    }

    /// Mean modulus of the difference between the key and what `latents` hold there.
    pub fn distance(&self, latents: &[f32]) -> f32 {
        let read = self.read(latents);
        let differences = read
            .iter()
            .zip(&self.key)
            .map(|(a, b)| f64::from((a - b).norm()));
        (differences.sum::<f64>() / self.key.len() as f64) as f32
    }

    /// The test of unmarked noise: degrees of freedom, noncentrality, statistic, deviation, and ln p.
    pub fn test(&self, latents: &[f32]) -> TreeRingTest {
        let read = self.read(latents);
        let parts: Vec<f64> = read
            .iter()
            .flat_map(|value| [f64::from(value.re), f64::from(value.im)])
            .collect();
        let count = parts.len() as f64;
        let mean = parts.iter().sum::<f64>() / count;
        let squares = parts.iter().map(|part| (part - mean).powi(2)).sum::<f64>();
        let variance = (squares / (count - 1.0)).max(1e-30);
        let norm = |value: Complex32| f64::from(value.re).powi(2) + f64::from(value.im).powi(2);
        let key = self.key.iter().map(|&value| norm(value)).sum::<f64>();
        let apart = read
            .iter()
            .zip(&self.key)
            .map(|(&a, &b)| norm(a - b))
            .sum::<f64>();
        let [nc, x] = [key / variance, apart / variance];
        TreeRingTest {
            df: count,
            nc,
            x,
            sigma: variance.sqrt(),
            ln_p: ln_noncentral_chi2(x, count, nc),
        }
    }

    fn read(&self, latents: &[f32]) -> Vec<Complex32> {
        let channels = self.channels.clone();
        channels
            .flat_map(|channel| {
                let values = self.values(latents, channel);
                let taken = self.places.iter().map(move |&at| values[at]);
                taken.collect::<Vec<_>>()
            })
            .collect()
    }

    fn values(&self, latents: &[f32], channel: usize) -> Vec<Complex32> {
        let plane = self.shape.plane();
        let values = &latents[channel * plane..][..plane];
        match self.spectral {
            true => self.fourier.forward(values),
            false => values
                .iter()
                .map(|&value| Complex32::new(value, 0.0))
                .collect(),
        }
    }
}

/// What [`TreeRing::test`] finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TreeRingTest {
    /// Degrees of freedom: twice the disc's values.
    pub df: f64,
    /// Noncentrality: the key's squared length over the variance.
    pub nc: f64,
    /// The squared distance over the variance.
    pub x: f64,
    /// Sample deviation of what the disc holds.
    pub sigma: f64,
    /// ln of the chance that unmarked latents come as near.
    pub ln_p: f64,
}
