//! Batch norm over `[batch, channels, pixels]`.

/// Added to variances, PyTorch's default.
const EPS: f64 = 1e-5;

/// Means and variances of channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// One a channel.
    pub mean: Vec<f32>,
    /// One a channel, biased.
    pub variance: Vec<f32>,
}

impl Statistics {
    /// Mean 0 and variance 1: before any batch.
    pub fn new(channels: usize) -> Self {
        Self {
            mean: vec![0.0; channels],
            variance: vec![1.0; channels],
        }
    }

    /// Those of a batch.
    pub(super) fn of(x: &[f32], [batch, channels, pixels]: [usize; 3]) -> Self {
        let mut found = Self::new(channels);
        let count = (batch * pixels) as f64;
        for channel in 0..channels {
            let values =
                || (0..batch).flat_map(move |b| &x[(b * channels + channel) * pixels..][..pixels]);
            let mean = values().map(|&v| f64::from(v)).sum::<f64>() / count;
            let squares = values()
                .map(|&v| (f64::from(v) - mean).powi(2))
                .sum::<f64>();
            found.mean[channel] = mean as f32;
            found.variance[channel] = (squares / count) as f32;
        }
        found
    }

    /// Moves a tenth of the way to those of a batch of `count` values a channel.
    pub(super) fn follow(&mut self, batch: &Self, count: usize) {
        let sample = count as f32 / (count.max(2) - 1) as f32;
        for (mean, new) in self.mean.iter_mut().zip(&batch.mean) {
            *mean += 0.1 * (new - *mean);
        }
        for (variance, new) in self.variance.iter_mut().zip(&batch.variance) {
            *variance += 0.1 * (sample * new - *variance);
        }
    }

    fn spread(&self, channel: usize) -> f32 {
        (1.0 / (f64::from(self.variance[channel]) + EPS).sqrt()) as f32
    }
}

/// `factor · (x − mean) / √(variance + ε) + shift`.
pub(super) fn batch_norm(
    x: &[f32],
    statistics: &Statistics,
    [factor, shift]: [&[f32]; 2],
    pixels: usize,
) -> Vec<f32> {
    let channels = factor.len();
    let mut out = Vec::with_capacity(x.len());
    for (at, plane) in x.chunks_exact(pixels).enumerate() {
        let c = at % channels;
        let scale = factor[c] * statistics.spread(c);
        let offset = shift[c] - statistics.mean[c] * scale;
        out.extend(plane.iter().map(|value| value * scale + offset));
    }
    out
}

/// Gradients of the values, factor and shift, where the statistics are those of the values.
pub(super) fn batch_norm_backward(
    x: &[f32],
    statistics: &Statistics,
    factor: &[f32],
    grad: &[f32],
    pixels: usize,
) -> (Vec<f32>, [Vec<f32>; 2]) {
    let channels = factor.len();
    let (mut of_factor, mut of_shift) = (vec![0.0f64; channels], vec![0.0f64; channels]);
    let planes = || {
        x.chunks_exact(pixels)
            .zip(grad.chunks_exact(pixels))
            .enumerate()
    };
    for (at, (x, grad)) in planes() {
        let c = at % channels;
        let (mean, spread) = (statistics.mean[c], statistics.spread(c));
        for (x, grad) in x.iter().zip(grad) {
            of_factor[c] += f64::from(grad * (x - mean) * spread);
            of_shift[c] += f64::from(*grad);
        }
    }
    let count = (x.len() / channels.max(1)) as f64;
    let mut out = Vec::with_capacity(x.len());
    for (at, (x, grad)) in planes() {
        let c = at % channels;
        let (mean, spread) = (statistics.mean[c], statistics.spread(c));
        let scale = factor[c] * spread;
        let [by_value, level] = [of_factor[c], of_shift[c]].map(|sum| (sum / count) as f32);
        let pairs = x.iter().zip(grad);
        out.extend(pairs.map(|(x, g)| scale * (g - level - (x - mean) * spread * by_value)));
    }
    let single = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
    (out, [single(of_factor), single(of_shift)])
}
