//! Boxes of ink and how they are put together. Lengths are points, `y` grows downwards from the baseline.

use super::fonts::{Font, Glyph};

/// What leaves ink.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Glyph(&'static Glyph),
    /// Width and height of a filled rectangle; its place is its upper left corner.
    Rule(f64, f64),
}

/// A shape at its place, in the colour of a token.
#[derive(Clone, Debug)]
pub(super) struct Ink {
    pub shape: Shape,
    pub colour: Option<usize>,
    pub x: f64,
    pub y: f64,
}

/// TeX's box: ink around a reference point.
#[derive(Clone, Debug, Default)]
pub(super) struct Bx {
    pub width: f64,
    pub height: f64,
    pub depth: f64,
    pub ink: Vec<Ink>,
}

impl Bx {
    pub(super) fn space(width: f64) -> Self {
        Self {
            width,
            ..Self::default()
        }
    }

    pub(super) fn glyph(font: &'static Font, code: u16, colour: Option<usize>) -> Option<Self> {
        let glyph = font.glyph(code)?;
        let ink = vec![Ink {
            shape: Shape::Glyph(glyph),
            colour,
            x: 0.0,
            y: 0.0,
        }];
        Some(Self {
            width: glyph.width,
            height: glyph.height,
            depth: glyph.depth,
            ink,
        })
    }

    /// A filled rectangle that reaches from `depth` below the baseline to `height` above it.
    pub(super) fn rule(width: f64, height: f64, depth: f64, colour: Option<usize>) -> Self {
        let ink = vec![Ink {
            shape: Shape::Rule(width, height + depth),
            colour,
            x: 0.0,
            y: -height,
        }];
        Self {
            width,
            height,
            depth,
            ink,
        }
    }

    /// Lays `other` over this one, its reference point at `x` to the right and `y` below; the width stays.
    pub(super) fn lay(&mut self, other: Self, x: f64, y: f64) {
        self.height = self.height.max(other.height - y);
        self.depth = self.depth.max(other.depth + y);
        self.ink.extend(other.ink.into_iter().map(|ink| Ink {
            x: ink.x + x,
            y: ink.y + y,
            ..ink
        }));
    }

    /// Puts `other` to the right, `y` below.
    pub(super) fn push(&mut self, other: Self, y: f64) {
        let (x, width) = (self.width, other.width);
        self.lay(other, x, y);
        self.width += width;
    }

    /// The same box, its content moved down by `y`.
    pub(super) fn moved(self, y: f64) -> Self {
        let mut out = Self::space(self.width);
        (out.height, out.depth) = (self.height - y, self.depth + y);
        let (height, depth) = (out.height, out.depth);
        out.lay(self, 0.0, y);
        (out.height, out.depth) = (height, depth);
        out
    }

    /// The same box in a wider one, in the middle.
    pub(super) fn centred(self, width: f64) -> Self {
        let mut out = Self::space(width);
        let x = (width - self.width) / 2.0;
        (out.height, out.depth) = (self.height, self.depth);
        out.lay(self, x, 0.0);
        out
    }

    /// The box with the middle of its height at `axis` above the baseline.
    pub(super) fn on_axis(self, axis: f64) -> Self {
        let y = (self.height - self.depth) / 2.0 - axis;
        self.moved(y)
    }

    pub(super) fn total(&self) -> f64 {
        self.height + self.depth
    }
}
