//! The toy world: sprites of 16 × 16 pixels with a subject, a palette, a stroke and a light, and a judge that knows all of them.

use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};

/// Rows and columns.
pub(super) const SIDE: usize = 16;
/// Values of a sprite: three channels.
pub(super) const VALUES: usize = 3 * SIDE * SIDE;
/// Subjects; the second half are flat icons.
pub(super) const SUBJECTS: usize = 8;
/// Values of each attribute: colour, stroke, lighting.
pub(super) const CHOICES: [usize; 3] = [6, 4, 4];

/// Names of subjects.
pub(super) const NAMES: [&str; SUBJECTS] = [
    "ball", "box", "cone", "tube", "cross", "arrow", "ring", "star",
];

/// Foreground and background of each palette.
const PALETTES: [[[f32; 3]; 2]; CHOICES[0]] = [
    [[0.9, 0.1, -0.6], [-0.9, -0.8, -0.3]],
    [[-0.5, 0.7, -0.5], [0.8, 0.75, 0.5]],
    [[0.0, 0.2, 0.95], [0.6, 0.1, -0.8]],
    [[0.9, 0.9, 0.3], [0.3, -0.7, 0.4]],
    [[0.8, -0.4, 0.7], [-0.6, 0.4, 0.5]],
    [[0.1, 0.1, 0.1], [0.9, 0.9, 0.95]],
];

/// Values from -1 to 1, `[3, side, side]`.
pub(super) type Sprite = Vec<f32>;

/// What a sprite shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Factors {
    /// Below [`SUBJECTS`].
    pub(super) subject: usize,
    /// Colour, stroke and lighting, each below its [`CHOICES`].
    pub(super) attributes: [usize; 3],
}

impl Factors {
    /// Anything.
    pub(super) fn random(rng: &mut Rng) -> Self {
        Self {
            subject: rng.below(SUBJECTS),
            attributes: CHOICES.map(|choices| rng.below(choices)),
        }
    }

    /// Anything with one attribute given, on one of `subjects`.
    pub(super) fn sharing(
        attribute: usize,
        value: usize,
        subjects: &[usize],
        rng: &mut Rng,
    ) -> Self {
        let mut any = Self::random(rng);
        any.attributes[attribute] = value;
        any.subject = subjects
            .get(rng.below(subjects.len()))
            .copied()
            .unwrap_or(any.subject);
        any
    }

    fn numbered(number: usize) -> Self {
        let light = number % CHOICES[2];
        let rest = number / CHOICES[2];
        let stroke = rest % CHOICES[1];
        let rest = rest / CHOICES[1];
        Self {
            subject: rest / CHOICES[0],
            attributes: [rest % CHOICES[0], stroke, light],
        }
    }

    /// From where the light seems to come, as a vector. On icons it is turned by a quarter: the same word looks different there.
    pub(super) fn light(self) -> [f32; 2] {
        let turned = usize::from(is_icon(self.subject));
        match (self.attributes[2] + turned) % 4 {
            0 => [-1.0, 0.0],
            1 => [0.0, -1.0],
            2 => [1.0, 0.0],
            _ => [0.0, 1.0],
        }
    }

    /// Distance from the outline in pixels, below zero inside.
    fn distance(self, x: f32, y: f32) -> f32 {
        let (a, b) = (x.abs(), y.abs());
        match self.subject {
            0 => (x * x + y * y).sqrt() - 5.8,
            1 => a.max(b) - 5.0,
            2 => (0.55 * y + 0.95 * a - 3.4).max(y - 5.2) * 0.9,
            3 => (a - 2.9).max(b - 6.0),
            4 => a.min(b).max(a.max(b) - 6.2) - 1.6 + (a.max(b) - 6.2).max(0.0),
            5 => ((a + y * 0.9 - 1.2).max(-y - 6.0) * 0.8)
                .min((a - 1.6).max((y - 6.0).max(-y - 1.0))),
            6 => ((x * x + y * y).sqrt() - 4.4).abs() - 1.7,
            _ => (a + b - 5.6).min((a * 0.5 + b * 2.2).min(a * 2.2 + b * 0.5) - 6.0) * 0.8,
        }
    }

    /// The sprite.
    pub(super) fn draw(self) -> Sprite {
        let middle = (SIDE as f32 - 1.0) / 2.0;
        let [front, back] = PALETTES[self.attributes[0]];
        let light = self.light();
        let mut out = vec![0.0; VALUES];
        for row in 0..SIDE {
            for column in 0..SIDE {
                let (x, y) = (column as f32 - middle, row as f32 - middle);
                let distance = self.distance(x, y);
                let cover = (0.5 - distance).clamp(0.0, 1.0);
                let (i, j) = (column as f32, row as f32);
                let ink = match self.attributes[1] {
                    0 => 1.0,
                    1 => f32::from(u8::from((i + j).rem_euclid(3.0) < 1.5)),
                    2 => f32::from(u8::from(i.rem_euclid(2.0) < 0.5 && j.rem_euclid(2.0) < 0.5)),
                    _ => f32::from(u8::from(distance > -1.6)),
                };
                let ink = cover * (0.15 + 0.85 * ink);
                let shade = (light[0] * x + light[1] * y) / 6.0;
                let gain = 0.75 * shade.clamp(-1.0, 1.0);
                for channel in 0..3 {
                    let lit = (front[channel] + gain).clamp(-1.0, 1.0);
                    let value = back[channel] + ink * (lit - back[channel]);
                    out[(channel * SIDE + row) * SIDE + column] = value;
                }
            }
        }
        out
    }
}

/// Whether a subject is a flat icon.
pub(super) fn is_icon(subject: usize) -> bool {
    2 * subject >= SUBJECTS
}

/// Names the factors of a sprite: those of the nearest one of all that can be drawn.
pub(super) struct Judge {
    /// `[values, sprites]`.
    sprites: Tensor<2>,
    /// Half the squared norms, `[1, sprites]`.
    norms: Tensor<2>,
}

impl Judge {
    pub(super) fn new(device: &Device) -> Self {
        let all: usize = SUBJECTS * CHOICES.iter().product::<usize>();
        let mut values = Vec::with_capacity(all * VALUES);
        for number in 0..all {
            values.extend(Factors::numbered(number).draw());
        }
        let rows = Tensor::<2>::from_data(TensorData::new(values, [all, VALUES]), device);
        let norms = rows.clone().square().sum_dim(1) * 0.5;
        Self {
            sprites: rows.transpose(),
            norms: norms.transpose(),
        }
    }

    /// Factors of each sprite.
    pub(super) fn names(&self, sprites: &[Sprite], device: &Device) -> Vec<Factors> {
        let mut found = Vec::with_capacity(sprites.len());
        for part in sprites.chunks(64) {
            let data = TensorData::new(part.concat(), [part.len(), VALUES]);
            let x = Tensor::<2>::from_data(data, device);
            let score = x.matmul(self.sprites.clone()) - self.norms.clone();
            let best = score.argmax(1).into_data();
            found.extend(best.iter::<i64>().map(|at| Factors::numbered(at as usize)));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_judge_names_noisy_sprites() {
        let device = Device::flex();
        let judge = Judge::new(&device);
        let mut rng = Rng::new(4);
        let factors: Vec<Factors> = (0..400).map(|_| Factors::random(&mut rng)).collect();
        let sprites: Vec<Sprite> = factors
            .iter()
            .map(|it| {
                let clean = it.draw();
                clean
                    .iter()
                    .map(|value| value + 0.15 * rng.normal())
                    .collect()
            })
            .collect();
        let names = judge.names(&sprites, &device);
        let right = names.iter().zip(&factors).filter(|(a, b)| a == b).count();
        assert!(right >= 392, "{right} of 400");
    }
}
