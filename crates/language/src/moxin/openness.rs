//! The check list of the Model Openness Framework for a release folder.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SystemError;

/// The list: classes, components, and names of files that are taken for them.
const LIST: &str = include_str!("openness.toml");
/// Deepest folder that is looked into, and how many files at most.
const DEPTH: usize = 5;
const FILES: usize = 200_000;

#[derive(Deserialize)]
struct List {
    component: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    class: u8,
    name: String,
    kind: Kind,
    files: Vec<String>,
}

/// What a component is, and so what licence it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Software: an OSI-approved licence.
    Software,
    /// Weights and data: an open data licence, or a permissive one.
    Data,
    /// Documents: CC-BY or similar.
    Document,
}

/// One component.
#[derive(Clone, Debug, Serialize)]
pub struct Component {
    /// 3 for an open model, 2 for open tooling, 1 for open science.
    pub class: u8,
    /// What it is.
    pub name: String,
    /// Of what kind.
    pub kind: Kind,
    /// The first file that is taken for it.
    pub file: Option<String>,
}

/// What a release holds.
#[derive(Clone, Debug, Serialize)]
pub struct Openness {
    /// All components, class III first.
    pub components: Vec<Component>,
    /// The licence file, and the licence that its text is of.
    pub licence: Option<(String, String)>,
    /// The best class whose components, and those of the classes below it, are all there: 3, 2 or 1.
    pub class: Option<u8>,
}

/// Looks through the folder `path`. What is found by its name is not judged by its content.
///
/// # Errors
/// [`SystemError::Input`] where it is not a directory.
pub fn openness(path: &Path) -> Result<Openness, SystemError> {
    let list: List = toml::from_str(LIST).map_err(|error| {
        SystemError::Input(format!("the list of components is broken: {error}"))
    })?;
    let mut files = Vec::new();
    walk(path, path, 0, &mut files)?;
    files.sort();
    let components: Vec<Component> = list
        .component
        .into_iter()
        .map(|entry| Component {
            file: files
                .iter()
                .find(|file| entry.files.iter().any(|pattern| matches(pattern, file)))
                .map(base::files::shown),
            class: entry.class,
            name: entry.name,
            kind: entry.kind,
        })
        .collect();
    let licence = files.iter().find(|file| {
        let name = name_of(file);
        ["license", "licence", "copying"]
            .iter()
            .any(|begin| name.starts_with(begin))
    });
    let licence = licence.map(|file| (base::files::shown(file), licence_of(&path.join(file))));
    let whole = |class: u8| {
        components
            .iter()
            .filter(|it| it.class >= class)
            .all(|it| it.file.is_some())
    };
    let class = [1, 2, 3]
        .into_iter()
        .find(|class| licence.is_some() && whole(*class));
    Ok(Openness {
        components,
        licence,
        class,
    })
}

fn name_of(file: &Path) -> String {
    file.to_string_lossy()
        .to_lowercase()
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn walk(
    root: &Path,
    folder: &Path,
    depth: usize,
    files: &mut Vec<PathBuf>,
) -> Result<(), SystemError> {
    let cannot = |error: std::io::Error| {
        SystemError::path(folder, format!("{error}; name the folder of a release"))
    };
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let kind = entry.file_type().map_err(cannot)?;
        if files.len() >= FILES {
            return Ok(());
        }
        if kind.is_dir() && depth < DEPTH && entry.file_name() != ".git" {
            walk(root, &entry.path(), depth + 1, files)?;
        } else if kind.is_file()
            && let Ok(relative) = entry.path().strip_prefix(root)
        {
            files.push(relative.to_owned());
        }
    }
    Ok(())
}

/// Whether a path fits a pattern in which `*` is any text. A pattern without `/` is one of file names.
fn matches(pattern: &str, file: &Path) -> bool {
    let path = file.to_string_lossy().replace('\\', "/").to_lowercase();
    let name = path.rsplit('/').next().unwrap_or_default();
    let text = if pattern.contains('/') {
        path.as_str()
    } else {
        name
    };
    let parts: Vec<&str> = pattern.split('*').collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return false;
    };
    if parts.len() == 1 {
        return text == *first;
    }
    let Some(mut rest) = text
        .strip_prefix(first)
        .and_then(|rest| rest.strip_suffix(last))
    else {
        return false;
    };
    parts[1..parts.len() - 1]
        .iter()
        .all(|part| match rest.find(part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
}

/// Which licence a text is.
fn licence_of(path: &Path) -> String {
    use std::io::Read;
    let mut text = String::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(1 << 16).read_to_string(&mut text));
    let known = [
        ("Apache License", "Apache-2.0"),
        ("MIT License", "MIT"),
        ("Permission is hereby granted, free of charge", "MIT"),
        ("BSD", "BSD"),
        ("GNU GENERAL PUBLIC", "GPL"),
        ("Attribution 4.0", "CC-BY-4.0"),
        ("Community Data License", "CDLA"),
        (
            "COMMUNITY LICENSE",
            "a community licence, which is not open",
        ),
        (
            "NonCommercial",
            "a non-commercial licence, which is not open",
        ),
    ];
    let found = known.iter().rev().find(|(sign, _)| text.contains(sign));
    match (read, found) {
        (Ok(_), Some((_, name))) => (*name).to_owned(),
        _ => "not recognised".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_as_open_as_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("LICENSE", "Apache License\nVersion 2.0");
        put("model/config.json", "{}");
        put("model/model.safetensors", "");
        let found = openness(folder.path()).unwrap();
        assert_eq!(found.class, None);
        assert_eq!(found.licence.as_ref().unwrap().1, "Apache-2.0");
        put("report.md", "");
        put("eval/results.json", "{}");
        put("MODEL_CARD.md", "");
        put("DATA_CARD.md", "");
        assert_eq!(openness(folder.path()).unwrap().class, Some(3));
        assert!(openness(&folder.path().join("LICENSE")).is_err());
        assert!(matches("*.safetensors", Path::new("a/b.safetensors")));
        assert!(!matches("train*.py", Path::new("a/retrain.py")));
    }
}
