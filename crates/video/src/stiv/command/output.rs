//! Where the picture goes: checked before the work, named after the prompt, written whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};

use base::command::Failure;
use base::files::{FileError, write_new};
use base::media::provenance::{Encoded, Provenance, clip_bytes, image_bytes};
use base::media::{CLIP_EXTENSIONS, Clip, Image, MediaError, PICTURE_EXTENSIONS};

/// Stands for standard output.
pub const STDOUT: &str = "-";
/// Letters of a file name that are taken from the prompt.
const LONGEST_NAME: usize = 40;

/// What was drawn, ready to be written.
#[derive(Clone, Debug)]
pub enum Sheet {
    /// One picture, or several on a sheet.
    Still(Image),
    /// One clip, or several on a sheet.
    Moving(Clip),
}

impl Sheet {
    /// Width, height and frames.
    pub fn size(&self) -> (u32, u32, usize) {
        match self {
            Self::Still(picture) => (picture.width, picture.height, 1),
            Self::Moving(clip) => {
                let first = clip.frames.first();
                let (width, height) = first.map_or((0, 0), |frame| (frame.width, frame.height));
                (width, height, clip.frames.len())
            }
        }
    }

    /// Writes it as the ending of `path` says; a device and [`STDOUT`] get PNG or GIF.
    ///
    /// # Errors
    /// When it cannot be written; nothing half-written is left.
    pub fn write(&self, path: &Path, provenance: &Provenance) -> Result<(), Failure> {
        let encoded = self.encoded(path, provenance)?;
        if path == Path::new(STDOUT) {
            let mut out = std::io::stdout().lock();
            let written = out.write_all(&encoded.bytes).and_then(|()| out.flush());
            return written.map_err(|cause| {
                Failure::failed(format!(
                    "cannot write to standard output: {cause}: check where it is sent"
                ))
            });
        }
        Ok(encoded.write(path)?)
    }

    /// Writes it under the first name that [`names`] gives and nobody has; two who draw the same at a time get two files.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_new(
        &self,
        prompt: &str,
        otherwise: &str,
        video: bool,
        provenance: &Provenance,
    ) -> Result<PathBuf, Failure> {
        for path in names(prompt, otherwise, video) {
            if path.symlink_metadata().is_err() {
                let encoded = self.encoded(&path, provenance)?;
                if write_new(&path, &encoded.bytes)? {
                    encoded.warn(&path);
                    return Ok(path);
                }
            }
        }
        Err(Failure::failed(
            "no free file name is left: give one with `--out`",
        ))
    }

    /// It in the format of `path`'s ending.
    fn encoded(&self, path: &Path, provenance: &Provenance) -> Result<Encoded, MediaError> {
        let known = ending(path);
        let named = |endings: &[&str], default: &'static str| match endings.contains(&&*known) {
            true => path,
            false => Path::new(default),
        };
        match self {
            Self::Still(picture) => {
                image_bytes(named(&PICTURE_EXTENSIONS, "a.png"), picture, provenance)
            }
            Self::Moving(clip) => clip_bytes(named(&CLIP_EXTENSIONS, "a.gif"), clip, provenance),
        }
    }
}

fn ending(path: &Path) -> String {
    let ending = path.extension().unwrap_or_default();
    ending.to_string_lossy().to_lowercase()
}

/// Whether it is standard output, or something that is not an ordinary file is there, such as `/dev/stdout`.
pub fn is_device(path: &Path) -> bool {
    path == Path::new(STDOUT)
        || path
            .metadata()
            .is_ok_and(|there| !there.is_file() && !there.is_dir())
}

/// Looks whether `path` can be written, before any work is done.
///
/// # Errors
/// For a folder, a missing folder, an unknown ending.
pub fn check(path: &Path, video: bool) -> Result<(), Failure> {
    if path == Path::new(STDOUT) {
        return Ok(());
    }
    check_place(path)?;
    if is_device(path) {
        return Ok(());
    }
    let known: &[&str] = match video {
        true => &CLIP_EXTENSIONS,
        false => &PICTURE_EXTENSIONS,
    };
    if known.contains(&ending(path).as_str()) {
        return Ok(());
    }
    let known: Vec<String> = known.iter().map(|ending| format!("`.{ending}`")).collect();
    let path = path.to_owned();
    let known = known.join(", ");
    Err(MediaError::UnknownExtension { path, known }.into())
}

/// Looks whether there is a folder for `path`.
///
/// # Errors
/// For a folder, or a missing one.
pub fn check_place(path: &Path) -> Result<(), Failure> {
    if path.file_name().is_none() {
        return Err(FileError::NoName { path: path.into() }.into());
    }
    if path.is_dir() {
        return Err(FileError::IsFolder { path: path.into() }.into());
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let path = path.to_owned();
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let folder = folder.to_owned();
    Err(match folder.exists() {
        true => FileError::NotAFolder { path, folder }.into(),
        false => FileError::NoFolder { path, folder }.into(),
    })
}

/// File names out of `prompt` (or `otherwise`, where it has no letters): plain, then numbered.
fn names(prompt: &str, otherwise: &str, video: bool) -> impl Iterator<Item = PathBuf> {
    let name = [prompt, otherwise, "picture"]
        .into_iter()
        .map(spelled)
        .find(|name| !name.is_empty())
        .unwrap_or_default();
    let ending = if video { "gif" } else { "png" };
    let plain = format!("{name}.{ending}");
    let numbered = (2..u32::MAX).map(move |number| format!("{name}-{number}.{ending}"));
    std::iter::once(plain).chain(numbered).map(PathBuf::from)
}

/// The words of `text` joined by hyphens.
fn spelled(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let name: String = words.join("-").chars().take(LONGEST_NAME).collect();
    name.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::spelled;

    #[test]
    fn names_are_spelled_from_words_of_any_script() {
        assert_eq!(spelled("A red  Apple!"), "a-red-apple");
        assert_eq!(spelled("빨간 사과"), "빨간-사과");
        assert_eq!(spelled("../../etc/passwd"), "etc-passwd");
        assert_eq!(spelled("🍎"), "");
        assert!(spelled(&"ab ".repeat(90)).len() <= 40);
    }
}
