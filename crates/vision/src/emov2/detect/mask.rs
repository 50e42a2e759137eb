//! Masks of detections, from their box to the whole picture.

/// Probability from which on a pixel belongs.
pub const THRESHOLD: f32 = 0.5;

/// Spreads a mask of `side × side` probabilities over `corners` (left, top, right, bottom) of a picture of `[height, width]`,
/// bilinear: true from `threshold` on.
pub fn paste_mask(
    probabilities: &[f32],
    side: usize,
    corners: [f32; 4],
    [height, width]: [usize; 2],
    threshold: f32,
) -> Vec<bool> {
    let mut out = vec![false; height * width];
    let [left, top, right, bottom] = corners;
    let span = |low: f32, high: f32, length: usize| {
        let from = (low.floor() - 1.0).max(0.0) as usize;
        let to = (high.ceil() + 1.0).clamp(0.0, length as f32) as usize;
        from..to.max(from)
    };
    // Where in the mask the middle of a pixel lies.
    let within = |at: usize, low: f32, high: f32| {
        let unit = (at as f32 + 0.5 - low) / (high - low) * 2.0 - 1.0;
        ((unit + 1.0) * side as f32 - 1.0) / 2.0
    };
    let value = |y: i64, x: i64| {
        let inside = |at: i64| (0..side as i64).contains(&at);
        match inside(y) && inside(x) {
            true => probabilities[y as usize * side + x as usize],
            false => 0.0,
        }
    };
    for y in span(top, bottom, height) {
        let v = within(y, top, bottom);
        for x in span(left, right, width) {
            let u = within(x, left, right);
            if !(u.is_finite() && v.is_finite()) {
                continue;
            }
            let (row, column) = (v.floor(), u.floor());
            let (dy, dx) = (v - row, u - column);
            let (row, column) = (row as i64, column as i64);
            let mixed = (1.0 - dy)
                * ((1.0 - dx) * value(row, column) + dx * value(row, column + 1))
                + dy * ((1.0 - dx) * value(row + 1, column) + dx * value(row + 1, column + 1));
            out[y * width + x] = mixed >= threshold;
        }
    }
    out
}
