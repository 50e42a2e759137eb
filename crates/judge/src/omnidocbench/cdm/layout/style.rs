//! The four styles of maths and their sizes.

use super::fonts::{Font, font};

/// A style; each has a cramped form in which exponents are raised less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// 0 display, 1 text, 2 script, 3 scriptscript.
    pub level: u8,
    pub cramped: bool,
}

impl Style {
    pub(super) const DISPLAY: Self = Self {
        level: 0,
        cramped: false,
    };
    pub(super) const TEXT: Self = Self {
        level: 1,
        cramped: false,
    };

    pub(super) fn cramp(self) -> Self {
        Self {
            cramped: true,
            ..self
        }
    }

    pub(super) fn sup(self) -> Self {
        Self {
            level: if self.level < 2 { 2 } else { 3 },
            ..self
        }
    }

    pub(super) fn sub(self) -> Self {
        self.sup().cramp()
    }

    pub(super) fn numerator(self) -> Self {
        Self {
            level: (self.level + 1).min(3),
            ..self
        }
    }

    pub(super) fn denominator(self) -> Self {
        self.numerator().cramp()
    }

    pub(super) fn display(self) -> bool {
        self.level == 0
    }

    pub(super) fn small(self) -> bool {
        self.level >= 2
    }

    /// Size of the fonts in points.
    pub(super) fn points(self) -> u8 {
        [12, 12, 8, 6][usize::from(self.level.min(3))]
    }

    pub(super) fn font(self, family: &str) -> &'static Font {
        font(family, self.points())
    }

    /// Parameter of the symbol font (TeXbook, appendix G).
    pub(super) fn sigma(self, number: usize) -> f64 {
        self.font("cmsy").param(number)
    }

    /// Parameter of the extension font.
    pub(super) fn xi(self, number: usize) -> f64 {
        self.font("cmex").param(number)
    }

    pub(super) fn axis(self) -> f64 {
        self.sigma(22)
    }

    /// Thickness of rules.
    pub(super) fn rule(self) -> f64 {
        self.xi(8)
    }

    /// A math unit in points.
    pub(super) fn mu(self) -> f64 {
        self.sigma(6) / 18.0
    }
}
