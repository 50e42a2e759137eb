//! Two-dimensional Fourier transforms of small planes, zero frequency in the middle.

use std::fmt;
use std::sync::Arc;

use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

/// Transforms of planes of one size. Forward without a factor, back with `1/(height·width)`.
#[derive(Clone)]
pub struct Fourier {
    height: usize,
    width: usize,
    /// Along rows and along columns, forward and back.
    rows: [Arc<dyn Fft<f32>>; 2],
    columns: [Arc<dyn Fft<f32>>; 2],
}

impl fmt::Debug for Fourier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fourier({}x{})", self.height, self.width)
    }
}

impl Fourier {
    /// For planes `[height, width]`, both at least 1.
    pub fn new(height: usize, width: usize) -> Self {
        let mut planner = FftPlanner::new();
        let mut both = |n| [planner.plan_fft_forward(n), planner.plan_fft_inverse(n)];
        Self {
            height,
            width,
            rows: both(width),
            columns: both(height),
        }
    }

    /// `fftshift(fft2(plane))`.
    pub fn forward(&self, plane: &[f32]) -> Vec<Complex32> {
        let mut values: Vec<Complex32> = plane.iter().map(|&v| Complex32::new(v, 0.0)).collect();
        self.transform(&mut values, 0);
        shifted(
            &values,
            [self.height, self.width],
            [self.height / 2, self.width / 2],
        )
    }

    /// The real part of `ifft2(ifftshift(spectrum))`.
    pub fn inverse(&self, spectrum: &[Complex32]) -> Vec<f32> {
        let size = [self.height, self.width];
        let mut values = shifted(spectrum, size, size.map(|side| side.div_ceil(2)));
        self.transform(&mut values, 1);
        let scale = 1.0 / (self.height * self.width) as f32;
        values.iter().map(|value| value.re * scale).collect()
    }

    fn transform(&self, values: &mut Vec<Complex32>, back: usize) {
        self.rows[back].process(values);
        let mut turned = transposed(values, self.height, self.width);
        self.columns[back].process(&mut turned);
        *values = transposed(&turned, self.width, self.height);
    }
}

fn transposed(values: &[Complex32], height: usize, width: usize) -> Vec<Complex32> {
    let columns = (0..width).flat_map(|x| (0..height).map(move |y| y * width + x));
    columns.map(|at| values[at]).collect()
}

/// `values` `[height, width]` moved down and to the right by `by`, around the edges.
pub(super) fn shifted<T: Copy>(
    values: &[T],
    [height, width]: [usize; 2],
    by: [usize; 2],
) -> Vec<T> {
    let mut out = Vec::with_capacity(values.len());
    for y in 0..height {
        let row = &values[(y + height - by[0] % height) % height * width..][..width];
        let split = (width - by[1] % width) % width;
        out.extend_from_slice(&row[split..]);
        out.extend_from_slice(&row[..split]);
    }
    out
}
