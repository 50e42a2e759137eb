//! Sums over long lists, with sixteen partial sums or in f64.

/// `a · b`.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    let (chunks, rest) = a.split_at(a.len() / LANES * LANES);
    for (a, b) in chunks.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let tail: f32 = rest
        .iter()
        .zip(&b[chunks.len()..])
        .map(|(a, b)| a * b)
        .sum();
    sums.iter().sum::<f32>() + tail
}

/// `y += factor · x`.
pub fn add_scaled(y: &mut [f32], factor: f32, x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += factor * x;
    }
}

/// Sum of squares, in f64.
pub fn squares(x: &[f32]) -> f64 {
    x.iter().map(|&x| f64::from(x) * f64::from(x)).sum()
}

/// `a · b` in f64.
pub fn dot64(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| f64::from(a) * f64::from(b))
        .sum()
}

/// Number of the largest value; 0 for an empty list.
pub fn argmax(values: &[f32]) -> usize {
    let largest = values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    largest.map_or(0, |(at, _)| at)
}
