//! Metrics and ink of the fonts, from the embedded table that `assets/make_fonts.py` makes.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Width, height, depth, italic correction and skew of a character in points, its larger forms, and where its ink is.
#[derive(Clone, Debug)]
pub(super) struct Glyph {
    pub width: f64,
    pub height: f64,
    pub depth: f64,
    pub italic: f64,
    /// Kern with the skew character: how far an accent leans to the right.
    pub skew: f64,
    /// The next larger character; 0 for none.
    pub next: u16,
    /// Top, middle, bottom and repeated piece of one that can grow; 0 for none.
    pub pieces: [u16; 4],
    /// Left, top, right and bottom of the outline relative to the origin, in pixels.
    pub outline: [f64; 4],
    /// For 4 x 4 quarter-pixel places of the origin (x within y): left, top, right, bottom of the wholly inked pixels.
    pub ink: [[i8; 4]; 16],
}

/// A font at one size.
#[derive(Debug, Default)]
pub(super) struct Font {
    /// TeX's font parameters from the second on, in points.
    params: Vec<f64>,
    glyphs: HashMap<u16, Glyph>,
}

impl Font {
    /// Font parameter `number` as TeX counts them, from 2 on; 0 where there is none.
    pub(super) fn param(&self, number: usize) -> f64 {
        number
            .checked_sub(2)
            .and_then(|at| self.params.get(at))
            .copied()
            .unwrap_or(0.0)
    }

    pub(super) fn glyph(&self, code: u16) -> Option<&Glyph> {
        self.glyphs.get(&code)
    }
}

static FONTS: LazyLock<HashMap<String, Font>> =
    LazyLock::new(|| read(include_bytes!("../assets/fonts.bin")).unwrap_or_default());
static NONE: LazyLock<Font> = LazyLock::new(Font::default);

/// The font of a family, such as `cmmi`, at 12, 8 or 6 points; one without characters where there is none.
pub(super) fn font(family: &str, points: u8) -> &'static Font {
    FONTS.get(&format!("{family}{points}")).unwrap_or(&NONE)
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_le_bytes)
    }

    /// A length in units of 1/512 pt.
    fn length(&mut self) -> Option<f64> {
        self.bytes()
            .map(|bytes| f64::from(i16::from_le_bytes(bytes)) / 512.0)
    }

    /// A length in 1/64 pixel.
    fn sixty_fourths(&mut self) -> Option<f64> {
        self.bytes()
            .map(|bytes| f64::from(i16::from_le_bytes(bytes)) / 64.0)
    }
}

fn read(table: &[u8]) -> Option<HashMap<String, Font>> {
    let mut reader = Reader(table);
    let mut fonts = HashMap::new();
    for _ in 0..reader.byte()? {
        let length = reader.byte()?;
        let name: Option<Vec<u8>> = (0..length).map(|_| reader.byte()).collect();
        let name = String::from_utf8(name?).ok()?;
        let count = reader.byte()?;
        let params: Option<Vec<f64>> = (0..count).map(|_| reader.length()).collect();
        let mut font = Font {
            params: params?,
            glyphs: HashMap::new(),
        };
        for _ in 0..reader.number()? {
            let code = reader.number()?;
            let glyph = Glyph {
                width: reader.length()?,
                height: reader.length()?,
                depth: reader.length()?,
                italic: reader.length()?,
                skew: reader.length()?,
                next: reader.byte()?.into(),
                pieces: reader.bytes::<4>()?.map(u16::from),
                outline: [
                    reader.sixty_fourths()?,
                    reader.sixty_fourths()?,
                    reader.sixty_fourths()?,
                    reader.sixty_fourths()?,
                ],
                ink: {
                    let mut ink = [[0; 4]; 16];
                    for place in &mut ink {
                        *place = reader.bytes::<4>()?.map(|byte| byte as i8);
                    }
                    ink
                },
            };
            font.glyphs.insert(code, glyph);
        }
        fonts.insert(name, font);
    }
    reader.0.is_empty().then_some(fonts)
}

#[cfg(test)]
mod tests {
    use super::font;

    #[test]
    fn the_table_holds_computer_modern() {
        let x = font("cmmi", 12).glyph(b'x'.into()).expect("x");
        // Knuth's x is a little over half an em wide and 0.4306 em high.
        let [width, height] = [x.width / 12.0, x.height / 12.0];
        assert!(
            (0.5..0.6).contains(&width) && (height - 0.4306).abs() < 1e-2,
            "{width} {height}"
        );
        assert!(
            (font("cmsy", 12).param(22) / 12.0 - 0.25).abs() < 1e-3,
            "the axis"
        );
        assert!(
            font("cmex", 6).glyph(0x50).is_some() && font("lmr", 8).glyph(b'a'.into()).is_some()
        );
    }
}
