//! Training data of the embedded picture model: emoji with prompts in eleven languages, and the train/dev/test split.

use base::rng::Rng;
use engine::data::pack::{EmojiPack, PackError, Style, Subject};

use super::train::{Example, Examples};

/// Height and width of the embedded models' frames.
pub const SIZE: usize = 32;
/// Seed that chooses the held-out pairs; part of the data's definition.
const HELD_OUT_SEED: u64 = 20_241_209;
/// Tenths of the subjects of which one style is held out to measure composition: a tenth of the pairs at three styles.
const TEST_TENTHS: usize = 3;
/// Tenths, other subjects', of which one style is held out to choose settings by.
const DEVELOPMENT_TENTHS: usize = 1;
/// Probability that a training prompt names no style.
const STYLE_DROPOUT: f32 = 0.15;
/// Probability that a training prompt names the style alone.
const SUBJECT_DROPOUT: f32 = 0.1;
/// Largest shift of a picture that is cropped, in pixels.
const LARGEST_SHIFT: usize = 2;

/// A (subject, style) pair of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// Index into [`EmojiGrid::subjects`].
    pub subject: usize,
    /// Style.
    pub style: Style,
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

/// Subjects × styles, with the pairs that training never sees.
pub struct EmojiGrid {
    /// The subjects, in the order they were named in.
    pub subjects: Vec<Subject>,
    /// Unit-range pixels `[3, 32, 32]` of each subject, style by style.
    pixels: Vec<[Vec<f32>; Style::ALL.len()]>,
    /// The style that training never shows of a subject, and what it is kept for.
    held_out: Vec<Option<(Style, Split)>>,
}

impl EmojiGrid {
    /// The grid of the subjects of `codes` out of a pack.
    ///
    /// # Errors
    /// When the pack lacks one of the subjects or its pictures cannot be read.
    pub fn new(pack: &EmojiPack, codes: &[String]) -> Result<Self, PackError> {
        let subjects: Vec<Subject> = codes
            .iter()
            .map(|code| by_code(pack, code).cloned())
            .collect::<Result<_, _>>()?;
        let mut pixels = Vec::with_capacity(subjects.len());
        for subject in &subjects {
            let mut styles: [Vec<f32>; Style::ALL.len()] = Default::default();
            for (pixels, style) in styles.iter_mut().zip(Style::ALL) {
                *pixels = pack.image(subject.cell, style)?.to_unit();
            }
            pixels.push(styles);
        }
        let held_out = subjects.iter().map(|s| kept_back(&s.code)).collect();
        Ok(Self {
            subjects,
            pixels,
            held_out,
        })
    }

    /// Pixels `[3, 32, 32]` in `[-1, 1]` of a pair.
    pub fn pixels(&self, pair: Pair) -> &[f32] {
        let style = Style::ALL.iter().position(|&style| style == pair.style);
        &self.pixels[pair.subject][style.unwrap_or(0)]
    }

    /// What a pair is for.
    pub fn split(&self, pair: Pair) -> Split {
        match self.held_out[pair.subject] {
            Some((style, split)) if style == pair.style => split,
            _ => Split::Train,
        }
    }

    /// The pairs of a split, subject by subject.
    pub fn pairs_of(&self, split: Split) -> Vec<Pair> {
        self.pairs()
            .filter(|&pair| self.split(pair) == split)
            .collect()
    }

    /// All pairs, subject by subject.
    pub fn pairs(&self) -> impl Iterator<Item = Pair> {
        (0..self.subjects.len()).flat_map(|subject| {
            Style::ALL
                .into_iter()
                .map(move |style| Pair { subject, style })
        })
    }
}

/// The style of a subject that training never shows, and what it is kept for: three subjects of ten lose one style to the
/// test, one of ten to development. It depends on the subject's code alone, so that every set of subjects holds out the
/// same pairs, and a model that goes on with other subjects has seen none of them.
fn kept_back(code: &str) -> Option<(Style, Split)> {
    let mut rng = Rng::new(HELD_OUT_SEED).child(code);
    let split = match rng.below(10) {
        place if place < TEST_TENTHS => Split::Test,
        place if place < TEST_TENTHS + DEVELOPMENT_TENTHS => Split::Development,
        _ => return None,
    };
    Some((Style::ALL[rng.below(Style::ALL.len())], split))
}

fn english(subject: &Subject) -> String {
    subject.name("en").unwrap_or_default().to_owned()
}

/// The subject of a code.
pub(super) fn by_code<'a>(pack: &'a EmojiPack, code: &str) -> Result<&'a Subject, PackError> {
    let found = pack.subjects.iter().find(|subject| subject.code == code);
    found.ok_or_else(|| PackError::Absent {
        code: code.to_owned(),
    })
}

/// One of the many ways to ask for a subject: a name in any language, the emoji itself, keywords.
pub fn say(subject: &Subject, rng: &mut Rng) -> String {
    match rng.below(10) {
        0..=2 => english(subject),
        3..=6 => subject.names[rng.below(subject.names.len())].1.clone(),
        7 => subject.emoji(),
        _ => {
            let mut words = subject.keywords_en.clone();
            rng.shuffle(&mut words);
            words.truncate(1 + rng.below(3));
            words.push(english(subject));
            words.join(" ")
        }
    }
}

/// Pictures of the grid, one in two slightly off centre as its crop micro-conditions say.
pub struct Pictures {
    /// The grid.
    pub grid: EmojiGrid,
}

impl Pictures {
    /// A prompt of a pair: subject and style; at times the subject alone, at times the style alone, so that either is
    /// learnt apart from the other.
    fn prompt(&self, pair: Pair, rng: &mut Rng) -> String {
        if rng.chance(SUBJECT_DROPOUT) {
            return pair.style.to_string();
        }
        let subject = say(&self.grid.subjects[pair.subject], rng);
        if rng.chance(STYLE_DROPOUT) {
            return subject;
        }
        format!("{subject} {}", pair.style)
    }
}

impl Examples for Pictures {
    fn shape(&self) -> [usize; 4] {
        [3, 1, SIZE, SIZE]
    }

    fn draw(&self, rng: &mut Rng) -> Example {
        let pair = loop {
            let pair = Pair {
                subject: rng.below(self.grid.subjects.len()),
                style: Style::ALL[rng.below(Style::ALL.len())],
            };
            if self.grid.split(pair) == Split::Train {
                break pair;
            }
        };
        let prompt = self.prompt(pair, rng);
        let [top, left] = draw_shift(rng);
        Example {
            latents: shift(self.grid.pixels(pair), 3, SIZE, top, left),
            prompt,
            micro: image_micro(top as f32, left as f32),
        }
    }
}

/// Micro-conditions of a 32×32 picture whose crop starts at `(top, left)`.
pub fn image_micro(top: f32, left: f32) -> [f32; 6] {
    [SIZE as f32, SIZE as f32, top, left, 1.0, 1.0]
}

/// Off centre one time in two: (top, left) in pixels.
pub(super) fn draw_shift(rng: &mut Rng) -> [isize; 2] {
    if !rng.chance(0.5) {
        return [0, 0];
    }
    let span = 2 * LARGEST_SHIFT + 1;
    [0; 2].map(|_: isize| rng.below(span) as isize - LARGEST_SHIFT as isize)
}

/// Planes of `size × size` seen through a window moved by `(top, left)`; white where there is nothing.
pub(super) fn shift(
    pixels: &[f32],
    planes: usize,
    size: usize,
    top: isize,
    left: isize,
) -> Vec<f32> {
    let mut out = vec![1.0; pixels.len()];
    let inside = |at: isize| (0..size as isize).contains(&at);
    for plane in 0..planes {
        for y in 0..size {
            for x in 0..size {
                let (from_y, from_x) = (y as isize + top, x as isize + left);
                if inside(from_y) && inside(from_x) {
                    let from = from_y as usize * size + from_x as usize;
                    let start = plane * size * size;
                    out[start + y * size + x] = pixels[start + from];
                }
            }
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::stiv::subjects::SubjectSet;

    #[test]
    fn every_set_of_subjects_holds_out_the_same_pairs() {
        let pack = EmojiPack::embedded().unwrap();
        let held_out = |set: SubjectSet, split: Split| -> Vec<(String, Style)> {
            let grid = EmojiGrid::new(pack, &set.codes(pack)).unwrap();
            let code = |pair: Pair| (grid.subjects[pair.subject].code.clone(), pair.style);
            grid.pairs_of(split).into_iter().map(code).collect()
        };
        for (split, tenths) in [(Split::Test, 3), (Split::Development, 1)] {
            let all = held_out(SubjectSet::All, split);
            let few = held_out(SubjectSet::Recognised, split);
            let known = SubjectSet::Recognised.codes(pack);
            let of_known = all.iter().filter(|(code, _)| known.contains(code));
            assert_eq!(of_known.count(), few.len(), "{split:?}");
            assert!(few.iter().all(|pair| all.contains(pair)), "{split:?}");
            // One style of so many tenths of the subjects, within what chance allows, and each style about as often.
            assert!((all.len() as isize - 993 * tenths / 10).abs() < 45);
            for style in Style::ALL {
                let count = all.iter().filter(|(_, of)| *of == style).count();
                assert!((count as isize - all.len() as isize / 3).abs() < 30);
            }
        }
    }
}
