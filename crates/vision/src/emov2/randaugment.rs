//! RandAugment (Cubuk et al., arXiv 1909.13719) with magnitudes that grow in strength, as `rand-m9-mstd0.5-inc1` in the field: two of
//! fifteen changes, each with a chance of one half.

use base::rng::Rng;

/// Changes of a picture, and the chance of each.
const CHANGES: usize = 2;
const CHANCE: f32 = 0.5;
/// Largest magnitude.
const MOST: f32 = 10.0;
/// Deviation of the magnitudes that are drawn.
const DEVIATION: f32 = 0.5;
/// What comes in at the edges.
const EDGE: [f32; 3] = [0.485, 0.456, 0.406];
/// Weights of the channels in grey.
const GREY: [f32; 3] = [0.299, 0.587, 0.114];

/// Changes `[3, side, side]` in `[0, 1]` with magnitude `magnitude` of 10.
pub fn change(view: &mut Vec<f32>, side: usize, magnitude: f32, rng: &mut Rng) {
    for _ in 0..CHANGES {
        let which = rng.below(15);
        if !rng.chance(CHANCE) {
            continue;
        }
        let drawn = magnitude + DEVIATION * rng.normal();
        let level = drawn.clamp(0.0, MOST) / MOST;
        let sign = if rng.chance(0.5) { 1.0 } else { -1.0 };
        apply(view, side, which, level, sign);
    }
    view.iter_mut()
        .for_each(|value| *value = value.clamp(0.0, 1.0));
}

/// Change `which` at `level` from 0 to 1.
fn apply(view: &mut Vec<f32>, side: usize, which: usize, level: f32, sign: f32) {
    let factor = 1.0 + sign * 0.9 * level;
    let area = side * side;
    match which {
        0 => each_plane(view, area, stretch),
        1 => each_plane(view, area, equalise),
        2 => view.iter_mut().for_each(|value| *value = 1.0 - *value),
        3 => {
            let (sin, cos) = libm::sincosf(sign * level * 30.0_f32.to_radians());
            move_by(view, side, [cos, sin, -sin, cos], [0.0; 2]);
        }
        4 => {
            let kept = libm::exp2f(4.0 - (4.0 * level).floor()).max(1.0);
            view.iter_mut()
                .for_each(|value| *value = (*value * (kept - 1.0)).round() / (kept - 1.0).max(1.0));
        }
        5 => {
            let from = 1.0 - level;
            let turned = view.iter_mut().filter(|value| **value >= from);
            turned.for_each(|value| *value = 1.0 - *value);
        }
        6 => {
            let dark = view.iter_mut().filter(|value| **value < 0.5);
            dark.for_each(|value| *value = (*value + 0.43 * level).min(1.0));
        }
        7 => blend(view, area, factor, |view, _, at| grey(view, area, at)),
        8 => {
            let mean = (0..area).map(|at| grey(view, area, at)).sum::<f32>() / area as f32;
            blend(view, area, factor, |_, _, _| mean);
        }
        9 => view.iter_mut().for_each(|value| *value *= factor),
        10 => blend(view, area, factor, |view, channel, at| {
            smoothed(&view[channel * area..(channel + 1) * area], side, at)
        }),
        11 => move_by(view, side, [1.0, sign * 0.3 * level, 0.0, 1.0], [0.0; 2]),
        12 => move_by(view, side, [1.0, 0.0, sign * 0.3 * level, 1.0], [0.0; 2]),
        13 => move_by(view, side, [1.0, 0.0, 0.0, 1.0], [sign * 0.45 * level, 0.0]),
        _ => move_by(view, side, [1.0, 0.0, 0.0, 1.0], [0.0, sign * 0.45 * level]),
    }
}

fn each_plane(view: &mut [f32], area: usize, change: impl Fn(&mut [f32])) {
    view.chunks_exact_mut(area.max(1)).for_each(change);
}

fn grey(view: &[f32], area: usize, at: usize) -> f32 {
    (0..3)
        .map(|channel| GREY[channel] * view[channel * area + at])
        .sum()
}

/// The least value to 0, the largest to 1.
fn stretch(plane: &mut [f32]) {
    let low = plane.iter().copied().fold(f32::INFINITY, f32::min);
    let high = plane.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if high > low {
        plane
            .iter_mut()
            .for_each(|value| *value = (*value - low) / (high - low));
    }
}

/// All 256 levels equally often.
fn equalise(plane: &mut [f32]) {
    let level = |value: f32| (value.clamp(0.0, 1.0) * 255.0) as usize;
    let mut up_to = [0u32; 256];
    plane.iter().for_each(|value| up_to[level(*value)] += 1);
    for at in 1..256 {
        up_to[at] += up_to[at - 1];
    }
    let first = up_to.iter().copied().find(|count| *count > 0).unwrap_or(0);
    let range = (plane.len() as u32).saturating_sub(first).max(1) as f32;
    for value in plane {
        *value = up_to[level(*value)].saturating_sub(first) as f32 / range;
    }
}

/// From what `other` gives (view, channel, place) towards the view and beyond: 0 is the other, 1 the view.
fn blend(
    view: &mut Vec<f32>,
    area: usize,
    factor: f32,
    other: impl Fn(&[f32], usize, usize) -> f32,
) {
    let changed = (0..view.len()).map(|index| {
        let other = other(view, index / area, index % area);
        other + (view[index] - other) * factor
    });
    *view = changed.collect();
}

/// A mean over the neighbours in which the middle counts five times.
fn smoothed(plane: &[f32], side: usize, at: usize) -> f32 {
    let (y, x) = (at / side, at % side);
    let range = |at: usize| at.saturating_sub(1)..(at + 2).min(side);
    let (mut sum, mut weights) = (0.0, 0.0);
    for row in range(y) {
        for column in range(x) {
            let weight = if (row, column) == (y, x) { 5.0 } else { 1.0 };
            sum += weight * plane[row * side + column];
            weights += weight;
        }
    }
    sum / weights
}

/// Each place takes what is at `matrix · place + shift · side` about the middle, bilinear.
fn move_by(view: &mut Vec<f32>, side: usize, matrix: [f32; 4], shift: [f32; 2]) {
    let area = side * side;
    let middle = (side as f32 - 1.0) / 2.0;
    let reach = side as f32;
    let moved = (0..view.len()).map(|index| {
        let (channel, at) = (index / area, index % area);
        let (dx, dy) = ((at % side) as f32 - middle, (at / side) as f32 - middle);
        let x = matrix[0] * dx + matrix[1] * dy + middle + shift[0] * reach;
        let y = matrix[2] * dx + matrix[3] * dy + middle + shift[1] * reach;
        let (left, top) = (x.floor(), y.floor());
        let value = |y: f32, x: f32| {
            let inside = |at: f32| (0.0..reach).contains(&at);
            match inside(x) && inside(y) {
                true => view[channel * area + y as usize * side + x as usize],
                false => EDGE[channel % 3],
            }
        };
        let row = |y: f32| value(y, left) * (1.0 - (x - left)) + value(y, left + 1.0) * (x - left);
        row(top) * (1.0 - (y - top)) + row(top + 1.0) * (y - top)
    });
    *view = moved.collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_keep_the_range_and_level_zero_keeps_the_picture() {
        let mut rng = Rng::new(3);
        let side = 9;
        let picture: Vec<f32> = (0..3 * side * side).map(|_| rng.uniform()).collect();
        for which in [3, 7, 8, 9, 10, 11, 12, 13, 14] {
            let mut view = picture.clone();
            apply(&mut view, side, which, 0.0, 1.0);
            let off = view.iter().zip(&picture).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0.0, f32::max) < 1e-5, "change {which}");
        }
        for which in 0..15 {
            let mut view = picture.clone();
            apply(&mut view, side, which, 0.9, -1.0);
            assert_ne!(view, picture, "change {which}");
        }
        let mut view = picture;
        change(&mut view, side, 9.0, &mut rng);
        assert!(view.iter().all(|value| (0.0..=1.0).contains(value)));
    }
}
