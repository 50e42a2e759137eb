//! Given frames: pictures for the sampler, PNG in hexadecimal digits inside files.

use base::media::{self, Image};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::stiv::clips::FRAMES;
use crate::stiv::data::SIZE;

/// Hexadecimal digits that are read: a PNG of 32×32 RGB takes less, however badly it is packed.
const MAX_DIGITS: usize = 16_384;

/// A frame that a clip goes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenFrame {
    at: usize,
    picture: Image,
}

impl GivenFrame {
    /// `picture` at place `at` of the clip, from 0, cropped to a square and shrunk to the model's size.
    pub fn new(at: usize, picture: &Image) -> Self {
        let picture = picture.resize_square(SIZE as u32);
        Self { at, picture }
    }

    /// `picture` as the first frame.
    pub fn first(picture: &Image) -> Self {
        Self::new(0, picture)
    }

    /// Its place in the clip, from 0.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The frame as the model sees it, 32×32.
    pub fn image(&self) -> &Image {
        &self.picture
    }
}

/// A frame as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    at: usize,
    png: String,
}

impl Serialize for GivenFrame {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let bytes = media::png_bytes(&self.picture, &[]).map_err(S::Error::custom)?;
        let png = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Written { at: self.at, png }.serialize(to)
    }
}

impl<'a> Deserialize<'a> for GivenFrame {
    /// Takes a frame as it is written above: nothing larger is unpacked.
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(from)?;
        let picture = decode(&written.png).filter(|_| written.at < FRAMES);
        let picture = picture.ok_or_else(|| D::Error::custom("a given frame is damaged"))?;
        let at = written.at;
        Ok(Self { at, picture })
    }
}

fn decode(digits: &str) -> Option<Image> {
    let digits = digits.as_bytes();
    if digits.len() > MAX_DIGITS {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Vec<u8> = digits.chunks(2).map(byte).collect::<Option<_>>()?;
    // Width and height stand at the same place of every PNG.
    let side = (SIZE as u32).to_be_bytes();
    if bytes.get(16..24)? != [side, side].concat() {
        return None;
    }
    let still = media::decode_still(&bytes, "the given frame").ok()?;
    Some(still.picture)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written_and_nothing_else_is() {
        let frame = GivenFrame::new(3, &Image::filled(50, 40, [1, 2, 3]));
        let text = serde_json::to_string(&frame).unwrap();
        assert_eq!(serde_json::from_str::<GivenFrame>(&text).unwrap(), frame);
        let large = media::png_bytes(&Image::filled(33, 32, [9; 3]), &[]).unwrap();
        let large: String = large.iter().map(|byte| format!("{byte:02x}")).collect();
        for wrong in [
            text.replace(r#""at":3"#, r#""at":16"#),
            text.replace("89504e47", "89504e4"),
            r#"{"at":0,"png":"zz"}"#.into(),
            format!(r#"{{"at":0,"png":"{large}"}}"#),
            format!(r#"{{"at":0,"png":"{}"}}"#, "0".repeat(MAX_DIGITS + 2)),
        ] {
            assert!(
                serde_json::from_str::<GivenFrame>(&wrong).is_err(),
                "{wrong}"
            );
        }
    }
}
