//! The toy world: grey sprites of 12 × 12, subjects with a texture of their own, styles that render any sprite.

use base::rng::Rng;

/// Rows and columns.
pub(super) const SIDE: usize = 12;
/// Values of a sprite.
pub(super) const VALUES: usize = SIDE * SIDE;
/// Styles that there are.
pub(super) const STYLES: usize = 9;

/// Values in `[-1, 1]`, row by row.
pub(super) type Sprite = Vec<f32>;

/// Outline of a shape.
#[derive(Clone, Copy, Debug)]
struct Shape {
    kind: usize,
    centre: [f32; 2],
    radius: f32,
    angle: f32,
}

impl Shape {
    fn random(rng: &mut Rng) -> Self {
        let mut between = |low: f32, high: f32| low + (high - low) * rng.uniform();
        Self {
            centre: [between(4.0, 7.0), between(4.0, 7.0)],
            radius: between(2.5, 4.5),
            angle: between(0.0, std::f32::consts::TAU),
            kind: rng.below(6),
        }
    }

    /// From 0 outside to 1 inside.
    fn covers(&self, x: f32, y: f32) -> f32 {
        let [dx, dy] = [x - self.centre[0], y - self.centre[1]];
        let (sin, cos) = (libm::sinf(self.angle), libm::cosf(self.angle));
        let (u, v) = (cos * dx + sin * dy, cos * dy - sin * dx);
        let round = (dx * dx + dy * dy).sqrt();
        let distance = match self.kind {
            0 => round,
            1 => u.abs().max(v.abs()) * 1.2,
            2 => (u.abs() + v.abs()) * 0.9,
            3 => (round - 0.7 * self.radius).abs() + 0.7 * self.radius,
            4 => u.abs().min(v.abs()) * 2.5 + 0.3 * round,
            _ => (v * 1.4).max(u.abs() * 1.2 - v * 0.7),
        };
        (self.radius - distance + 0.5).clamp(0.0, 1.0)
    }
}

fn drawn(value: impl Fn(f32, f32) -> f32) -> Sprite {
    (0..VALUES)
        .map(|at| value((at % SIDE) as f32, (at / SIDE) as f32))
        .collect()
}

/// A random shape in the plain look: light on dark.
pub(super) fn plain(rng: &mut Rng) -> Sprite {
    let shape = Shape::random(rng);
    let light = 0.4 + 0.5 * rng.uniform();
    drawn(|x, y| -0.8 + (light + 0.8) * shape.covers(x, y))
}

/// One subject: a shape with two tones in a pattern, which never changes; only its place moves by up to a pixel.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    shape: Shape,
    tones: [f32; 2],
    wave: [f32; 2],
}

impl Subject {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let turn = std::f32::consts::TAU * rng.uniform();
        let pace = 1.0 + 1.2 * rng.uniform();
        Self {
            shape: Shape {
                radius: 3.5 + 1.2 * rng.uniform(),
                ..Shape::random(rng)
            },
            tones: [0.3 + 0.7 * rng.uniform(), -0.5 + 0.5 * rng.uniform()],
            wave: [pace * libm::cosf(turn), pace * libm::sinf(turn)],
        }
    }

    /// A picture of it.
    pub(super) fn draw(&self, rng: &mut Rng) -> Sprite {
        let shift = [0, 1].map(|_| 2.0 * rng.uniform() - 1.0);
        let mut shape = self.shape;
        shape.centre = [5.5 + shift[0], 5.5 + shift[1]];
        drawn(|x, y| {
            let phase = (x - shift[0]) * self.wave[0] + (y - shift[1]) * self.wave[1];
            let tone = self.tones[usize::from(libm::sinf(phase) > 0.0)];
            -0.8 + (tone + 0.8) * shape.covers(x, y)
        })
    }
}

/// `sprite` in style `style`.
pub(super) fn rendered(style: usize, sprite: &[f32]) -> Sprite {
    let at = |x: isize, y: isize| {
        let clamp = |v: isize| v.clamp(0, SIDE as isize - 1) as usize;
        sprite[clamp(y) * SIDE + clamp(x)]
    };
    let near = |x: isize, y: isize, reach: isize| {
        let span = || -reach..=reach;
        let sum: f32 = span()
            .flat_map(|dy| span().map(move |dx| (dx, dy)))
            .map(|(dx, dy)| at(x + dx, y + dy))
            .sum();
        sum / ((2 * reach + 1) * (2 * reach + 1)) as f32
    };
    drawn(|x, y| {
        let (x, y) = (x as isize, y as isize);
        let value = at(x, y);
        match style {
            0 => -value,
            1 => near(x, y, 1),
            2 => {
                let (dx, dy) = (at(x + 1, y) - at(x - 1, y), at(x, y + 1) - at(x, y - 1));
                (dx * dx + dy * dy).sqrt() - 0.7
            }
            3 => near(x / 3 * 3 + 1, y / 3 * 3 + 1, 1),
            4 => value * if (x + y) % 4 < 2 { 1.0 } else { 0.2 },
            5 => 0.4 * value + 0.45,
            6 => 0.6 * value + 0.9 * (y as f32 / (SIDE - 1) as f32 - 0.5),
            7 => 0.6 * (value - at(x - 1, y - 1)),
            _ => {
                if (x + y) % 2 == 0 {
                    value
                } else {
                    -0.8
                }
            }
        }
        .clamp(-1.0, 1.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_changes_a_sprite_and_no_two_alike() {
        let mut rng = Rng::new(3);
        let sprite = Subject::new(&mut rng).draw(&mut rng);
        let all: Vec<Sprite> = (0..STYLES)
            .map(|style| rendered(style, &sprite))
            .chain([sprite.clone()])
            .collect();
        for (i, a) in all.iter().enumerate() {
            assert!(a.len() == VALUES && a.iter().all(|value| value.abs() <= 1.0));
            for b in &all[..i] {
                let off: f32 = a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum();
                assert!(off > 5.0, "{i}: {off}");
            }
        }
    }
}
