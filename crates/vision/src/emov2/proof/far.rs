//! Pictures whose class is a relation between far corners: whether the things at top left and bottom right are the same.

use base::command::Failure;
use base::media::Image;
use base::rng::Rng;
use engine::data::pack::{EmojiPack, Style};

use crate::emov2::augment;

/// Side of a picture.
pub(super) const SIDE: usize = 64;
/// Side of a thing in a corner, and of what lies between.
const THING: u32 = 22;
const CLUTTER: u32 = 12;
/// Things that are compared. With five, no network here learns the relation in minutes; with two, all do at once.
const THINGS: usize = 3;
/// Pieces of clutter.
const PIECES: usize = 5;
/// Largest move of a thing from its corner.
const SHIFT: usize = 4;

/// The things and the clutter.
#[derive(Debug)]
pub(super) struct FarWorld {
    things: Vec<Image>,
    clutter: Vec<Image>,
}

impl FarWorld {
    /// From the emoji pack inside the program.
    pub(super) fn new() -> Result<Self, Failure> {
        let pack = EmojiPack::embedded().map_err(Failure::failed)?;
        let picture = |cell: usize, side: u32| -> Result<Image, Failure> {
            let picture = pack.image(cell, Style::Noto).map_err(Failure::failed)?;
            Ok(picture.resize(side, side))
        };
        let step = pack.subjects.len() / (THINGS + 1);
        let things = (1..=THINGS).map(|at| picture(at * step, THING));
        let clutter = (0..40).map(|at| picture(at * pack.subjects.len() / 40, CLUTTER));
        Ok(Self {
            things: things.collect::<Result<_, _>>()?,
            clutter: clutter.collect::<Result<_, _>>()?,
        })
    }

    /// A picture and whether its two things are the same, each as often as not.
    pub(super) fn draw(&self, rng: &mut Rng) -> (Image, bool) {
        let side = SIDE as u32;
        let colour = [0; 3].map(|_| 120 + rng.below(120) as u8);
        let mut picture = Image::filled(side, side, colour);
        for _ in 0..PIECES {
            let piece = &self.clutter[rng.below(self.clutter.len())];
            let [x, y] = [0; 2].map(|_| rng.below(SIDE - CLUTTER as usize) as u32);
            picture.paste(piece, x, y);
        }
        let first = rng.below(self.things.len());
        let same = rng.chance(0.5);
        let second = match same {
            true => first,
            false => (first + 1 + rng.below(self.things.len() - 1)) % self.things.len(),
        };
        let mut shift = || rng.below(SHIFT + 1) as u32;
        let (x, y) = (shift(), shift());
        picture.paste(&self.things[first], x, y);
        let far = side - THING;
        let (x, y) = (far - shift(), far - shift());
        picture.paste(&self.things[second], x, y);
        (picture, same)
    }

    /// `count` pictures as `[count, 3, side, side]`, normalised, and their classes.
    pub(super) fn batch(&self, count: usize, rng: &mut Rng) -> (Vec<f32>, Vec<i64>) {
        let mut pixels = Vec::with_capacity(count * 3 * SIDE * SIDE);
        let mut classes = Vec::with_capacity(count);
        for _ in 0..count {
            let (picture, same) = self.draw(rng);
            let mut view: Vec<f32> = picture.to_unit().iter().map(|v| (v + 1.0) / 2.0).collect();
            augment::normalise(&mut view);
            pixels.extend(view);
            classes.push(i64::from(same));
        }
        (pixels, classes)
    }
}
