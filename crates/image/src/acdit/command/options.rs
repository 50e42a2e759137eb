//! Values of options.

use std::path::Path;

use base::command::{Failure, check_out};
use base::media::{CLIP_EXTENSIONS, MediaError, PICTURE_EXTENSIONS};

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
    check_out(path, [])
}
