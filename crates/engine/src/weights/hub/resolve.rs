//! What a user calls a model: a path, a name on the hub, or a short name.

use std::fs;
use std::path::{Path, PathBuf};

use super::{HubError, HubSettings, ModelId, PACKAGED};

/// The folder or file of the model `name`: a path; `OWNER/NAME`, `OWNER/NAME@REVISION` or `OWNER/NAME/FILE` in the cache; or
/// a short name such as `smollm2`. A folder that holds no `config.json` and one GGUF file stands for that file.
///
/// # Errors
/// [`HubError::NotHere`] with the command to type, [`HubError::Name`] when it is none of these.
pub fn resolve(name: &str, settings: &HubSettings) -> Result<PathBuf, HubError> {
    if let Some(model) = PACKAGED.iter().find(|it| it.alias == name) {
        let snapshot = model.id().snapshot(&settings.cache);
        let file = snapshot
            .map(|it| it.join(model.file))
            .filter(|it| it.exists());
        return file.ok_or_else(|| HubError::NotHere {
            name: name.to_owned(),
            command: name.to_owned(),
            cache: settings.cache.clone(),
        });
    }
    let path = Path::new(name);
    if !name.is_empty() && path.exists() {
        return only_file(path.to_owned());
    }
    let mut parts = name.splitn(3, '/');
    let (owner, rest) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let file = parts.next().filter(|_| !rest.contains('@'));
    let id = match file {
        Some(_) => ModelId::parse(&format!("{owner}/{rest}")),
        None => ModelId::parse(name),
    };
    let id = id.ok().filter(|_| file.is_none_or(super::cache::relative)).ok_or_else(|| {
        let short: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
        HubError::Name(format!(
            "there is no model `{short}`: give a folder, a `.gguf` file, OWNER/NAME on the hub, or `smollm2`"
        ))
    })?;
    let not_here = |command: String| HubError::NotHere {
        name: name.to_owned(),
        command,
        cache: settings.cache.clone(),
    };
    let snapshot = id.snapshot(&settings.cache);
    match file {
        Some(file) => {
            let found = snapshot.map(|it| it.join(file)).filter(|it| it.exists());
            found.ok_or_else(|| not_here(format!("{id} --file {file}")))
        }
        None => only_file(snapshot.ok_or_else(|| not_here(id.to_string()))?),
    }
}

/// The only GGUF file of a folder that has no `config.json`; the folder or file itself otherwise.
fn only_file(path: PathBuf) -> Result<PathBuf, HubError> {
    if !path.is_dir() || path.join("config.json").exists() {
        return Ok(path);
    }
    let entries = fs::read_dir(&path).map_err(HubError::cache(&path))?;
    let files = entries.flatten().map(|entry| entry.path());
    let mut gguf: Vec<PathBuf> = files
        .filter(|it| it.extension().is_some_and(|it| it == "gguf"))
        .collect();
    gguf.sort();
    match gguf.as_slice() {
        [] => Ok(path),
        [only] => Ok(only.clone()),
        [first, ..] => Err(HubError::Name(format!(
            "`{}` holds {} GGUF files: name one, such as `{}`",
            path.display(),
            gguf.len(),
            first.display()
        ))),
    }
}
