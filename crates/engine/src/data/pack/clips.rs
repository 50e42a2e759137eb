//! Short real animations: emoji that move.

use std::path::Path;
use std::sync::OnceLock;

use super::PackError;
use super::source::Source;
use super::strips::FILES;
use super::table::{Table, characters};
use base::media::{Clip, clip_from_strip};

/// Frames of every clip.
pub const FRAMES: usize = 16;
/// Side of a frame as stored, in pixels.
pub const STRIP_SIDE: u32 = 48;
/// The animations were drawn at this many frames a second.
const SOURCE_RATE: u32 = 24;
/// The largest side a clip is resized to.
const MAX_SIZE: u32 = 1024;
const HEADER: [&str; 6] = [
    "code",
    "name",
    "category",
    "source_frames",
    "frame_step",
    "mean_abs_change",
];

/// One animation.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipEntry {
    /// Code points in hex joined by `-`, such as `1f300`.
    pub code: String,
    /// English name.
    pub name: String,
    /// Unicode's group, such as `Animals & Nature`.
    pub category: String,
    /// Frames of the whole animation.
    pub source_frames: u32,
    /// Frames of the source from one kept frame to the next; the source runs at 24 a second.
    pub frame_step: u32,
    /// Mean absolute change between neighbouring kept frames, 0 to 255.
    pub mean_abs_change: f32,
}

impl ClipEntry {
    /// The character or characters.
    pub fn emoji(&self) -> String {
        characters(&self.code)
    }

    /// How long each kept frame stands, in milliseconds.
    pub fn delay_ms(&self) -> u32 {
        self.frame_step.saturating_mul(1000) / SOURCE_RATE
    }
}

/// The pack `fluent-anim-48`: 96 clips of 16 frames, 48x48 on white.
#[derive(Debug)]
pub struct ClipPack {
    /// All clips in order.
    pub clips: Vec<ClipEntry>,
    source: Source,
}

impl ClipPack {
    /// The pack inside the program, parsed on the first call.
    ///
    /// # Errors
    /// [`PackError`] if the program was built with a broken pack.
    pub fn embedded() -> Result<&'static ClipPack, PackError> {
        static PACK: OnceLock<Result<ClipPack, PackError>> = OnceLock::new();
        let pack = PACK.get_or_init(|| Self::load(Source::Embedded(FILES)));
        pack.as_ref().map_err(Clone::clone)
    }

    /// A pack of the same layout in `folder`. Strips are measured now and decoded when asked for.
    ///
    /// # Errors
    /// [`PackError`] with the file and line that is missing or malformed.
    pub fn open(folder: impl AsRef<Path>) -> Result<ClipPack, PackError> {
        Self::load(Source::Folder(folder.as_ref().to_owned()))
    }

    fn load(source: Source) -> Result<Self, PackError> {
        let text = source.text("index.tsv")?;
        let table = Table::parse(&text, source.label("index.tsv"), &HEADER)?;
        let mut clips: Vec<ClipEntry> = Vec::new();
        for row in table.rows() {
            let entry = ClipEntry {
                code: row.code(0, "code")?,
                name: row.filled(1, "name")?,
                category: row.filled(2, "category")?,
                source_frames: row.number(3, "count of frames")?,
                frame_step: row.number(4, "frame step")?,
                mean_abs_change: row.number(5, "change")?,
            };
            if clips.iter().any(|other| other.code == entry.code) {
                return Err(row.wrong(format!("the code {} was there before", entry.code)));
            }
            if entry.frame_step == 0 || !(0.0..=255.0).contains(&entry.mean_abs_change) {
                return Err(row.wrong("the frame step or the change is out of range".into()));
            }
            let (width, height) = strip_size();
            source.check_png(&file_of(&entry), width, height)?;
            clips.push(entry);
        }
        Ok(Self { clips, source })
    }

    /// Clip `index` as 16 frames of `size` x `size` pixels, Lanczos-filtered where that is not 48.
    ///
    /// # Errors
    /// [`PackError::OutOfRange`] beyond the end, [`PackError::Size`] for a side of 0 or above 1,024,
    /// [`PackError::Sheet`] for a damaged strip.
    pub fn clip(&self, index: usize, size: u32) -> Result<Clip, PackError> {
        let entry = self.clips.get(index).ok_or(PackError::OutOfRange {
            what: "clip",
            number: index,
            last: self.clips.len().saturating_sub(1),
        })?;
        if !(1..=MAX_SIZE).contains(&size) {
            let most = MAX_SIZE;
            return Err(PackError::Size { size, most });
        }
        let (width, height) = strip_size();
        let strip = self.source.image(&file_of(entry), width, height)?;
        let clip = clip_from_strip(&strip, FRAMES).map_err(|cause| PackError::Sheet {
            file: self.source.label(&file_of(entry)),
            cause: cause.to_string(),
        })?;
        Ok(Clip {
            delay_ms: entry.delay_ms(),
            ..clip.map(|frame| frame.resize(size, size))
        })
    }
}

fn file_of(entry: &ClipEntry) -> String {
    format!("{}.png", entry.code)
}

fn strip_size() -> (u32, u32) {
    (STRIP_SIDE * FRAMES as u32, STRIP_SIDE)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn every_clip_has_sixteen_frames_that_move_as_the_index_says() {
        let pack = ClipPack::embedded().unwrap();
        assert_eq!(pack.clips.len(), 96);
        for (index, entry) in pack.clips.iter().enumerate() {
            let clip = pack.clip(index, STRIP_SIDE).unwrap();
            assert_eq!(clip.frames.len(), FRAMES);
            let (mut sum, mut count) = (0.0, 0.0);
            for pair in clip.frames.windows(2) {
                for (a, b) in pair[0].pixels.iter().zip(&pair[1].pixels) {
                    sum += f64::from(a.abs_diff(*b));
                    count += 1.0;
                }
            }
            let change = (sum / count) as f32;
            assert!(
                (change - entry.mean_abs_change).abs() < 0.02,
                "{}: {change}",
                entry.code
            );
        }
    }

    #[test]
    fn clips_come_at_the_size_and_pace_asked_for() {
        let pack = ClipPack::embedded().unwrap();
        let clip = pack.clip(0, 32).unwrap();
        assert!(clip.frames.iter().all(|f| (f.width, f.height) == (32, 32)));
        assert_eq!((clip.delay_ms, pack.clips[0].emoji().as_str()), (125, "🌀"));
        assert!(matches!(pack.clip(0, 0), Err(PackError::Size { .. })));
        assert!(matches!(
            pack.clip(96, 32),
            Err(PackError::OutOfRange { .. })
        ));
    }

    #[test]
    fn a_broken_pack_is_told_with_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("index.tsv");
        let open = || ClipPack::open(folder.path()).unwrap_err().to_string();
        let header = HEADER.join("\t");
        fs::write(
            &index,
            format!("{header}\n1f300\tcyclone\tSky\t72\t0\t8.0\n"),
        )
        .unwrap();
        assert!(open().contains("line 2"), "{}", open());
        fs::write(
            &index,
            format!("{header}\n../x\tcyclone\tSky\t72\t3\t8.0\n"),
        )
        .unwrap();
        assert!(open().contains("not hex code points"), "{}", open());
        fs::write(
            &index,
            format!("{header}\n1f300\tcyclone\tSky\t72\t3\t8.0\n"),
        )
        .unwrap();
        assert!(open().contains("1f300.png"), "{}", open());
        fs::write(folder.path().join("1f300.png"), b"no picture").unwrap();
        assert!(open().contains("not a PNG"), "{}", open());
    }
}
