//! Names palettes, strokes and lights of pictures: by what is measured in them, not by a network.

use base::media::Image;

use crate::fiva::render::{Covered, Look, RENDERED};

/// What is measured for each group of [`RENDERED`].
type Readings = [Vec<f32>; 3];

/// The nearest mean of readings, scaled by their spread inside one entry.
pub(super) struct Reader {
    /// Group by group, the mean readings of each entry.
    means: [Vec<Vec<f32>>; 3],
    /// Group by group, how far readings lie from their entry's mean.
    spreads: [Vec<f32>; 3],
}

impl Reader {
    /// From pictures whose looks are known.
    pub(super) fn new(known: &[(Image, Look)]) -> Self {
        let all: Vec<(Readings, Look)> = known
            .iter()
            .map(|(picture, look)| (readings(picture), *look))
            .collect();
        let means: [Vec<Vec<f32>>; 3] = std::array::from_fn(|group| {
            let entries = 0..RENDERED[group].1.len();
            let mean = |entry: usize| {
                let of = all.iter().filter(|(_, look)| look[group] == Some(entry));
                average(of.map(|(found, _)| found[group].clone()))
            };
            entries.map(mean).collect()
        });
        let spreads = std::array::from_fn(|group| {
            let off = all.iter().filter_map(|(found, look)| {
                let mean = &means[group][look[group]?];
                let pairs = found[group].iter().zip(mean);
                Some(pairs.map(|(a, b)| (a - b) * (a - b)).collect())
            });
            let squares = average(off).into_iter();
            squares.map(|it| it.sqrt().max(1e-6)).collect()
        });
        Self { means, spreads }
    }

    /// The entry of each group that a picture is nearest to.
    pub(super) fn look(&self, picture: &Image) -> [usize; 3] {
        let found = readings(picture);
        std::array::from_fn(|group| {
            let distance = |mean: &Vec<f32>| -> f32 {
                let off = mean.iter().zip(&found[group]).zip(&self.spreads[group]);
                off.map(|((a, b), spread)| ((a - b) / spread) * ((a - b) / spread))
                    .sum()
            };
            let means = self.means[group].iter().map(distance).enumerate();
            means
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .map_or(0, |it| it.0)
        })
    }
}

fn average(rows: impl Iterator<Item = Vec<f32>>) -> Vec<f32> {
    let mut sum: Vec<f32> = Vec::new();
    let mut count = 0.0;
    for row in rows {
        sum.resize(row.len(), 0.0);
        sum.iter_mut().zip(row).for_each(|(sum, it)| *sum += it);
        count += 1.0;
    }
    sum.into_iter()
        .map(|it| it / f32::max(count, 1.0))
        .collect()
}

/// Hue; edge against middle, contrast of neighbours, and stripes; slopes of brightness to the right and down.
fn readings(picture: &Image) -> Readings {
    let covered = Covered::of(picture);
    let [width, _] = covered.side;
    let step = covered.stroke();
    let bright = |at: usize| {
        let pixel = picture.pixels.get(3 * at..3 * at + 3);
        pixel.map_or(1.0, |it| {
            let [r, g, b] = [it[0], it[1], it[2]].map(f32::from);
            (0.299 * r + 0.587 * g + 0.114 * b) / 255.0
        })
    };
    let inside: Vec<usize> = (0..covered.inside.len())
        .filter(|at| covered.inside[*at])
        .collect();
    let count = inside.len().max(1) as f32;
    let mean = inside.iter().map(|at| bright(*at)).sum::<f32>() / count;
    let mut hue = [0.0; 2];
    let mut slope = [[0.0; 2]; 2];
    let mut waves = [0.0; 2];
    let mut steps = [0.0, 0.0];
    for &at in &inside {
        let pixel = &picture.pixels[3 * at..3 * at + 3];
        let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(|it| f32::from(it) / 255.0);
        hue[0] += (r - (g + b) / 2.0) / count;
        hue[1] += 0.866 * (g - b) / count;
        let off = bright(at) - mean;
        for (axis, place) in covered.place(at).into_iter().enumerate() {
            slope[axis][0] += off * place;
            slope[axis][1] += place * place;
        }
        let turn = std::f32::consts::TAU * ((at % width + at / width) as f32) / (4 * step) as f32;
        waves[0] += off * libm::cosf(turn) / count;
        waves[1] += off * libm::sinf(turn) / count;
        if covered.inside.get(at + 1).copied().unwrap_or(false) {
            steps[0] += (bright(at + 1) - bright(at)).abs();
            steps[1] += 1.0;
        }
    }
    let edge = inside.iter().filter(|at| covered.is_edge(**at));
    let edge: Vec<f32> = edge.map(|at| bright(*at)).collect();
    let rim = edge.iter().sum::<f32>() / edge.len().max(1) as f32 - mean;
    let contrast = steps[0] / f32::max(steps[1], 1.0);
    let stripes = libm::sqrtf(waves[0] * waves[0] + waves[1] * waves[1]);
    [
        hue.to_vec(),
        vec![rim, contrast, stripes],
        slope.map(|[a, b]| a / b.max(1e-6)).to_vec(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fiva::render::render;

    /// Discs and boxes of several greys, with a bright spot each.
    fn things() -> Vec<Image> {
        let thing = |at: usize| {
            let mut picture = Image::filled(64, 64, [255; 3]);
            let grey = 90 + 12 * at as u8;
            for y in 0..64_u32 {
                for x in 0..64_u32 {
                    let [a, b] = [x.abs_diff(32), y.abs_diff(32)];
                    let round = a * a + b * b < 20 * 20;
                    let square = a.max(b) < 18;
                    let spot = x.abs_diff(26) + y.abs_diff(28) < 3 + at as u32;
                    if if at.is_multiple_of(2) { round } else { square } {
                        picture.set(x, y, if spot { [220; 3] } else { [grey; 3] });
                    }
                }
            }
            picture
        };
        (0..8).map(thing).collect()
    }

    #[test]
    fn renderings_are_read_as_what_they_are() {
        let things = things();
        let all = |things: &[Image]| -> Vec<(Image, Look)> {
            let looks = (0..48).map(|it| [Some(it % 4), Some(it / 4 % 3), Some(it / 12)]);
            let of = |look: Look| things.iter().map(move |it| (render(it, look), look));
            looks.flat_map(of).collect()
        };
        let reader = Reader::new(&all(&things[..4]));
        let tests = all(&things[4..]);
        for group in 0..3 {
            let right =
                |(picture, look): &&(Image, Look)| Some(reader.look(picture)[group]) == look[group];
            let right = tests.iter().filter(right).count();
            assert!(
                10 * right >= 9 * tests.len(),
                "{group}: {right} of {}",
                tests.len()
            );
        }
    }
}
