//! Pictures of the embedded world: figures that the base does not know, and styles that render any picture.

use base::media::Image;
use base::rng::Rng;

/// Height and width in pixels.
pub(super) const SIDE: u32 = 64;
/// What each style is called in prompts.
pub(super) const STYLES: [&str; 4] = ["duotone", "outline", "mosaic", "negative"];

/// Two colours in stripes within an outline, with two eyes: all that makes a figure itself.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    /// Radii at angles evenly around, the first and the last beside one another.
    radii: Vec<f32>,
    colours: [[f32; 3]; 2],
    wave: [f32; 2],
    eyes: [f32; 2],
}

impl Figure {
    /// A new figure.
    pub(super) fn new(rng: &mut Rng) -> Self {
        let corners = 3 + rng.below(5);
        let depth = 0.15 + 0.3 * rng.uniform();
        let turn = std::f32::consts::TAU * rng.uniform();
        let radius = |at: usize| {
            let angle = at as f32 / 64.0 * std::f32::consts::TAU;
            24.0 * (1.0 - depth * (0.5 + 0.5 * libm::cosf(corners as f32 * angle + turn)))
        };
        let colour = |rng: &mut Rng| [0; 3].map(|_| 2.0 * rng.uniform() - 1.0);
        let direction = std::f32::consts::TAU * rng.uniform();
        let pace = 0.35 + 0.5 * rng.uniform();
        Self {
            radii: (0..64).map(radius).collect(),
            colours: [colour(rng), colour(rng)],
            wave: [pace * libm::cosf(direction), pace * libm::sinf(direction)],
            eyes: [5.0 + 4.0 * rng.uniform(), 2.0 + 2.0 * rng.uniform()],
        }
    }

    /// A picture of it on white, somewhere near the middle, larger or smaller.
    pub(super) fn draw(&self, rng: &mut Rng) -> Image {
        let middle = SIDE as f32 / 2.0 - 0.5;
        let centre = [0, 1].map(|_| middle + 8.0 * (rng.uniform() - 0.5));
        let scale = 0.85 + 0.3 * rng.uniform();
        painted(|x, y| {
            let (u, v) = (
                (x as f32 - centre[0]) / scale,
                (y as f32 - centre[1]) / scale,
            );
            let covered = (self.radius(u, v) - (u * u + v * v).sqrt() + 0.5).clamp(0.0, 1.0);
            let rim = covered
                * (1.0 - (self.radius(u, v) - 2.0 - (u * u + v * v).sqrt() + 0.5).clamp(0.0, 1.0));
            let stripe = usize::from(libm::sinf(u * self.wave[0] + v * self.wave[1]) > 0.0);
            let eye = [-1.0, 1.0].map(|side| {
                let off = ((u - side * self.eyes[0]).powi(2) + (v + 4.0).powi(2)).sqrt();
                (self.eyes[1] - off + 0.5).clamp(0.0, 1.0)
            });
            let dark = rim.max(eye[0]).max(eye[1]);
            self.colours[stripe].map(|own| {
                let inside = own + (-0.9 - own) * dark;
                1.0 + (inside - 1.0) * covered
            })
        })
    }

    fn radius(&self, u: f32, v: f32) -> f32 {
        let turn = libm::atan2f(v, u) / std::f32::consts::TAU;
        let place = (turn + 1.0).fract() * self.radii.len() as f32;
        let at = |index: usize| self.radii[index % self.radii.len()];
        let (from, share) = (place as usize, place.fract());
        at(from) + (at(from + 1) - at(from)) * share
    }
}

/// `picture` in the style of this index in [`STYLES`].
pub(super) fn rendered(style: usize, picture: &Image) -> Image {
    let at = |x: i64, y: i64| {
        let clamp = |v: i64| v.clamp(0, i64::from(SIDE) - 1) as u32;
        picture
            .pixel(clamp(x), clamp(y))
            .map(|value| f32::from(value) / 127.5 - 1.0)
    };
    let light = |x: i64, y: i64| {
        let [red, green, blue] = at(x, y);
        0.3 * red + 0.59 * green + 0.11 * blue
    };
    painted(|x, y| {
        let (x, y) = (i64::from(x), i64::from(y));
        match style {
            // From a deep blue to a pale yellow by lightness.
            0 => {
                let share = 0.5 + 0.5 * light(x, y);
                let (dark, pale) = ([-0.8, -0.7, 0.1], [1.0, 0.9, 0.3]);
                [0, 1, 2].map(|c| dark[c] + (pale[c] - dark[c]) * share)
            }
            // Edges on paper.
            1 => {
                let (dx, dy) = (
                    light(x + 1, y) - light(x - 1, y),
                    light(x, y + 1) - light(x, y - 1),
                );
                [1.0 - 2.2 * (dx * dx + dy * dy).sqrt(); 3]
            }
            // Squares of eight pixels in their mean colour.
            2 => {
                let (left, top) = (x / 8 * 8, y / 8 * 8);
                let mut mean = [0.0; 3];
                for cell in 0..64 {
                    let colour = at(left + cell % 8, top + cell / 8);
                    mean.iter_mut()
                        .zip(colour)
                        .for_each(|(sum, value)| *sum += value / 64.0);
                }
                mean
            }
            _ => at(x, y).map(|value| -value),
        }
    })
}

/// A picture of values in `[-1, 1]`, clamped.
fn painted(value: impl Fn(u32, u32) -> [f32; 3]) -> Image {
    let mut picture = Image::filled(SIDE, SIDE, [255; 3]);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let byte = |value: f32| ((value.clamp(-1.0, 1.0) + 1.0) * 127.5).round() as u8;
            picture.set(x, y, value(x, y).map(byte));
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_changes_a_figure_and_no_two_alike() {
        let mut rng = Rng::new(3);
        let plain = Figure::new(&mut rng).draw(&mut rng);
        let mut all = vec![plain.clone()];
        for style in 0..STYLES.len() {
            all.push(rendered(style, &plain));
        }
        for (i, a) in all.iter().enumerate() {
            for b in &all[..i] {
                let off = a
                    .pixels
                    .iter()
                    .zip(&b.pixels)
                    .map(|(a, b)| u64::from(a.abs_diff(*b)));
                assert!(off.sum::<u64>() > 20_000, "{i}");
            }
        }
    }
}
