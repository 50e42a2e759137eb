//! Masks as runs of pixels, and COCO's run-length encoding of them.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::polygon::outline;

/// Sides of masks at most, in pixels.
const MAX_SIDE: usize = 1 << 15;

/// Why something is not a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// Run lengths that do not fill the picture.
    #[error("its run lengths do not fill its size")]
    Runs,
    /// A side of 0 or above 32768.
    #[error("its size is not a size of a picture")]
    Size,
    /// No polygon with three corners.
    #[error("it has no polygon of three corners or more")]
    Polygon,
}

/// A mask as a file has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Outline {
    /// Polygons `x, y, x, y, …` in pixels.
    Polygons(Vec<Vec<f64>>),
    /// Run lengths of a picture of `[height, width]`.
    Runs {
        /// The lengths.
        counts: Counts,
        /// Height and width.
        size: [usize; 2],
    },
    /// Something else.
    Other(IgnoredAny),
}

/// Run lengths outside and inside by turns, column by column.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Counts {
    /// One by one.
    Plain(Vec<u64>),
    /// As `pycocotools` packs them.
    Packed(String),
}

impl Outline {
    /// The mask in a picture of `[height, width]`.
    ///
    /// # Errors
    /// [`MaskError`], also where run lengths are those of another size.
    pub fn mask(&self, size: [usize; 2]) -> Result<Mask, MaskError> {
        match self {
            Self::Polygons(polygons) => Mask::from_polygons(polygons, size),
            Self::Runs { size: own, .. } if *own != size => Err(MaskError::Size),
            Self::Runs { counts, .. } => match counts {
                Counts::Plain(counts) => Mask::from_counts(counts, size),
                Counts::Packed(text) => Mask::from_packed(text, size),
            },
            Self::Other(_) => Err(MaskError::Polygon),
        }
    }
}

/// A set of pixels of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Height and width of the picture.
    size: [usize; 2],
    /// First pixel and the one after the last of each run, column by column, in order and apart.
    runs: Vec<[u32; 2]>,
}

impl Mask {
    /// From a value a pixel, row by row: `height · width` of `size`.
    pub fn from_rows(inside: &[bool], size: [usize; 2]) -> Self {
        let [height, width] = size;
        let mut mask = Self {
            size,
            runs: Vec::new(),
        };
        for x in 0..width {
            for y in 0..height {
                if inside.get(y * width + x) == Some(&true) {
                    let at = (x * height + y) as u32;
                    mask.push([at, at + 1]);
                }
            }
        }
        mask
    }

    /// From lengths of runs outside and inside by turns, column by column, for a picture of `[height, width]`.
    ///
    /// # Errors
    /// [`MaskError::Size`]; [`MaskError::Runs`] where the lengths do not add up to the size.
    pub fn from_counts(counts: &[u64], size: [usize; 2]) -> Result<Self, MaskError> {
        let pixels = area_of(size)?;
        let mut mask = Self {
            size,
            runs: Vec::new(),
        };
        let mut at = 0_u64;
        for (turn, count) in counts.iter().enumerate() {
            let end = at.checked_add(*count).filter(|end| *end <= pixels);
            let end = end.ok_or(MaskError::Runs)?;
            if turn % 2 == 1 && end > at {
                mask.push([at as u32, end as u32]);
            }
            at = end;
        }
        match at == pixels {
            true => Ok(mask),
            false => Err(MaskError::Runs),
        }
    }

    /// From lengths packed as text by `pycocotools`.
    ///
    /// # Errors
    /// As [`Mask::from_counts`].
    pub fn from_packed(text: &str, size: [usize; 2]) -> Result<Self, MaskError> {
        let mut counts: Vec<i64> = Vec::new();
        let (mut value, mut shift) = (0_i64, 0_u32);
        for byte in text.bytes() {
            let bits = byte.checked_sub(48).filter(|bits| *bits < 64);
            let bits = bits.filter(|_| shift < 60).ok_or(MaskError::Runs)?;
            value |= i64::from(bits & 31) << shift;
            shift += 5;
            if bits & 32 != 0 {
                continue;
            }
            if bits & 16 != 0 {
                value |= -1 << shift;
            }
            // From the fourth on, what has changed since the one before the last.
            if let [_, .., before, _] = counts[..] {
                value = value.checked_add(before).ok_or(MaskError::Runs)?;
            }
            counts.push(value);
            (value, shift) = (0, 0);
        }
        let counts: Result<Vec<u64>, _> = counts.into_iter().map(u64::try_from).collect();
        match counts {
            Ok(counts) if shift == 0 => Self::from_counts(&counts, size),
            _ => Err(MaskError::Runs),
        }
    }

    /// Everything inside one of several polygons `x, y, x, y, …` in pixels; those with less than three corners are passed over.
    ///
    /// # Errors
    /// [`MaskError::Size`]; [`MaskError::Polygon`] where none is left.
    pub fn from_polygons(polygons: &[Vec<f64>], size: [usize; 2]) -> Result<Self, MaskError> {
        area_of(size)?;
        let whole =
            |polygon: &&Vec<f64>| polygon.len() >= 6 && polygon.iter().all(|at| at.is_finite());
        let mut runs = Vec::new();
        let mut any = false;
        for polygon in polygons.iter().filter(whole) {
            any = true;
            let counts = outline(polygon, size);
            runs.extend(Self::from_counts(&counts, size)?.runs);
        }
        runs.sort_unstable();
        let mut mask = Self {
            size,
            runs: Vec::new(),
        };
        runs.into_iter().for_each(|run| mask.push(run));
        match any {
            true => Ok(mask),
            false => Err(MaskError::Polygon),
        }
    }

    /// Height and width of the picture.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Number of pixels.
    pub fn area(&self) -> u64 {
        let lengths = self.runs.iter().map(|[from, to]| u64::from(to - from));
        lengths.sum()
    }

    /// Number of pixels that two masks share.
    pub fn shared(&self, other: &Self) -> u64 {
        let (mut a, mut b) = (self.runs.iter().peekable(), other.runs.iter().peekable());
        let mut shared = 0;
        while let (Some(&&[a_from, a_to]), Some(&&[b_from, b_to])) = (a.peek(), b.peek()) {
            shared += u64::from(a_to.min(b_to).saturating_sub(a_from.max(b_from)));
            match a_to < b_to {
                true => a.next(),
                false => b.next(),
            };
        }
        shared
    }

    /// Intersection over union with `other`, or over this one's own area where `other` is a crowd; 0 where they share nothing.
    pub fn overlap(&self, other: &Self, crowd: bool) -> f64 {
        let shared = self.shared(other);
        let own = self.area();
        let whole = match crowd {
            true => own,
            false => own + other.area() - shared,
        };
        match shared {
            0 => 0.0,
            shared => shared as f64 / whole as f64,
        }
    }

    /// The lengths of runs packed as text, as `pycocotools` does.
    pub fn packed(&self) -> String {
        let [height, width] = self.size;
        let mut counts: Vec<i64> = Vec::new();
        let mut at = 0;
        for [from, to] in &self.runs {
            counts.extend([i64::from(from - at), i64::from(to - from)]);
            at = *to;
        }
        let rest = (height * width) as i64 - i64::from(at);
        if rest > 0 || counts.is_empty() {
            counts.push(rest);
        }
        let mut text = String::new();
        for (place, count) in counts.iter().enumerate() {
            let before = place.checked_sub(2).filter(|_| place > 2);
            let mut value = count - before.map_or(0, |before| counts[before]);
            loop {
                let bits = (value & 31) as u8;
                value >>= 5;
                let done = value == if bits & 16 != 0 { -1 } else { 0 };
                text.push(char::from(48 + bits + if done { 0 } else { 32 }));
                if done {
                    break;
                }
            }
        }
        text
    }

    /// Adds a run that begins no earlier than the last one.
    fn push(&mut self, [from, to]: [u32; 2]) {
        match self.runs.last_mut() {
            Some(last) if from <= last[1] => last[1] = last[1].max(to),
            _ if from < to => self.runs.push([from, to]),
            _ => {}
        }
    }
}

fn area_of([height, width]: [usize; 2]) -> Result<u64, MaskError> {
    let fits = |side: usize| (1..=MAX_SIDE).contains(&side);
    match fits(height) && fits(width) {
        true => Ok(height as u64 * width as u64),
        false => Err(MaskError::Size),
    }
}
