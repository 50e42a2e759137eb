//! Attributes put on drawn things without a model: a palette, a stroke, a light. They make training data where no model follows such
//! words, such as the small one inside the program; what is rendered is known exactly.

use base::media::Image;
use base::rng::Rng;

/// Groups of the taxonomy and the entries that can be rendered.
pub const RENDERED: [(&str, &[&str]); 3] = [
    ("color", &["red", "green", "blue", "violet"]),
    ("stroke", &["dark outline", "soft edges", "stripes"]),
    (
        "lighting",
        &[
            "from the left",
            "from above",
            "from the right",
            "from below",
        ],
    ),
];

/// Darkest and lightest colour of each palette, 0 to 255.
const PALETTES: [[[f32; 3]; 2]; 4] = [
    [[105.0, 0.0, 10.0], [255.0, 170.0, 140.0]],
    [[20.0, 75.0, 0.0], [175.0, 240.0, 110.0]],
    [[0.0, 55.0, 110.0], [120.0, 220.0, 250.0]],
    [[65.0, 0.0, 120.0], [225.0, 160.0, 255.0]],
];
/// Unit vectors towards the light: right and down.
const TOWARDS: [[f32; 2]; 4] = [[-1.0, 0.0], [0.0, -1.0], [1.0, 0.0], [0.0, 1.0]];
/// How much a light adds or takes at the edge of a thing.
const CONTRAST: f32 = 0.75;
/// What counts as the white around a thing: all channels at least this.
const WHITE: u8 = 236;
/// The colour of strokes.
const INK: [f32; 3] = [25.0, 25.0, 35.0];
/// What light brings things near to: not the white around them.
const LIT: [f32; 3] = [228.0; 3];

/// The entry of each group of [`RENDERED`], where it has one.
pub type Look = [Option<usize>; 3];

/// One to three entries, drawn.
pub fn any_look(rng: &mut Rng) -> Look {
    let mut groups = [0, 1, 2];
    rng.shuffle(&mut groups);
    let mut look = [None; 3];
    for &group in &groups[..1 + rng.below(3)] {
        look[group] = Some(rng.below(RENDERED[group].1.len()));
    }
    look
}

/// Groups and entries of a look, as records have them.
pub fn attributes(look: Look) -> Vec<(String, String)> {
    let named = |(entry, (group, entries)): (Option<usize>, (&str, &[&str]))| {
        Some((group.to_owned(), (*entries.get(entry?)?).to_owned()))
    };
    look.into_iter().zip(RENDERED).filter_map(named).collect()
}

/// A picture of something on white with `look`. Sizes of strokes go with the picture's: those of 64 pixels are two pixels wide.
pub fn render(picture: &Image, look: Look) -> Image {
    let covered = Covered::of(picture);
    let [color, stroke, light] = look;
    let mut pixels: Vec<[f32; 3]> = picture
        .pixels
        .chunks_exact(3)
        .map(|it| [it[0], it[1], it[2]].map(f32::from))
        .collect();
    if let Some(palette) = color.and_then(|it| PALETTES.get(it)) {
        covered.each(&mut pixels, |_, pixel| {
            let [r, g, b] = *pixel;
            let bright = (0.299 * r + 0.587 * g + 0.114 * b) / 255.0;
            mix(palette[0], palette[1], bright)
        });
    }
    if let Some(towards) = light.and_then(|it| TOWARDS.get(it)) {
        covered.each(&mut pixels, |place, pixel| {
            let [x, y] = covered.place(place);
            let gain = CONTRAST * (towards[0] * x + towards[1] * y).clamp(-1.0, 1.0);
            let end = if gain > 0.0 { LIT } else { [0.0; 3] };
            mix(*pixel, end, gain.abs())
        });
    }
    let width = covered.stroke();
    match stroke {
        Some(0) => {
            let near = covered.near_edge(width);
            for (pixel, near) in pixels.iter_mut().zip(near) {
                *pixel = if near { INK } else { *pixel };
            }
        }
        Some(1) => pixels = blurred(&pixels, covered.side, 1.2 * width as f32),
        Some(_) => covered.each(&mut pixels, |place, pixel| {
            let (x, y) = (place % covered.side[0], place / covered.side[0]);
            let on = (x + y) % (4 * width) < 2 * width;
            if on { *pixel } else { mix(*pixel, INK, 0.6) }
        }),
        None => {}
    }
    let bytes = pixels
        .iter()
        .flat_map(|pixel| pixel.map(|v| v.clamp(0.0, 255.0).round() as u8));
    Image {
        pixels: bytes.collect(),
        ..picture.clone()
    }
}

fn mix(a: [f32; 3], b: [f32; 3], share: f32) -> [f32; 3] {
    std::array::from_fn(|at| a[at] + share * (b[at] - a[at]))
}

/// What of a picture is a thing, and not the white around it.
pub(super) struct Covered {
    pub(super) side: [usize; 2],
    /// For each pixel, row by row.
    pub(super) inside: Vec<bool>,
    /// Middle and half of the extent, right and down.
    middle: [f32; 2],
    half: [f32; 2],
}

impl Covered {
    /// White that is joined to the edge of the picture lies around the thing.
    pub(super) fn of(picture: &Image) -> Self {
        let side = [picture.width as usize, picture.height as usize];
        let white = |at: usize| {
            let pixel = picture.pixels.get(3 * at..3 * at + 3);
            pixel.is_some_and(|it| it.iter().all(|v| *v >= WHITE))
        };
        let mut inside = vec![true; side[0] * side[1]];
        let on_edge = |at: &usize| {
            let (x, y) = (at % side[0], at / side[0]);
            x == 0 || y == 0 || x + 1 == side[0] || y + 1 == side[1]
        };
        let mut open: Vec<usize> = (0..inside.len()).filter(on_edge).collect();
        while let Some(at) = open.pop() {
            if inside[at] && white(at) {
                inside[at] = false;
                open.extend(neighbours(at, side));
            }
        }
        let ends = |axis: usize| {
            let places = inside.iter().enumerate().filter(|(_, it)| **it);
            let places = places.map(|(at, _)| [at % side[0], at / side[0]][axis]);
            let [low, high] = places.fold([usize::MAX, 0], |[low, high], it| {
                [low.min(it), high.max(it)]
            });
            [low.min(high) as f32, high as f32]
        };
        let ends = [ends(0), ends(1)];
        Self {
            side,
            middle: ends.map(|[low, high]| (low + high) / 2.0),
            half: ends.map(|[low, high]| ((high - low) / 2.0).max(1.0)),
            inside,
        }
    }

    /// Pixels of a stroke.
    pub(super) fn stroke(&self) -> usize {
        (self.side[0].min(self.side[1]) / 32).max(1)
    }

    /// Changes every pixel of the thing.
    fn each(&self, pixels: &mut [[f32; 3]], of: impl Fn(usize, &[f32; 3]) -> [f32; 3]) {
        for (at, pixel) in pixels.iter_mut().enumerate() {
            if self.inside[at] {
                *pixel = of(at, pixel);
            }
        }
    }

    /// Where a pixel lies in the thing, -1 to 1 from edge to edge.
    pub(super) fn place(&self, at: usize) -> [f32; 2] {
        let place = [at % self.side[0], at / self.side[0]];
        std::array::from_fn(|axis| (place[axis] as f32 - self.middle[axis]) / self.half[axis])
    }

    /// Whether a pixel of the thing lies beside what is around it.
    pub(super) fn is_edge(&self, at: usize) -> bool {
        neighbours(at, self.side).any(|near| !self.inside[near])
    }

    /// Pixels around the thing that are at most so many steps from it.
    fn near_edge(&self, steps: usize) -> Vec<bool> {
        let mut reached = self.inside.clone();
        for _ in 0..steps {
            let before = reached.clone();
            for (at, pixel) in reached.iter_mut().enumerate() {
                *pixel |= neighbours(at, self.side).any(|near| before[near]);
            }
        }
        let inside = self.inside.iter();
        reached
            .iter()
            .zip(inside)
            .map(|(it, own)| *it && !own)
            .collect()
    }
}

/// The pixels beside one, in the picture.
fn neighbours(at: usize, [width, height]: [usize; 2]) -> impl Iterator<Item = usize> {
    let (x, y) = (at % width, at / width);
    let near = [
        (x > 0).then(|| at - 1),
        (x + 1 < width).then_some(at + 1),
        (y > 0).then(|| at - width),
        (y + 1 < height).then_some(at + width),
    ];
    near.into_iter().flatten()
}

/// A Gaussian blur; what lies outside is white.
fn blurred(pixels: &[[f32; 3]], side: [usize; 2], deviation: f32) -> Vec<[f32; 3]> {
    let reach = (3.0 * deviation).ceil() as isize;
    let weight = |it: isize| libm::expf(-0.5 * (it as f32 / deviation) * (it as f32 / deviation));
    let total: f32 = (-reach..=reach).map(weight).sum();
    let along = |pixels: &[[f32; 3]], axis: usize| -> Vec<[f32; 3]> {
        let at = |place: usize| {
            let mut sum = [0.0; 3];
            for by in -reach..=reach {
                let mut from = [(place % side[0]) as isize, (place / side[0]) as isize];
                from[axis] += by;
                let [x, y] = from;
                let inside = x >= 0 && y >= 0 && x < side[0] as isize && y < side[1] as isize;
                let pixel = match inside {
                    true => pixels[y as usize * side[0] + x as usize],
                    false => [255.0; 3],
                };
                sum = std::array::from_fn(|it| sum[it] + weight(by) / total * pixel[it]);
            }
            sum
        };
        (0..pixels.len()).map(at).collect()
    };
    along(&along(pixels, 0), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grey square of 24 pixels in the middle of 64.
    fn square() -> Image {
        let mut picture = Image::filled(64, 64, [255; 3]);
        picture.paste(&Image::filled(24, 24, [120; 3]), 20, 20);
        picture
    }

    #[test]
    fn what_was_not_asked_for_stays() {
        assert_eq!(render(&square(), [None; 3]), square());
        let red = render(&square(), [Some(0), None, None]);
        let [r, g, b] = red.pixel(30, 30);
        assert!(r > g && g < 160 && r > b);
        assert_eq!(red.pixel(5, 5), [255; 3]);
        assert_eq!(red.pixel(21, 21), red.pixel(42, 42));
    }

    #[test]
    fn lights_rise_towards_where_they_come_from_and_outlines_lie_around() {
        for (light, [near, far]) in [
            [[21, 30], [42, 30]],
            [[30, 21], [30, 42]],
            [[42, 30], [21, 30]],
            [[30, 42], [30, 21]],
        ]
        .into_iter()
        .enumerate()
        {
            let lit = render(&square(), [None, None, Some(light)]);
            assert!(lit.pixel(near[0], near[1])[0] > 180 && lit.pixel(far[0], far[1])[0] < 60);
        }
        let lined = render(&square(), [None, Some(0), None]);
        assert_eq!(lined.pixel(30, 30), [120; 3]);
        assert_eq!(lined.pixel(30, 18), [25, 25, 35]);
        assert_eq!(lined.pixel(30, 16), [255; 3]);
        let soft = render(&square(), [None, Some(1), None]);
        assert!((130..240).contains(&soft.pixel(30, 20)[0]));
    }

    #[test]
    fn looks_have_one_to_three_entries() {
        let mut rng = Rng::new(1);
        for _ in 0..50 {
            let found = attributes(any_look(&mut rng));
            assert!((1..=3).contains(&found.len()));
        }
        let named = attributes([Some(3), None, Some(1)]);
        assert_eq!(named[0], ("color".into(), "violet".into()));
        assert_eq!(named[1], ("lighting".into(), "from above".into()));
    }
}
