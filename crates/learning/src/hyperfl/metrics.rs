//! How like the truth a reconstruction is: PSNR and SSIM, as scikit-image computes them for values in `[0, 1]`.

/// The most that [`psnr`] gives, for equal pictures, in dB.
pub const MOST_PSNR: f64 = 100.0;
/// Side of the uniform window.
const SIDE: usize = 7;
/// Standard deviation of the Gaussian window.
const SIGMA: f64 = 1.5;
/// Values of the Gaussian window to each side of its middle: 11 × 11.
const REACH: usize = 5;

/// Peak signal-to-noise ratio in dB, at most [`MOST_PSNR`].
pub fn psnr(a: &[f32], b: &[f32]) -> f64 {
    let squares: f64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
        .sum();
    (10.0 * (a.len() as f64 / squares).log10()).min(MOST_PSNR)
}

/// Window of [`ssim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// 7 × 7, all weights equal.
    Uniform,
    /// 11 × 11, Gaussian with standard deviation 1.5.
    Gaussian,
}

/// Structural similarity of two pictures `[channels, rows, columns]`, the mean over channels and over places whose window
/// lies inside; NaN where none does. Covariances are those of a sample for the uniform window, as scikit-image has it by default,
/// and weighted means for the Gaussian one, as its documentation advises.
pub fn ssim(a: &[f32], b: &[f32], [channels, rows, columns]: [usize; 3], window: Window) -> f64 {
    let weights: Vec<f64> = match window {
        Window::Uniform => vec![1.0 / SIDE as f64; SIDE],
        Window::Gaussian => {
            let raw = (0..=2 * REACH).map(|at| {
                let x = (at as f64 - REACH as f64) / SIGMA;
                (-0.5 * x * x).exp()
            });
            let raw: Vec<f64> = raw.collect();
            let sum: f64 = raw.iter().sum();
            raw.into_iter().map(|weight| weight / sum).collect()
        }
    };
    let side = weights.len();
    if rows < side || columns < side {
        return f64::NAN;
    }
    let values = (side * side) as f64;
    let sample = match window {
        Window::Uniform => values / (values - 1.0),
        Window::Gaussian => 1.0,
    };
    let (c1, c2) = (0.01f64.powi(2), 0.03f64.powi(2));
    let mut sum = 0.0;
    for channel in 0..channels {
        let plane = |all: &[f32]| -> Vec<f64> {
            all[channel * rows * columns..][..rows * columns]
                .iter()
                .map(|value| f64::from(*value))
                .collect()
        };
        let (a, b) = (plane(a), plane(b));
        let mean = |values: &[f64]| filter(values, columns, &weights);
        let times = |a: &[f64], b: &[f64]| -> Vec<f64> {
            mean(&a.iter().zip(b).map(|(a, b)| a * b).collect::<Vec<_>>())
        };
        let (ma, mb) = (mean(&a), mean(&b));
        let (aa, bb, ab) = (times(&a, &a), times(&b, &b), times(&a, &b));
        let places = (0..ma.len()).map(|at| {
            let (x, y) = (ma[at], mb[at]);
            let va = sample * (aa[at] - x * x);
            let vb = sample * (bb[at] - y * y);
            let cov = sample * (ab[at] - x * y);
            (2.0 * x * y + c1) * (2.0 * cov + c2) / ((x * x + y * y + c1) * (va + vb + c2))
        });
        sum += places.sum::<f64>() / ma.len() as f64;
    }
    sum / channels as f64
}

/// The weighted mean around each place whose window lies inside.
fn filter(values: &[f64], columns: usize, weights: &[f64]) -> Vec<f64> {
    let side = weights.len();
    let narrow = columns - side + 1;
    let across: Vec<f64> = values
        .chunks_exact(columns)
        .flat_map(|row| {
            let window = |window: &[f64]| window.iter().zip(weights).map(|(v, w)| v * w).sum();
            row.windows(side).map(window).collect::<Vec<f64>>()
        })
        .collect();
    let rows = values.len() / columns;
    let mut out = Vec::with_capacity((rows - side + 1) * narrow);
    for row in 0..=rows - side {
        for column in 0..narrow {
            let down = weights.iter().enumerate();
            out.push(
                down.map(|(i, w)| w * across[(row + i) * narrow + column])
                    .sum(),
            );
        }
    }
    out
}
