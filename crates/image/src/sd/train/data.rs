//! The pack `emoji-styles-64` and its train/dev/test split.

use std::path::{Path, PathBuf};

use base::media::{Image, MediaError};
use base::rng::Rng;
use engine::data::pack::{EmojiPack, PackError, SHEET_COLUMNS, Style, Subject};
use engine::models::stable_diffusion::Drawn;

/// Height and width of a picture in pixels.
pub const SIDE: usize = 64;
/// Red, green and blue on white, and how much is covered.
pub const CHANNELS: usize = 4;
/// Seed that chooses the held-out pairs; part of the data's definition.
const HELD_OUT_SEED: u64 = 20_261_129;
/// Tenths of the subjects of which one style is held out for the test: a tenth of the pairs at three styles.
const TEST_TENTHS: usize = 3;
/// Tenths, other subjects', of which one style is held out to choose settings by.
const DEVELOPMENT_TENTHS: usize = 1;
/// Values of a plane.
const PLANE: usize = SIDE * SIDE;

/// Why the data cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The pack inside the program, which names the subjects.
    #[error(transparent)]
    Names(#[from] PackError),
    /// A sheet is not there or damaged.
    #[error("cannot read `{path}`: {cause}; make the pack by `assets/emoji-styles-64/make.py`")]
    Sheet {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
}

/// What a pair is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Trained on.
    Train,
    /// Never trained on; settings are chosen by it.
    Development,
    /// Never trained on, and nothing is chosen by it.
    Test,
}

/// A subject in a style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Index into [`Grid::subjects`].
    pub subject: usize,
    /// Index into [`Style::ALL`].
    pub style: usize,
}

/// How a picture is moved before it is seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moved {
    /// Pixels down and to the right; clear where nothing comes from.
    pub by: [isize; 2],
    /// Left and right change places.
    pub mirrored: bool,
}

/// All plain subjects of the pack in three styles.
pub struct Grid {
    /// The subjects.
    pub subjects: Vec<Subject>,
    /// RGBA bytes of each pair, subject by subject: red, green and blue lie on white.
    pixels: Vec<Vec<u8>>,
}

impl Grid {
    /// Reads `noto.png`, `twemoji.png` and `fluent3d.png` in `folder`.
    ///
    /// # Errors
    /// [`DataError`].
    pub fn read(folder: &Path) -> Result<Self, DataError> {
        let pack = EmojiPack::embedded()?;
        let cells = pack.subjects.len();
        let plain = pack.subjects.iter().filter(|it| it.skin.is_none());
        let subjects: Vec<Subject> = plain.cloned().collect();
        let mut sheets = Vec::new();
        for style in Style::ALL {
            let path = folder.join(format!("{style}.png"));
            let bad = |cause: String| DataError::Sheet {
                path: path.clone(),
                cause,
            };
            let sheet = image::open(&path).map_err(|error| bad(error.to_string()))?;
            let columns = SHEET_COLUMNS as usize;
            let wanted = [columns, cells.div_ceil(columns)].map(|n| (n * SIDE) as u32);
            if [sheet.width(), sheet.height()] != wanted {
                return Err(bad(format!(
                    "it has {}x{} pixels, not {}x{}",
                    sheet.width(),
                    sheet.height(),
                    wanted[0],
                    wanted[1]
                )));
            }
            sheets.push(sheet.into_rgba8());
        }
        let pixels = subjects
            .iter()
            .flat_map(|subject| sheets.iter().map(|sheet| cell(sheet, subject.cell)))
            .collect();
        Ok(Self { subjects, pixels })
    }

    /// All pairs, subject by subject.
    pub fn pairs(&self) -> impl Iterator<Item = Pair> {
        let styles = Style::ALL.len();
        (0..self.subjects.len() * styles).map(move |at| Pair {
            subject: at / styles,
            style: at % styles,
        })
    }

    /// The pairs of a split.
    pub fn of(&self, split: Split) -> Vec<Pair> {
        let mine = |pair: &Pair| self.split(*pair) == split;
        self.pairs().filter(mine).collect()
    }

    /// What a pair is for.
    pub fn split(&self, pair: Pair) -> Split {
        match kept_back(&self.subjects[pair.subject].code) {
            Some((style, split)) if style == pair.style => split,
            _ => Split::Train,
        }
    }

    /// The picture of a pair, on white, and how much each pixel covers.
    ///
    /// # Errors
    /// None that is known.
    pub fn image(&self, pair: Pair) -> Result<Drawn, MediaError> {
        let pixels = &self.pixels[pair.subject * Style::ALL.len() + pair.style];
        let cells = || pixels.chunks_exact(CHANNELS);
        let colours = cells().flat_map(|cell| [cell[0], cell[1], cell[2]]);
        let picture = Image::new(SIDE as u32, SIDE as u32, colours.collect())?;
        Ok((picture, Some(cells().map(|cell| cell[3]).collect())))
    }

    /// Adds the values `[4, 64, 64]` of a pair in `[-1, 1]` to `out`.
    pub fn values(&self, pair: Pair, moved: Moved, out: &mut Vec<f32>) {
        let pixels = &self.pixels[pair.subject * Style::ALL.len() + pair.style];
        let side = SIDE as isize;
        for channel in 0..CHANNELS {
            for y in 0..side {
                for x in 0..side {
                    let x = if moved.mirrored { side - 1 - x } else { x };
                    let [from_y, from_x] = [y - moved.by[0], x - moved.by[1]];
                    let inside = (0..side).contains(&from_y) && (0..side).contains(&from_x);
                    out.push(match (inside, channel) {
                        (true, _) => {
                            let at = (from_y * side + from_x) as usize * CHANNELS + channel;
                            f32::from(pixels[at]) / 127.5 - 1.0
                        }
                        (false, 3) => -1.0,
                        (false, _) => 1.0,
                    });
                }
            }
        }
    }
}

/// The bytes of one cell, laid on white.
fn cell(sheet: &image::RgbaImage, cell: usize) -> Vec<u8> {
    let columns = SHEET_COLUMNS as usize;
    let (left, top) = (cell % columns * SIDE, cell / columns * SIDE);
    let mut out = Vec::with_capacity(CHANNELS * PLANE);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let [r, g, b, alpha] = sheet.get_pixel((left + x) as u32, (top + y) as u32).0;
            let on_white = |v: u8| {
                let (v, alpha) = (u32::from(v), u32::from(alpha));
                ((v * alpha + 255 * (255 - alpha) + 127) / 255) as u8
            };
            out.extend([on_white(r), on_white(g), on_white(b), alpha]);
        }
    }
    out
}

/// The style (an index) of a subject that training never shows, and what it is kept for: three subjects of ten lose one style
/// to the test, one of ten to development. It depends on the subject's code alone.
fn kept_back(code: &str) -> Option<(usize, Split)> {
    let mut rng = Rng::new(HELD_OUT_SEED).child(code);
    let split = match rng.below(10) {
        place if place < TEST_TENTHS => Split::Test,
        place if place < TEST_TENTHS + DEVELOPMENT_TENTHS => Split::Development,
        _ => return None,
    };
    Some((rng.below(Style::ALL.len()), split))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A grid without pictures.
    fn grid() -> Grid {
        let pack = EmojiPack::embedded().unwrap();
        let plain = pack.subjects.iter().filter(|it| it.skin.is_none());
        Grid {
            subjects: plain.cloned().collect(),
            pixels: Vec::new(),
        }
    }

    #[test]
    fn a_tenth_of_the_pairs_is_kept_for_the_test() {
        let grid = grid();
        let [train, development, test] =
            [Split::Train, Split::Development, Split::Test].map(|split| grid.of(split));
        assert_eq!(train.len() + development.len() + test.len(), 2979);
        assert!((270..=330).contains(&test.len()), "{}", test.len());
        assert!((75..=125).contains(&development.len()));
        // Every subject is trained in two styles at least, and each style is held out about as often.
        for subject in 0..grid.subjects.len() {
            let of = train.iter().filter(|pair| pair.subject == subject);
            assert!(of.count() >= 2);
        }
        for style in 0..3 {
            let of = test.iter().filter(|pair| pair.style == style).count();
            assert!((70..=130).contains(&of), "{of}");
        }
    }

    #[test]
    fn what_comes_from_outside_is_clear_and_white() {
        let mut grid = grid();
        let mut pixels = vec![255; CHANNELS * PLANE];
        pixels[0] = 0;
        grid.pixels = vec![pixels];
        let pair = Pair {
            subject: 0,
            style: 0,
        };
        let mut values = Vec::new();
        let moved = Moved {
            by: [1, 2],
            mirrored: false,
        };
        grid.values(pair, moved, &mut values);
        assert_eq!(values.len(), CHANNELS * PLANE);
        assert_eq!(values[SIDE + 2], -1.0);
        assert_eq!([values[0], values[3 * PLANE]], [1.0, -1.0]);
        assert_eq!(values[3 * PLANE + SIDE + 2], 1.0);
    }
}
