//! RoIAlign with as many samples as a region needs (`aligned`, sampling ratio 0).

/// One feature map: `[channels, height, width]` values.
#[derive(Clone, Debug)]
pub struct Map {
    /// Row-major.
    pub values: Vec<f32>,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// Pixels of the picture from place to place.
    pub stride: f32,
}

/// The region `corners` (left, top, right, bottom in the picture) of a map as `[channels, side, side]`.
pub fn roi_align(map: &Map, corners: [f32; 4], side: usize) -> Vec<f32> {
    let [channels, height, width] = map.shape;
    let [x1, y1, x2, y2] = corners.map(|at| at / map.stride - 0.5);
    let columns = samples([x1, x2], side, width);
    let rows = samples([y1, y2], side, height);
    let plane = height * width;
    let mut out = Vec::with_capacity(channels * side * side);
    for channel in 0..channels {
        let values = &map.values[channel * plane..(channel + 1) * plane];
        for row in &rows {
            for column in &columns {
                let count = (row.len() * column.len()).max(1) as f32;
                let mut sum = 0.0;
                for [(top, a), (bottom, b)] in row.iter().flatten() {
                    for [(left, c), (right, d)] in column.iter().flatten() {
                        let at = |y: usize, x: usize| values[y * width + x];
                        sum += a * (c * at(*top, *left) + d * at(*top, *right))
                            + b * (c * at(*bottom, *left) + d * at(*bottom, *right));
                    }
                }
                out.push(sum / count);
            }
        }
    }
    out
}

/// A sample along one axis: two places with their weights; none outside the map.
type Sample = Option<[(usize, f32); 2]>;

/// For each of `side` bins of the span its samples.
fn samples([from, to]: [f32; 2], side: usize, length: usize) -> Vec<Vec<Sample>> {
    let bin = (to - from) / side as f32;
    // A region of a whole picture has no more samples than the map has places, save for a region far outside of it.
    let count = (bin.ceil().max(0.0) as usize).min(length.max(1) * 2);
    (0..side)
        .map(|at| {
            (0..count)
                .map(|sample| {
                    let within = (sample as f32 + 0.5) * bin / count as f32;
                    place(from + at as f32 * bin + within, length)
                })
                .collect()
        })
        .collect()
}

fn place(at: f32, length: usize) -> Sample {
    if at < -1.0 || at > length as f32 || length == 0 {
        return None;
    }
    let at = at.max(0.0);
    let low = at as usize;
    if low + 1 >= length {
        return Some([(length - 1, 1.0), (length - 1, 0.0)]);
    }
    let share = at - low as f32;
    Some([(low, 1.0 - share), (low + 1, share)])
}
