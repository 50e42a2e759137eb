//! The hub's cache: `models--OWNER--NAME/{blobs,refs,snapshots}`, as `huggingface_hub` lays it out.
//!
//! A blob is named by its hash, a snapshot is a folder of links to blobs named by the commit, and a ref is a file that holds
//! the commit of a branch or tag.

use std::fmt;
use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::HubError;

/// A repository on the hub and a revision of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelId {
    /// `OWNER/NAME`.
    pub repository: String,
    /// Branch, tag or commit.
    pub revision: String,
}

impl ModelId {
    /// Reads `OWNER/NAME` or `OWNER/NAME@REVISION`.
    ///
    /// # Errors
    /// [`HubError::Name`] when `text` is neither.
    pub fn parse(text: &str) -> Result<Self, HubError> {
        let (repository, revision) = text.split_once('@').unwrap_or((text, "main"));
        let named = |part: &str| {
            !part.is_empty()
                && part.len() <= 96
                && !part.starts_with(['.', '-'])
                && !part.contains("--")
                && !part.contains("..")
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        let mut parts = repository.split('/');
        let repository_named = parts.next().is_some_and(named)
            && parts.next().is_some_and(named)
            && parts.next().is_none();
        let revision_named = !revision.is_empty()
            && revision.len() <= 200
            && relative(revision)
            && revision
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
        match repository_named && revision_named {
            true => Ok(Self {
                repository: repository.to_owned(),
                revision: revision.to_owned(),
            }),
            false => Err(HubError::Name(format!(
                "`{}` is not a model on the hub: give OWNER/NAME or OWNER/NAME@REVISION, or `smollm2`",
                text.chars()
                    .filter(|c| !c.is_control())
                    .take(100)
                    .collect::<String>()
            ))),
        }
    }

    /// The repository's folder in `cache`.
    pub(super) fn folder(&self, cache: &Path) -> PathBuf {
        cache.join(format!("models--{}", self.repository.replace('/', "--")))
    }

    /// The snapshot of this revision in `cache`, if it is there.
    pub(super) fn snapshot(&self, cache: &Path) -> Option<PathBuf> {
        let folder = self.folder(cache);
        let commit = fs::read_to_string(folder.join("refs").join(&self.revision));
        let commit = commit.map_or_else(|_| self.revision.clone(), |text| text.trim().to_owned());
        let snapshot = folder.join("snapshots").join(&commit);
        (relative(&commit) && snapshot.is_dir()).then_some(snapshot)
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision.as_str() {
            "main" => f.write_str(&self.repository),
            revision => write!(f, "{}@{revision}", self.repository),
        }
    }
}

/// What a pull left in the cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// The model's name, as `--model` takes it.
    pub model: String,
    /// The commit.
    pub commit: String,
    /// The snapshot.
    #[serde(serialize_with = "base::files::as_shown")]
    pub folder: PathBuf,
    /// The files, below that folder.
    pub files: Vec<String>,
    /// Bytes that were fetched; what was there already does not count.
    pub fetched: u64,
}

/// Whether `path` leads downwards only: no root, no `..`, no empty or hidden turn.
pub(super) fn relative(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\\', '\0', ':'])
        && !path.chars().any(char::is_control)
        && !path.split('/').any(str::is_empty)
        && Path::new(path)
            .components()
            .all(|it| matches!(it, Component::Normal(_)))
        && path.split('/').all(|part| part != ".")
}

/// Makes a folder with its parents.
pub(super) fn make(folder: &Path) -> Result<(), HubError> {
    fs::create_dir_all(folder).map_err(HubError::cache(folder))
}

/// Puts the blob `name` into `snapshot` under `file`, as a link where the file system has them.
pub(super) fn link(
    repository: &Path,
    snapshot: &Path,
    file: &str,
    name: &str,
) -> Result<(), HubError> {
    let target = snapshot.join(file);
    let blob = repository.join("blobs").join(name);
    if let (Ok(old), Ok(new)) = (fs::canonicalize(&target), fs::canonicalize(&blob))
        && old == new
    {
        return Ok(());
    }
    let folder = target.parent().unwrap_or(snapshot);
    make(folder)?;
    // Below `snapshots/COMMIT`, and once more for each folder of the file's own.
    let up = "../".repeat(2 + file.matches('/').count());
    let written = target.with_file_name(format!(".orrery-{}.tmp", std::process::id()));
    let _ = fs::remove_file(&written);
    let link = PathBuf::from(format!("{up}blobs/{name}"));
    #[cfg(unix)]
    let linked = std::os::unix::fs::symlink(link, &written);
    #[cfg(not(unix))]
    let linked: std::io::Result<()> = {
        let _ = link;
        Err(std::io::ErrorKind::Unsupported.into())
    };
    linked
        .or_else(|_| fs::copy(&blob, &written).map(drop))
        .and_then(|()| fs::rename(&written, &target))
        .map_err(HubError::cache(&target))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let id = ModelId::parse("owner/name.x@refs/pr/1").unwrap();
        assert_eq!(
            (id.repository.as_str(), id.revision.as_str()),
            ("owner/name.x", "refs/pr/1")
        );
        assert_eq!(
            id.folder(Path::new("/c")),
            Path::new("/c/models--owner--name.x")
        );
        for wrong in [
            "", "a", "a/b/c", "/b", "a/", "../b", "a/..", "a/b@", "a/b@../x", "a/b@/x", "a b/c",
            "a/b\n", "a/b@x//y", "a--b/c",
        ] {
            assert!(ModelId::parse(wrong).is_err(), "{wrong:?}");
        }
        for wrong in [
            "", "/x", "../x", "a/../b", "a//b", "a/./b", "a\\b", "c:x", "a\0", "a/",
        ] {
            assert!(!relative(wrong), "{wrong:?}");
        }
        assert!(relative("onnx/model.json") && relative("a..b"));
    }
}
