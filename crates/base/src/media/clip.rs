//! Pictures that move.

use super::error::MediaError;
use super::image::Image;

/// Pictures of one size that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    /// The frames in order, all of the same size.
    pub frames: Vec<Image>,
    /// How long each frame stands, in milliseconds.
    pub delay_ms: u32,
}

impl Clip {
    /// A clip from frames of one size.
    ///
    /// # Errors
    /// [`MediaError::MixedSizes`], or [`MediaError::Size`] without any frame.
    pub fn new(frames: Vec<Image>, delay_ms: u32) -> Result<Self, MediaError> {
        let Some(first) = frames.first() else {
            return Err(MediaError::Size(
                "a clip needs at least one frame: give it one".into(),
            ));
        };
        let (first_width, first_height) = (first.width, first.height);
        for (index, frame) in frames.iter().enumerate() {
            if (frame.width, frame.height) != (first_width, first_height) {
                return Err(MediaError::MixedSizes {
                    index,
                    width: frame.width,
                    height: frame.height,
                    first_width,
                    first_height,
                });
            }
        }
        Ok(Self { frames, delay_ms })
    }

    /// The same clip with `change` applied to every frame.
    pub fn map(&self, change: impl Fn(&Image) -> Image) -> Self {
        Self {
            frames: self.frames.iter().map(change).collect(),
            delay_ms: self.delay_ms,
        }
    }

    /// The frames side by side, left to right: what [`super::clip_from_strip`] takes apart.
    pub fn strip(&self) -> Image {
        let width = self.frames.iter().map(|frame| frame.width).sum();
        let height = self.frames.first().map_or(1, |frame| frame.height);
        let mut strip = Image::filled(width, height, [255; 3]);
        let mut x = 0;
        for frame in &self.frames {
            strip.paste(frame, x, 0);
            x += frame.width;
        }
        strip
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_one_size_and_at_least_one() {
        let sizes = vec![Image::filled(2, 2, [0; 3]), Image::filled(2, 3, [0; 3])];
        let mixed = Clip::new(sizes, 40);
        assert!(matches!(
            mixed,
            Err(MediaError::MixedSizes { index: 1, .. })
        ));
        assert!(Clip::new(Vec::new(), 40).is_err());
    }
}
