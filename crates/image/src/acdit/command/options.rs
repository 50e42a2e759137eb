//! Values of options.

use std::path::Path;

use base::command::Failure;
use base::files::FileError;
use base::media::{CLIP_EXTENSIONS, MediaError, PICTURE_EXTENSIONS};

/// A whole number from 1 to `most`, for clap.
///
/// # Errors
/// When `text` is something else.
pub fn whole(text: &str, most: usize) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("give a whole number from 1 to {most}")),
    }
}

/// Looks whether `path` can be written as a picture, or where it `moves` as a clip, before any work is done.
///
/// # Errors
/// For an unknown ending, a folder, and where there is no folder for it.
pub fn check(path: &Path, moves: bool) -> Result<(), Failure> {
    let known: &[&str] = match moves {
        true => &CLIP_EXTENSIONS,
        false => &PICTURE_EXTENSIONS,
    };
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    if !known.contains(&ending.to_lowercase().as_str()) {
        let known: Vec<String> = known.iter().map(|ending| format!("`.{ending}`")).collect();
        return Err(MediaError::UnknownExtension {
            path: path.to_owned(),
            known: known.join(", "),
        }
        .into());
    }
    if path.is_dir() {
        return Err(FileError::IsFolder { path: path.into() }.into());
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    match folder.as_os_str().is_empty() || folder.is_dir() {
        true => Ok(()),
        false => Err(FileError::NoFolder {
            path: path.to_owned(),
            folder: folder.to_owned(),
        }
        .into()),
    }
}
