//! A folder of pictures with what each shows in words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base::media::PICTURE_EXTENSIONS;
use engine::SystemError;
use serde::Deserialize;

/// The file of captions in a folder, as diffusers' scripts read it.
const METADATA: &str = "metadata.jsonl";

/// A picture and its prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captioned {
    /// The file.
    pub path: PathBuf,
    /// What it shows.
    pub prompt: String,
}

/// A line of [`METADATA`].
#[derive(Deserialize)]
struct Line {
    file_name: PathBuf,
    text: String,
}

/// The pictures in `folder`, sorted by name, all with `prompt`; without one, those that the folder's `metadata.jsonl` lists, with
/// its texts (`{"file_name": "1.png", "text": "a dog"}`, a line each).
///
/// # Errors
/// [`SystemError::Input`]: no folder, no picture in it, no prompt for them, a caption without its picture.
pub fn pictures(folder: &Path, prompt: Option<&str>) -> Result<Vec<Captioned>, SystemError> {
    let unread = |cause: &dyn std::fmt::Display| {
        SystemError::input(format!(
            "cannot read the pictures in `{}`: {cause}",
            folder.display()
        ))
    };
    let captions = folder.join(METADATA);
    let found = match prompt {
        None if captions.is_file() => captioned(folder, &captions)?,
        _ => {
            let mut found = Vec::new();
            for entry in std::fs::read_dir(folder).map_err(|cause| unread(&cause))? {
                let path = entry.map_err(|cause| unread(&cause))?.path();
                if is_picture(&path) {
                    found.push(path);
                }
            }
            found.sort();
            let prompt = prompt.unwrap_or_default();
            let captioned = |path| Captioned {
                path,
                prompt: prompt.to_owned(),
            };
            found.into_iter().map(captioned).collect()
        }
    };
    match (found.first(), prompt) {
        (None, _) => Err(unread(&format!(
            "there is none: put some there ({})",
            PICTURE_EXTENSIONS.join(", ")
        ))),
        (Some(first), _) if first.prompt.trim().is_empty() => Err(SystemError::input(format!(
            "nothing says what the pictures in `{}` show: give `--prompt`, or put a `{METADATA}` there with lines of `file_name` and `text`",
            folder.display()
        ))),
        _ => Ok(found),
    }
}

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| {
        PICTURE_EXTENSIONS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}

fn captioned(folder: &Path, captions: &Path) -> Result<Vec<Captioned>, SystemError> {
    let read = base::job::jsonl::read(captions)?;
    let mut found = BTreeMap::new();
    for (at, record) in read.records {
        let line: Line = serde_json::from_value(record.into()).map_err(|cause| {
            SystemError::path(
                captions,
                format!("line {at}: {cause}: write `file_name` and `text`"),
            )
        })?;
        let path = folder.join(&line.file_name);
        if !path.is_file() {
            let name = line.file_name.display();
            return Err(SystemError::path(
                captions,
                format!("line {at}: there is no picture `{name}` beside it"),
            ));
        }
        if line.text.trim().is_empty() {
            return Err(SystemError::path(
                captions,
                format!("line {at}: its `text` is empty: say what the picture shows"),
            ));
        }
        found.insert(path, line.text);
    }
    Ok(found
        .into_iter()
        .map(|(path, prompt)| Captioned { path, prompt })
        .collect())
}
